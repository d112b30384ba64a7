"""A map of one column to the real line: the contract, and the maps of columns without bounds."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from inncli.transforms.chain import Chain
from inncli.transforms.marginal import Standardise
from inncli.transforms.power import PowerMap
from inncli.transforms.tails import QuantileMap
from inncli.types import Float
from inncli.variables import Bound

Column = Float[Tensor, " rows"]


class ColumnMap(nn.Module, ABC):
    """A monotone map of one column onto the real line, in float64.

    Shape: x, z (rows,); the log derivative comes beside the value, (rows,).

    Args:
        bound: the column's (low, high), None where open.
    """

    def __init__(self, bound: Bound) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, x: Column) -> tuple[Column, Column]:
        """The pair (z, log dz/dx)."""

    @abstractmethod
    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The pair (x, log dx/dz)."""

    @torch.no_grad()
    def fit(self, x: Column) -> None:
        """Sets what depends on the training values."""

    @staticmethod
    def suits(bound: Bound, lowest: float) -> bool:
        """Whether it maps what these bounds allow onto the real line, where `lowest` is the least training value."""
        return bound == (None, None)


class Identity(ColumnMap):
    """z = x."""

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The map z = x."""
        return x, torch.zeros_like(x)

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The map x = z."""
        return z, torch.zeros_like(z)


class SymLog(ColumnMap):
    """asinh of the distance from the median, in quartiles: linear within, logarithmic beyond, on both sides."""

    centre: Tensor
    unit: Tensor

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        self.register_buffer("centre", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("unit", torch.tensor(1.0, dtype=torch.float64))

    def fit(self, x: Column) -> None:
        self.centre.copy_(x.median())
        distance = (x - self.centre).abs()
        inside = distance[distance > 0]
        if len(inside):
            self.unit.copy_(inside.median())

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The map z = asinh((x - centre) / unit)."""
        u = (x - self.centre) / self.unit
        return torch.asinh(u), -torch.log(torch.hypot(u, torch.ones_like(u))) - self.unit.log()

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The map x = centre + unit sinh(z)."""
        log_cosh = z.abs() + torch.log1p(torch.exp(-2 * z.abs())) - math.log(2)
        return self.centre + self.unit * torch.sinh(z), log_cosh + self.unit.log()


class Power(ColumnMap):
    """The Yeo-Johnson power of the standardised column, against skew; see `PowerMap`."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        self.map = Chain(1, [Standardise(1), PowerMap(1)])

    def fit(self, x: Column) -> None:
        self.map.initialise(x[:, None])

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The power of (x - median) / scale."""
        z, ladj = self.map(x[:, None])
        return z[:, 0], ladj

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The x of a power."""
        x, ladj = self.map.inverse(z[:, None])
        return x[:, 0], ladj


class Quantile(ColumnMap):
    """The normal score of the distribution function, with parametric tails; see `QuantileMap`."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        self.scale = Standardise(1)  # the squares of slopes in the column's own unit may overflow
        self.map = QuantileMap()
        low, high = bound
        ends = [-math.inf if low is None else low, math.inf if high is None else high]
        self.register_buffer("ends", torch.tensor(ends, dtype=torch.float64))

    ends: Tensor

    def fit(self, x: Column) -> None:
        x = self.scale.initialise(x[:, None])[:, 0]
        low, high = (self.ends - self.scale.centre) / self.scale.scale
        self.map.fit(x, (float(low), float(high)))

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The map z = ndtri(F(x))."""
        u, scaled = self.scale(x[:, None])
        z, ladj = self.map(u[:, 0])
        return z, scaled + ladj

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The map x = F^-1(ndtr(z))."""
        u, ladj = self.map.inverse(z)
        x, scaled = self.scale.inverse(u[:, None])
        return x[:, 0].clamp(*self.ends), ladj + scaled

    @staticmethod
    def suits(bound: Bound, lowest: float) -> bool:
        """Every column."""
        return True
