"""Elementwise bijections whose parameters a subnet gives: what a coupling applies to x_b."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from inncli.transforms.base import Moved, Points
from inncli.types import Float, PositiveFloat

Params = Float[Tensor, "rows dim_params"]  # dim_params = dim * n_params


class Elementwise(nn.Module, ABC):
    """A bijection of R applied to each coordinate, with `n_params` numbers a coordinate.

    All parameters at zero give the identity, or nearly so: then a zero last layer of the subnet
    starts a block as the identity.

    Shape: x, z (B, D); params (B, D * n_params), ordered parameter by parameter;
        the log derivative is returned summed over D, (B,).
    """

    n_params: int

    @abstractmethod
    def forward(self, x: Points, params: Params) -> Moved:
        """The pair (z, sum of log dz/dx)."""

    @abstractmethod
    def inverse(self, z: Points, params: Params) -> Moved:
        """The pair (x, sum of log dx/dz)."""


class Additive(Elementwise):
    r"""Shift only, softly clamped; volume-preserving.

    .. math:: z = x + t, \quad t = \alpha \tanh(\hat t / \alpha)

    Without the clamp a subnet's slope goes on beyond the data, and block by block the draws that leave the data are
    thrown further: a sheared tail grows like a power of the number of blocks.

    Args:
        clamp: alpha, the largest shift, in the units of x; None is no clamp.

    Reference: Dinh et al. 2014, NICE, arXiv:1410.8516.
    """

    n_params = 1

    def __init__(self, clamp: PositiveFloat | None = None) -> None:
        super().__init__()
        self.clamp = clamp

    def _shift(self, params: Params) -> Tensor:
        return params if self.clamp is None else self.clamp * torch.tanh(params / self.clamp)

    def forward(self, x: Points, params: Params) -> Moved:
        """The map z = x + t."""
        return x + self._shift(params), x.new_zeros(x.shape[0])

    def inverse(self, z: Points, params: Params) -> Moved:
        """The map x = z - t."""
        return z - self._shift(params), z.new_zeros(z.shape[0])


class Affine(Elementwise):
    r"""Scale and shift, the scale softly clamped.

    .. math:: z = x \, e^{s} + t, \quad s = \alpha \tanh(\hat s / \alpha)

    Without the clamp, 24 blocks lose all digits of the round trip.

    Reference: Dinh et al. 2017, Density estimation using Real NVP, arXiv:1605.08803.
    """

    n_params = 2

    def __init__(self, clamp: PositiveFloat = 1.5) -> None:
        super().__init__()
        self.clamp = clamp

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        s, t = params.chunk(2, dim=1)
        return self.clamp * torch.tanh(s / self.clamp), t

    def forward(self, x: Points, params: Params) -> Moved:
        """The map z = x e^s + t."""
        s, t = self._split(params)
        return x * s.exp() + t, s.sum(1)

    def inverse(self, z: Points, params: Params) -> Moved:
        """The map x = (z - t) e^-s."""
        s, t = self._split(params)
        return (z - t) * (-s).exp(), -s.sum(1)
