"""Maps a column at a time from the user's units to roughly N(0, 1): the scaling of x.

They compute in float64 whatever the dtype of x: a cell of .1 kg beside a value of 1,000 kg
leaves float32 no digits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inncli.numerics.deviation import standard_deviation
from inncli.transforms.base import Context, Moved, Points, Transform
from inncli.variables import Variables


class Standardise(Transform):
    r"""Robust standardisation, :math:`z = (x - m) / s`.

    m is the median, s the interquartile range over 1.349 (the sd of a Gaussian); where half of
    a column is one value and that range is 0, the sd stands in; a constant column keeps s = 1.
    Not trainable: the scaling belongs to the saved state.
    """

    centre: Tensor  # (dim,)
    scale: Tensor  # (dim,)

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.register_buffer("centre", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(dim, dtype=torch.float64))

    def _forward(self, x: Points, context: Context) -> Moved:
        z = (x.double() - self.centre) / self.scale
        return z.to(x.dtype), -self.scale.log().sum().to(x.dtype).expand(x.shape[0])

    def _inverse(self, z: Points, context: Context) -> Moved:
        x = z.double() * self.scale + self.centre
        return x.to(z.dtype), self.scale.log().sum().to(z.dtype).expand(z.shape[0])

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Median and interquartile range of the training data."""
        quartiles = torch.quantile(x.double(), x.new_tensor([0.25, 0.5, 0.75]).double(), dim=0)
        scale = (quartiles[2] - quartiles[0]) / 1.349
        sd = standard_deviation(x.double())
        # A heavy tail may dwarf the quartiles (a heap with a few large values): stay within 20x.
        scale = torch.maximum(scale, sd / 20)
        self.centre.copy_(quartiles[1])
        self.scale.copy_(torch.where(scale > 0, scale, torch.ones_like(scale)))
        return self(x)[0]


class BoundsTransform(Transform):
    r"""Keeps bounded columns inside their bounds: a logit a closed column, a softplus a half-open one.

    .. math:: x = l + (h - l)\,\sigma(z), \quad x = l + u \log(1 + e^z), \quad
              x = h - u \log(1 + e^{-z}), \quad x = z

    for bounds (l, h), (l, None), (None, h) and (None, None); the unit u is the column's sd, so
    that the map bends near the bound only. Rows outside the box have no image: a density is 0
    there, which is the model's to say. Rows on a bound are moved inward by 1e-6 of the width
    (the unit), where z is -13.8 and not minus infinity.
    """

    inward = 1e-6
    low: Tensor  # (dim,), -inf where the column has no lower bound
    high: Tensor  # (dim,), inf where it has no upper one
    unit: Tensor  # (dim,)

    def __init__(self, x: Variables) -> None:
        super().__init__(x.dim)
        inf = math.inf
        low = [-inf if low is None else low for low, _ in x.bounds]
        high = [inf if high is None else high for _, high in x.bounds]
        self.register_buffer("low", torch.tensor(low, dtype=torch.float64))
        self.register_buffer("high", torch.tensor(high, dtype=torch.float64))
        self.register_buffer("unit", torch.ones(x.dim, dtype=torch.float64))

    def _kinds(self) -> tuple[Tensor, Tensor, Tensor]:
        below, above = self.low.isfinite(), self.high.isfinite()
        return below & above, below & ~above, ~below & above

    def _finite(self) -> tuple[Tensor, Tensor]:
        # Open sides get harmless numbers, so that torch.where never meets inf - inf.
        low = torch.where(self.low.isfinite(), self.low, torch.where(self.high.isfinite(), self.high - 1, 0.0))
        return low, torch.where(self.high.isfinite(), self.high, low + 1)

    def _forward(self, x: Points, context: Context) -> Moved:
        both, lower, upper = self._kinds()
        low, high = self._finite()
        width = torch.where(both, high - low, self.unit)
        xd = x.double()
        a = ((xd - low) / width).clamp_min(self.inward)  # distance from the lower bound
        b = ((high - xd) / width).clamp_min(self.inward)  # distance from the upper bound
        z = torch.where(both, a.log() - b.log(), xd)
        z = torch.where(lower, _softplus_inverse(a), z)
        z = torch.where(upper, -_softplus_inverse(b), z)
        ladj = torch.where(both, -a.log() - b.log() - width.log(), torch.zeros_like(xd))
        ladj = torch.where(lower, -torch.log(-torch.expm1(-a)) - width.log(), ladj)
        ladj = torch.where(upper, -torch.log(-torch.expm1(-b)) - width.log(), ladj)
        return z.to(x.dtype), ladj.sum(1).to(x.dtype)

    def _inverse(self, z: Points, context: Context) -> Moved:
        both, lower, upper = self._kinds()
        low, high = self._finite()
        width = torch.where(both, high - low, self.unit)
        zd = z.double()
        softplus = torch.nn.functional.softplus
        # Measured from the nearer bound, so that no digit is lost at either.
        from_low, from_high = low + width * torch.sigmoid(zd), high - width * torch.sigmoid(-zd)
        x = torch.where(both, torch.where(zd < 0, from_low, from_high), zd)
        x = torch.where(lower, low + width * softplus(zd), x)
        x = torch.where(upper, high - width * softplus(-zd), x)
        logsigmoid = torch.nn.functional.logsigmoid
        ladj = torch.where(both, logsigmoid(zd) + logsigmoid(-zd) + width.log(), torch.zeros_like(zd))
        ladj = torch.where(lower, logsigmoid(zd) + width.log(), ladj)
        ladj = torch.where(upper, logsigmoid(-zd) + width.log(), ladj)
        return x.to(z.dtype), ladj.sum(1).to(z.dtype)

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """The unit of a half-open column is its sd."""
        sd = x.double().std(0, correction=0)
        self.unit.copy_(torch.where(sd > 0, sd, torch.ones_like(sd)))
        return self(x)[0]


