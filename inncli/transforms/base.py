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

import torch
from torch import Tensor, nn

from inncli.errors import ShapeError


class Transform(nn.Module, ABC):
    """An invertible map of R^dim, conditioned on a context where `dim_context` > 0.

    A leaf writes `_forward` and `_inverse`; shapes are checked here once, so that a leaf shows
    only mathematics.

    Shape: x, z (B, dim); context (B, dim_context), or None where dim_context is 0;
        log_abs_det_jacobian (B,).
    Raises: ShapeError for a wrong shape, and for a context given to an unconditional transform.
    """

    def __init__(self, dim: int, dim_context: int = 0) -> None:
        super().__init__()
        self.dim = dim
        self.dim_context = dim_context

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Z and log abs det dz/dx."""
        self._check(x, context)
        return self._forward(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """X and log abs det dx/dz."""
        self._check(z, context)
        return self._inverse(z, context)

    @abstractmethod
    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]: ...

    @abstractmethod
    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]: ...

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Sets data-dependent parameters from a batch, once, before training; returns z."""
        return self(x, context)[0]

    @property
    def starts_from_data(self) -> bool:
        """Whether `initialise` sets anything: else nobody needs to send all of the data through."""
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
