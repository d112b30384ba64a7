"""Maps of a column to the real line, by name: what stands before the standardisation of x.

Each brings one column near to a normal without a floor under small values. Which one a column takes is chosen by
held-out likelihood (`inncli.models.column_choice`) and is a fact of the column (`Variables.maps`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from inncli.transforms.base import Context, Moved, Points, Transform
from inncli.transforms.chain import Chain
from inncli.transforms.marginal import Standardise
from inncli.transforms.power import PowerMap
from inncli.transforms.tails import QuantileMap
from inncli.types import Float
from inncli.variables import Bound, Variables

Column = Float[Tensor, " rows"]
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


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
    def suits(bound: Bound, x: Column) -> bool:
        """Whether it maps what these bounds allow, with these training values, onto the real line."""
        return bound == (None, None)


class Identity(ColumnMap):
    """z = x."""

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The map z = x."""
        return x, torch.zeros_like(x)

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The map x = z."""
        return z, torch.zeros_like(z)


class _FromBound(ColumnMap):
    """A map of the distance from one bound, or of the two distances from both.

    A value on a bound counts as `nearest` away from it: half of the smallest distance that training saw.
    """

    low: Tensor
    high: Tensor
    nearest: Tensor

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        low, high = bound
        self.closed = low is not None and high is not None
        self.sign = 1.0 if low is not None or high is None else -1.0  # of the way inwards from the bound that counts
        start = low if low is not None else high
        self.register_buffer("start", torch.tensor(0.0 if start is None else start, dtype=torch.float64))
        self.register_buffer("width", torch.tensor(1.0 if not self.closed else high - low, dtype=torch.float64))
        self.register_buffer("nearest", torch.tensor(1e-300, dtype=torch.float64))

    start: Tensor
    width: Tensor

    def fit(self, x: Column) -> None:
        distances = torch.cat(self._distances(x, floor=False)) if self.closed else self._distances(x, floor=False)[0]
        inside = distances[distances > 0]
        if len(inside):
            self.nearest.fill_(max(float(inside.min()) / 2, 1e-300))

    def _distances(self, x: Column, floor: bool = True) -> tuple[Column, Column]:
        """The distances from both bounds; of a half-open column the second is the first."""
        near = self.sign * (x - self.start)
        far = (self.start + self.width) - x if self.closed else near
        return (near.clamp_min(self.nearest), far.clamp_min(self.nearest)) if floor else (near, far)


class Log(_FromBound):
    """The logarithm of the distance from a bound; of an open column, whose values are all positive, that from 0."""

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The map z = sign log(sign (x - start))."""
        a = self._distances(x)[0]
        return self.sign * a.log(), -a.log()

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The map x = start + sign exp(sign z)."""
        log = self.sign * z
        return self.start + self.sign * log.exp(), log

    @staticmethod
    def suits(bound: Bound, x: Column) -> bool:
        """Half-open columns, and open ones that hold positive values alone."""
        low, high = bound
        return (low is None) != (high is None) or (bound == (None, None) and bool((x > 0).all()))


class Softplus(_FromBound):
    """The inverse of softplus of the distance from the one bound, in sds: it bends near the bound alone."""

    unit: Tensor

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        self.register_buffer("unit", torch.tensor(1.0, dtype=torch.float64))

    def fit(self, x: Column) -> None:
        super().fit(x)
        sd = float(x.std(correction=0))
        self.unit.fill_(sd if sd > 0 else 1.0)

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The map z = sign log(exp(a) - 1), a the distance in sds."""
        a = self._distances(x)[0] / self.unit
        return self.sign * (a + torch.log(-torch.expm1(-a))), -torch.log(-torch.expm1(-a)) - self.unit.log()

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The map x = start + sign sd log(1 + exp(sign z))."""
        a = nn.functional.softplus(self.sign * z)
        return self.start + self.sign * self.unit * a, nn.functional.logsigmoid(self.sign * z) + self.unit.log()

    @staticmethod
    def suits(bound: Bound, x: Column) -> bool:
        """Half-open columns."""
        return (bound[0] is None) != (bound[1] is None)


class Logit(_FromBound):
    """The logit of the place between both bounds."""

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The map z = log a - log b of the distances a and b."""
        a, b = self._distances(x)
        return a.log() - b.log(), self.width.log() - a.log() - b.log()

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The map x = low + width sigmoid(z), measured from the nearer bound."""
        logsigmoid = nn.functional.logsigmoid
        x = torch.where(
            z < 0,
            self.start + self.width * torch.sigmoid(z),
            (self.start + self.width) - self.width * torch.sigmoid(-z),
        )
        return x, logsigmoid(z) + logsigmoid(-z) + self.width.log()

    @staticmethod
    def suits(bound: Bound, x: Column) -> bool:
        """Closed columns."""
        return bound[0] is not None and bound[1] is not None


class Probit(Logit):
    r"""The normal score of the place between both bounds: what is uniform there becomes N(0, 1), edges and all.

    Where x is uniform near a bound, its logit falls off as :math:`e^{-|z|}`, which maps of a normal don't reach.
    """

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The map z = ndtri((x - low) / width)."""
        a, b = self._distances(x)
        return _normal_score(a / self.width, b / self.width, self.width)

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The map x = low + width ndtr(z), measured from the nearer bound."""
        below, above = torch.special.ndtr(z), torch.special.ndtr(-z)
        x = torch.where(z < 0, self.start + self.width * below, (self.start + self.width) - self.width * above)
        return x, self.width.log() - 0.5 * z.square() - HALF_LOG_2PI


class LogProbit(_FromBound):
    """The normal score of the place of log x between the logarithms of both bounds: for decades in a box."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        low, high = (0.0 if end is None else end for end in bound)
        self.register_buffer("log_low", torch.tensor(math.log(low), dtype=torch.float64))
        self.register_buffer("decades", torch.tensor(math.log(high / low), dtype=torch.float64))

    log_low: Tensor
    decades: Tensor

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The map z = ndtri(log(x / low) / log(high / low))."""
        a, b = self._distances(x)
        low, high = self.start, self.start + self.width
        t, rest = torch.log1p(a / low) / self.decades, -torch.log1p(-b / high) / self.decades
        z, ladj = _normal_score(t, rest, self.decades)
        return z, ladj - torch.maximum(low + a, low).log()

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The map x = low (high / low)^ndtr(z)."""
        below, above = torch.special.ndtr(z), torch.special.ndtr(-z)
        low, high = self.start, self.start + self.width
        x = torch.where(
            z < 0, low + low * torch.expm1(self.decades * below), high + high * torch.expm1(-self.decades * above)
        )
        return x, self.decades.log() - 0.5 * z.square() - HALF_LOG_2PI + x.log()

    @staticmethod
    def suits(bound: Bound, x: Column) -> bool:
        """Closed columns of positive values over more than two decades."""
        low, high = bound
        return low is not None and high is not None and low > 0 and high > 100 * low


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