def _softplus_inverse(a: Tensor) -> Tensor:
    return a + torch.log(-torch.expm1(-a))


class QuantileTransform(Transform):
    r"""Spreads the heaps of a recorded column: the Gaussian score of its distribution function.

    .. math:: z = \Phi^{-1}(F(x)), \quad \log|J| = \log f(x) - \log\varphi(z)

    F is piecewise linear with knots at both edges of the recording cell of every heap (so a
    heap that 46 % of the rows share takes 46 % of the mass of z), at the quantiles of the rest
    and at the bounds. On the training data each mapped column is N(0, 1), heaps and all, and a
    flow on top models how columns hang together. Columns without a heap pass unchanged.

    x is the dequantised value: a recorded v stands for v + step * U(-1/2, 1/2).
    """

    n_quantiles = 16
    knots: Tensor  # (columns with heaps, most knots of a column): x at the knots
    mass: Tensor  # as `knots`: F at the knots

    def __init__(self, x: Variables) -> None:
        super().__init__(x.dim)
        self.columns = [i for i, heaps in enumerate(x.heaps) if heaps]
        self.x = x
        n_knots = [2 * len(x.heaps[i]) + self.n_quantiles + 2 for i in self.columns]
        # Columns with fewer knots repeat their last one.
        shape = (len(self.columns), max(n_knots, default=0))
        start = torch.linspace(0, 1, shape[1], dtype=torch.float64).expand(shape).clone()
        self.register_buffer("knots", start)
        self.register_buffer("mass", start.clone())

    def _forward(self, x: Points, context: Context) -> Moved:
        if not self.columns:
            return x, x.new_zeros(x.shape[0])
        u = x[:, self.columns].double().T.contiguous()
        k, slope = self._segment(self.knots, u)
        du_low = (u - self.knots.gather(1, k)).clamp_min(0)
        du_high = (self.knots.gather(1, k + 1) - u).clamp_min(0)
        below = self.mass.gather(1, k) + slope * du_low
        above = (1 - self.mass).gather(1, k + 1) + slope * du_high
        z = _normal_quantile(below, above)
        ladj = slope.log() - _normal_log_density(z)
        out = x.clone()
        out[:, self.columns] = z.T.to(x.dtype)
        return out, ladj.sum(0).to(x.dtype)

    def _inverse(self, z: Points, context: Context) -> Moved:
        if not self.columns:
            return z, z.new_zeros(z.shape[0])
        zd = z[:, self.columns].double().T.contiguous()
        below, above = torch.special.ndtr(zd), torch.special.ndtr(-zd)
        k, slope = self._segment(self.mass, below)
        from_low = self.knots.gather(1, k) + (below - self.mass.gather(1, k)) / slope
        from_high = self.knots.gather(1, k + 1) - (above - (1 - self.mass).gather(1, k + 1)) / slope
        # Above the median count from the top, where 1 - F keeps its digits.
        u = torch.where(zd < 0, from_low, from_high)
        u = torch.minimum(torch.maximum(u, self.knots[:, :1]), self.knots[:, -1:])
        ladj = _normal_log_density(zd) - slope.log()
        out = z.clone()
        out[:, self.columns] = u.T.to(z.dtype)
        return out, ladj.sum(0).to(z.dtype)

    def covers(self, x: Tensor) -> Tensor:
        """Which rows lie between the outermost knots, (B,); no others have an image, nor a density."""
        if not self.columns:
            return x.new_ones(x.shape[0], dtype=torch.bool)
        u = x[:, self.columns].double().T
        return ((u >= self.knots[:, :1]) & (u <= self.knots[:, -1:])).all(0)

    def _segment(self, edges: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Index of the segment each value lies in, and F's slope there."""
        last = self._n_segments() - 1
        k = torch.searchsorted(edges, values, right=True) - 1
        k = torch.minimum(k.clamp_min(0), last[:, None])
        rise = self.mass.gather(1, k + 1) - self.mass.gather(1, k)
        run = self.knots.gather(1, k + 1) - self.knots.gather(1, k)
        return k, rise / run

    def _n_segments(self) -> Tensor:
        # Padding repeats the last knot, so true segments are those of positive width.
        return (self.knots.diff(dim=1) > 0).sum(1)

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Knots and masses from the dequantised training data."""
        for row, column in enumerate(self.columns):
            knots, mass = self._fit(x[:, column].double(), column)
            pad = self.knots.shape[1] - len(knots)
            self.knots[row] = torch.cat([knots, knots[-1:].expand(pad)])
            self.mass[row] = torch.cat([mass, mass[-1:].expand(pad)])
        return self(x)[0]

    def _fit(self, u: Tensor, column: int) -> tuple[Tensor, Tensor]:
        low, high = self.x.bounds[column]
        half = self.x.steps[column] / 2
        span = (u.max() - u.min()).clamp_min(1e-6)
        low = float(u.min() - span) if low is None else low - half
        high = float(u.max() + span) if high is None else high + half
        edges = {low, high}
        for heap in self.x.heaps[column]:
            edges |= {heap - half, heap + half}
        # Quantiles of what lies outside the heaps, dense in the tails. They would cut through
        # recording cells, so each moves to its cell's edge.
        cell = torch.round(u / (2 * half))
        heaps = torch.tensor(self.x.heaps[column], dtype=u.dtype, device=u.device)
        rest = u[~torch.isin(cell, torch.round(heaps / (2 * half)))]
        inner = torch.linspace(-2.6, 2.6, self.n_quantiles - 2, dtype=u.dtype, device=u.device)
        levels = torch.cat([inner.new_zeros(1), torch.special.ndtr(inner), inner.new_ones(1)])
        for q in torch.quantile(rest, levels).tolist() if len(rest) else []:
            edges.add((round(q / (2 * half)) - 0.5) * 2 * half)
        gap = 1e-9 * (high - low)
        kept = [low]
        for edge in sorted(edge for edge in edges if low < edge < high):
            if edge - kept[-1] > gap:
                kept.append(edge)
        if high - kept[-1] <= gap:
            kept.pop()
        knots = torch.tensor([*kept, high], dtype=torch.float64)
        counts = torch.histogram(u.cpu(), knots)[0]
        # Half a row of mass in every segment: nothing inside the bounds is impossible.
        mass = torch.cat([counts.new_zeros(1), (counts + 0.5).cumsum(0)])
        return knots, mass / mass[-1]


def _normal_quantile(below: Tensor, above: Tensor) -> Tensor:
    tiny = 1e-300
    return torch.where(
        below < 0.5,
        torch.special.ndtri(below.clamp_min(tiny)),
        -torch.special.ndtri(above.clamp_min(tiny)),
    )


def _normal_log_density(z: Tensor) -> Tensor:
    return -0.5 * z.square() - 0.5 * math.log(2 * math.pi)
