"""The contract of everything a user trains.

A model is built from what is known about the columns, `Model(x, y, **arguments)`, starts from
the data once (`initialise`), and from then on is a function of its saved state alone. Scalings
are buffers; so x and y are in the user's own units at every method below.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from inncli.transforms.residual import verify
from inncli.types import Float, Real
from inncli.variables import Variables

X = Float[Tensor, "rows dim"]
Y = Real[Tensor, "rows dim_y"] | None  # None without y
PerRow = Float[Tensor, " rows"]
Scalar = Float[Tensor, ""]
Observations = Real[Tensor, "n_obs dim_y"]
Draws = Float[Tensor, "n_obs n dim"]


class Model(nn.Module, ABC):
    """p(x | y), or p(x) where y is None.

    Shape: x (rows, Dx); y (rows, Dy) with label codes in categorical columns, or None.
    Units: the user's own; a log density includes the Jacobian of every scaling.

    Attributes:
        has_density: whether `log_prob` answers. Where False, posterior sets carry NaN.
        without_density: what to do then.
        is_search: whether `posterior` searches from `starts`, an array of x.
        has_latent: whether `latent` answers.
        needs_data: whether training hands batches of pairs to the objective.
        graph_capturable: whether its training loss is the same function at every step, and reads no number back from
            the device.
    """

    has_density: bool = True
    without_density = "use `inn invert` or another model"
    has_latent: bool = False
    is_search: bool = False
    needs_data: bool = True
    graph_capturable: bool = False

    def __init__(self, x: Variables, y: Variables | None) -> None:
        super().__init__()
        self.x = x
        self.y = y
        # Weights that are loaded, by resume or by a later command, are held against their certificates.
        self.register_load_state_dict_post_hook(lambda model, keys: verify(model))

    @property
    def came_later(self) -> frozenset[str]:
        """Names in the saved state that checkpoints of earlier releases lack; there the first values hold."""
        return frozenset()

    @property
    def dim(self) -> int:
        """Dx."""
        return self.x.dim

    @abstractmethod
    def sample(self, y: Observations | None, n: int, generator: torch.Generator) -> Draws:
        """Draws n x for each row of y: (n_obs, n, Dx); without y, (1, n, Dx)."""

    def posterior(
        self, y: Observations, n: int, generator: torch.Generator, starts: Tensor | None = None
    ) -> tuple[Draws, dict[str, Tensor]]:
        """Draws n x for each row of y, with further numbers of each draw by name (an optimiser's loss, say).

        `inn invert` writes all of them; `sample` gives the draws alone.

        Shape: x (n_obs, n, Dx); each further number (n_obs, n); starts (m, Dx), only where `is_search`.
        """
        return self.sample(y, n, generator), {}

    def columns_for(self, x: X, y: Y) -> tuple[Variables, Variables | None]:
        """The columns of x and y with what this kind of model chooses of them by the training pairs.

        Where they differ from its own, a model built from them is the one to train.
        """
        return self.x, self.y

    def initialise(self, x: X, y: Y, generator: torch.Generator) -> None:
        """Sets scalings and other data-dependent state from all of the training data."""

    def log_prob(self, x: X, y: Y) -> PerRow:
        """Log p(x | y), (rows,), in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no density")

    def latent(self, x: X, y: Y, generator: torch.Generator) -> Float[Tensor, "rows dim_z"]:
        """The latent z of pairs, (rows, Dz): standard normal and independent of y, where the model is right."""
        raise NotImplementedError(f"{type(self).__name__} has no latent")

    @property
    def start(self) -> str | None:
        """What it is before its first step, in words, where it has been fitted to the data by then; else None."""
        return None

    @property
    def start_ignores_y(self) -> bool:
        """Whether there is a y, and before the first step x is the same whatever it says."""
        return False

    def remarks(self) -> list[str]:
        """What its user should know before training starts, a line each."""
        return []

    @property
    def can_push_forward(self) -> bool:
        """Whether `push_forward` answers."""
        return False

    def push_forward(self, z: X) -> tuple[X, PerRow]:
        """The draw of p(x) that each standard normal z becomes, and its log p(x); both carry gradients.

        Shape: z, x (n, Dx); log_prob (n,).
        """
        raise NotImplementedError(f"{type(self).__name__} has no draws that carry gradients")

    @property
    def has_loss(self) -> bool:
        """Whether `loss` answers: with a density, or where a model writes a loss of its own."""
        return self.has_density or type(self).loss is not Model.loss

    def loss(self, x: X, y: Y, generator: torch.Generator) -> Scalar:
        """What likelihood training minimises: the mean of -log p(x | y), a scalar."""
        return -self.log_prob(x, y).mean()

    def diagnostics(self, x: X, y: Y) -> dict[str, float]:
        """Numbers on the model's own health at these rows, `invertibility_error` for one."""
        return {}

    def check(self, x: X, y: Y, generator: torch.Generator) -> dict[str, float]:
        """Numbers that only held-out pairs can give: how normal the latent is, how well y comes back."""
        return {}
