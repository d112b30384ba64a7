r"""THE convention of every bijection in this project.

``forward`` goes from x to z (normalizing), ``inverse`` from z to x (generative). They are two
methods, never one with a flag, and each returns a pair: the output and the
log abs det Jacobian of *the call just made*:

.. math:: z, \; \log|\det \partial z / \partial x| = \mathrm{forward}(x, c), \qquad
          x, \; \log|\det \partial x / \partial z| = \mathrm{inverse}(z, c)

so at matching points the second is minus the first. Value and log-det come together because
most maps get the log-det for free while they compute the value. Batch first, event last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from inncli.errors import ShapeError
from inncli.types import Float

Points = Float[Tensor, "rows dim"]  # x or z
Context = Float[Tensor, "rows dim_context"] | None  # None where dim_context is 0
LogDet = Float[Tensor, " rows"]
Moved = tuple[Points, LogDet]  # what both directions return


class Transform(nn.Module, ABC):
    """An invertible map of R^dim, conditioned on a context where `dim_context` > 0.

    A subclass writes `_forward` and `_inverse`. This class checks the shapes before it calls them, so that a subclass
    shows only mathematics.

    Shape: x, z (rows, dim); context (rows, dim_context), or None where dim_context is 0;
        log_abs_det_jacobian (rows,).
    Raises: ShapeError for a wrong shape, and for a context given to an unconditional transform.
    """

    __call__: Callable[..., Moved]  # nn.Module's: `forward`, between its hooks

    def __init__(self, dim: int, dim_context: int = 0) -> None:
        super().__init__()
        self.dim = dim
        self.dim_context = dim_context

    def forward(self, x: Tensor, context: Tensor | None = None) -> Moved:
        """The pair (z, log abs det dz/dx)."""
        self._check(x, context)
        return self._forward(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        """The pair (x, log abs det dx/dz)."""
        self._check(z, context)
        return self._inverse(z, context)

    @abstractmethod
    def _forward(self, x: Points, context: Context) -> Moved: ...

    @abstractmethod
    def _inverse(self, z: Points, context: Context) -> Moved: ...

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Sets data-dependent parameters from a batch, once, before training; returns z."""
        return self(x, context)[0]

    @property
    def starts_from_data(self) -> bool:
        """Whether `initialise` sets anything. Where it does not, the caller need not send the data through."""
        return type(self).initialise is not Transform.initialise

    def _check(self, x: Tensor, context: Tensor | None) -> None:
        name = type(self).__name__
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ShapeError(f"{name}: expected (B, {self.dim}), got {tuple(x.shape)}")
        if self.dim_context == 0:
            if context is not None:
                raise ShapeError(f"{name}: takes no context, got one of shape {tuple(context.shape)}")
        elif context is None or context.shape != (x.shape[0], self.dim_context):
            got = "none" if context is None else tuple(context.shape)
            raise ShapeError(f"{name}: expected a context ({x.shape[0]}, {self.dim_context}), got {got}")