def _normal_score(below: Column, above: Column, width: Tensor) -> tuple[Column, Column]:
    """Ndtri of a share known from both ends, and its log derivative by width times the share."""
    z = torch.where(below < 0.5, torch.special.ndtri(below), -torch.special.ndtri(above))
    return z, 0.5 * z.square() + HALF_LOG_2PI - width.log()


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
        self.map = QuantileMap()

    def fit(self, x: Column) -> None:
        self.map.fit(x)

    def forward(self, x: Column) -> tuple[Column, Column]:
        """The map z = ndtri(F(x))."""
        return self.map(x)

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The map x = F^-1(ndtr(z))."""
        return self.map.inverse(z)


# What `Variables.maps` may name: one more line is one more map.
MAPS: dict[str, type[ColumnMap]] = {
    "identity": Identity,
    "log": Log,
    "softplus": Softplus,
    "logit": Logit,
    "probit": Probit,
    "log_probit": LogProbit,
    "symlog": SymLog,
    "power": Power,
    "quantile": Quantile,
}


class ColumnMaps(Transform):
    """The map of each column that `x.maps` names, side by side.

    Args:
        x: the columns; those of `x.heaps` pass unchanged, their own map has the bounds inside.
        bounds: those that the maps know; open where a model keeps draws inside by itself.
    """

    def __init__(self, x: Variables, bounds: tuple[Bound, ...]) -> None:
        super().__init__(x.dim)
        self.maps = nn.ModuleList(MAPS[name](bound) for name, bound in zip(x.maps, bounds, strict=True))

    def _forward(self, x: Points, context: Context) -> Moved:
        return self._each(x, "forward")

    def _inverse(self, z: Points, context: Context) -> Moved:
        return self._each(z, "inverse")

    def _each(self, points: Points, way: str) -> Moved:
        moved = [getattr(each, way)(column) for each, column in zip(self.maps, points.double().unbind(1), strict=True)]
        out, ladj = (torch.stack(parts, 1) for parts in zip(*moved, strict=True))
        return out.to(points.dtype), ladj.sum(1).to(points.dtype)

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Fits each map to the training values."""
        for each, column in zip(self.maps, x.double().unbind(1), strict=True):
            assert isinstance(each, ColumnMap)
            each.fit(column)
        return self(x)[0]
