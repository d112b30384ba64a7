"""Maps of a column that its bounds keep inside: of the distance from one bound, or from both."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inncli.numerics.deviation import standard_deviation
from inncli.transforms.column_map import Column, ColumnMap
from inncli.variables import Bound

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
TINY = torch.finfo(torch.float64).tiny


class FromBound(ColumnMap):
    """A map of the distance from one bound, or of the two distances from both.

    A value on a bound counts as `nearest` away from it: half of the smallest distance that training saw. One that is
    nearer, but not on it, stays what it is.
    """

    nearest: Tensor

    start: Tensor  # the bound, the lower one of two
    width: Tensor  # of a closed column

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        low, high = bound
        self.closed = low is not None and high is not None
        self.sign = -1.0 if low is None and high is not None else 1.0  # of the way inwards
        start = low if low is not None else 0.0 if high is None else high
        width = high - low if low is not None and high is not None else 1.0
        for name, value in (("start", start), ("width", width), ("nearest", TINY)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    def fit(self, x: Column) -> None:
        distances = torch.cat(self._distances(x, floor=False)) if self.closed else self._distances(x, floor=False)[0]
        inside = distances[distances > 0]
        if len(inside):
            self.nearest.fill_(max(float(inside.min()) / 2, TINY))

    def _distances(self, x: Column, floor: bool = True) -> tuple[Column, Column]:
        """The distances from both bounds; of a half-open column the second is the first."""
        near = self.sign * (x - self.start)
        far = (self.start + self.width) - x if self.closed else near
        if floor:
            near, far = (torch.where(distance > 0, distance, self.nearest) for distance in (near, far))
        return near, far


class Log(FromBound):
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
    def suits(bound: Bound, lowest: float) -> bool:
        """Half-open columns, and open ones that hold positive values alone."""
        low, high = bound
        return (low is None) != (high is None) or (bound == (None, None) and lowest > 0)


class Softplus(FromBound):
    """The inverse of softplus of the distance from the one bound, in sds: it bends near the bound alone."""

    unit: Tensor

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        self.register_buffer("unit", torch.tensor(1.0, dtype=torch.float64))

    def fit(self, x: Column) -> None:
        super().fit(x)
        sd = float(standard_deviation(x[:, None]))
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
    def suits(bound: Bound, lowest: float) -> bool:
        """Half-open columns."""
        return (bound[0] is None) != (bound[1] is None)


class Logit(FromBound):
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
    def suits(bound: Bound, lowest: float) -> bool:
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


class LogProbit(FromBound):
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
    def suits(bound: Bound, lowest: float) -> bool:
        """Closed columns of positive values over more than two decades."""
        low, high = bound
        return low is not None and high is not None and low > 0 and high > 100 * low


def _normal_score(below: Column, above: Column, width: Tensor) -> tuple[Column, Column]:
    """Ndtri of a share known from both ends, and its log derivative by width times the share."""
    below, above = below.clamp_min(TINY), above.clamp_min(TINY)  # a quotient may have become 0
    z = torch.where(below < 0.5, torch.special.ndtri(below), -torch.special.ndtri(above))
    return z, 0.5 * z.square() + HALF_LOG_2PI - width.log()
