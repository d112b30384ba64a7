"""What some models can do beyond the contract of `Model`, and what an objective may ask of those."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from inncli.models.base import Model, PerRow, X
from inncli.models.preprocessing import Scaling
from inncli.types import Float, Real

Target = Float[Tensor, "rows dim_y"]  # the scaled y
Z = Float[Tensor, "rows dim_z"]
U = Float[Tensor, "rows dim_u"]
V = Float[Tensor, "rows dim_v"]
Free = Float[Tensor, "rows dim_free"]  # of u


class TwoSided(Model):
    """A bijection between [x, u] and [y, z, v], whose noises an objective sets before the model starts from data.

    x and y are scaled, labels of y one-hot; z is the latent; u and v pad both sides to one width.

    Shape: x (rows, Dx); y (rows, dim_y); z (rows, Dz); u and v fill up to the common width, and may have no columns.

    Attributes:
        scale: the scaling of x.
        dim_y: columns of the scaled y, 0 without y.
    """

    scale: Scaling
    dim_y: int
    __call__: Callable[..., tuple[Target, Z, V, PerRow]]  # nn.Module's: `forward`, between its hooks

    @abstractmethod
    def set_noise(
        self, sd: float = 0.0, known: np.ndarray | None = None, learn: bool = False, labels: float | None = None
    ) -> None:
        """Sets sigma, the sd of the noise on y.

        Args:
            sd: in units of the scaled y; 0 is no noise.
            known: sds in y's own units, (Dy,); where given, they take the place of `sd` once y's scaling is known.
            learn: whether sigma is trained from there.
            labels: where given, in place of both for the labels of y that have their noise from u (`split_padding`).
        """

    @abstractmethod
    def set_padding(self, sd_in: float, sd_out: float) -> None:
        """Sets the sd of u, at training and after, and that of v where it is drawn for the inverse."""

    @property
    @abstractmethod
    def sigma(self) -> Float[Tensor, " dim_y"]:
        """The sd of the noise on each scaled y, (dim_y,)."""

    @abstractmethod
    def scaled(self, x: X) -> X:
        """The scaled x, (rows, Dx), of an x in the user's units."""

    @abstractmethod
    def target(self, y: Tensor | None, rows: int) -> Target:
        """The scaled y, (rows, dim_y), of a y in the user's units; (rows, 0) without y."""

    @abstractmethod
    def noise(self, rows: int, generator: torch.Generator) -> U:
        """Draws of u, one for each row."""

    def split_padding(self, u: U) -> tuple[Target, Free]:
        """The noise that u is to the labels of y, (rows, dim_y), zero elsewhere, and the columns of u that are none."""
        return u.new_zeros(len(u), self.dim_y), u

    @abstractmethod
    def draw_latent(self, target: Target, generator: torch.Generator) -> tuple[Target, Z, V]:
        """What `inverse` takes at a scaled y: y with its noise, z ~ N(0, I), and v."""

    @abstractmethod
    def forward(self, x: X, u: U) -> tuple[Target, Z, V, PerRow]:
        """The y, z and v of [x, u], and the log abs det Jacobian, (rows,)."""

    @abstractmethod
    def inverse(self, y: Target, z: Z, v: V) -> tuple[X, U]:
        """The x and u of [y, z, v]."""

    @abstractmethod
    def log_joint(self, x: X, u: U, target: Target) -> PerRow:
        """Log p(x, u | y) of scaled x, (rows,)."""


class ForwardNetwork(Model):
    """A network y = f(x) that regression trains."""

    @abstractmethod
    def train_by(self, kind: Literal["mse", "l1", "huber"]) -> None:
        """Sets the loss of a number, one of `nn.losses.LOSSES`, before the model starts from data."""

    @abstractmethod
    def row_loss(self, x: X, y: Real[Tensor, "rows dim_y"]) -> PerRow:
        """The regression loss of each pair, (rows,), with x and y in the user's units."""
