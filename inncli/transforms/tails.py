"""A distribution function from data: a smooth middle between quantiles, and Pareto tails beyond them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inncli.numerics.pareto import fit_pareto
from inncli.transforms.spline import spline_curve, spline_root
from inncli.types import Float

Column = Float[Tensor, " rows"]
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
KNOTS = 33  # quantiles, evenly spaced in the normal score
TAIL = 0.02  # share of the values that makes a tail, at either end
HEAVIEST = 4.0  # shape of a tail
NEAREST = 1e-15  # of the way to a bound: a value on it counts as so far from it


class QuantileMap(nn.Module):
    r"""The normal score :math:`z = \Phi^{-1}(F(x))` of a distribution function set from data.

    Between the outermost knots z is a rational-quadratic spline through quantiles. Beyond, the share that is still
    to come falls as a generalized Pareto's,

    .. math:: 1 - F(x) = \tau \, (1 + \xi (x - q) / \beta)^{-1/\xi},

    whose shape :math:`\xi \ge 0` is fitted to the largest values: 0 is an exponential, 1 a Cauchy. So what is heavy
    in x is a normal in z, also where no value was seen. Where the column has a bound the tail is cut off there, and
    the rest scaled up. The spline takes the slope of the tail at its ends.

    Shape: x, z (rows,), float64.
    Reference: Pickands 1975, Statistical inference using extreme order statistics; Gregory and Delbourgo 1982,
        Piecewise rational quadratic interpolation to monotonic data.
    """

    x_k: Tensor  # (KNOTS,), as are
    z_k: Tensor
    slope: Tensor  # dz/dx at the knots
    tail: Tensor  # (2, 2): shape and size of the lower and the upper tail
    reach: Tensor  # (2,): from the outermost knots to the bounds, inf where open

    def __init__(self) -> None:
        super().__init__()
        z = torch.linspace(-1, 1, KNOTS, dtype=torch.float64) * float(-torch.special.ndtri(torch.tensor(TAIL).double()))
        self.register_buffer("z_k", z)
        self.register_buffer("x_k", z.clone())
        self.register_buffer("slope", torch.ones(KNOTS, dtype=torch.float64))
        self.register_buffer("tail", torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64))
        self.register_buffer("reach", torch.full((2,), torch.inf, dtype=torch.float64))

    # ---- from data ---------------------------------------------------------------------------------
    @torch.no_grad()
    def fit(self, x: Column, ends: tuple[float, float] = (-math.inf, math.inf)) -> None:
        """Sets knots and tails from the values; equal neighbours are moved apart by a billionth of the range.

        Args:
            x: the values.
            ends: between which all values lie, infinite where open.
        """
        x = x.double().sort().values
        levels = torch.special.ndtr(self.z_k)
        knots = torch.quantile(x, levels) if len(x) <= 10_000_000 else x[(levels * (len(x) - 1)).long()]
        gap = 1e-9 * float(knots[-1] - knots[0]) or 1e-9 * max(1.0, float(knots[0].abs()))
        knots = knots.clamp(ends[0] + KNOTS * gap, ends[1] - 2 * KNOTS * gap)  # a bound may be the commonest value
        self.x_k.copy_(torch.cummax(knots + gap * torch.arange(KNOTS, dtype=knots.dtype, device=x.device), 0).values)
        self.reach[0], self.reach[1] = self.x_k[0] - ends[0], ends[1] - self.x_k[-1]
        for side, excess in enumerate((self.x_k[0] - x[x < self.x_k[0]], x[x > self.x_k[-1]] - self.x_k[-1])):
            inner = (self.x_k[1] - self.x_k[0], self.x_k[-1] - self.x_k[-2])[side]
            self.tail[side] = torch.tensor(_pareto(excess, float(inner)), dtype=torch.float64)
        self._set_slopes()

    def _set_slopes(self) -> None:
        """Slopes by the harmonic mean of the neighbouring chords, which keeps the spline monotone and without bumps."""
        chord = self.z_k.diff() / self.x_k.diff()
        width = self.x_k.diff()
        left, right = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
        self.slope[1:-1] = (left + right) / (left / chord[:-1] + right / chord[1:])
        # At the ends the density of the tail over the normal's.
        for side in (0, 1):
            log_density = self._tail(side, self.x_k.new_zeros(1))[1]
            self.slope[-side] = torch.exp(log_density + 0.5 * self.z_k[-side].square() + HALF_LOG_2PI)[0]

    def _tail(self, side: int, a: Column) -> tuple[Column, Column]:
        """Logarithms of the share still to come, and of the density, at a distance a >= 0 beyond the last knot."""
        shape, size = self.tail[side]
        left = (self.reach[side] - a).clamp_min(NEAREST * self.reach[side])
        log_1p = torch.log1p(shape * a / size)
        log_s = -log_1p / shape if shape > 0 else -a / size
        # log S(a) - log S(reach), from the distance that is left
        more = torch.log1p(shape * left / (size + shape * a)) / shape if shape > 0 else left / size
        log_density = math.log(TAIL) + log_s - log_1p - size.log() - self._log_inside(side)
        return math.log(TAIL) + log_s + torch.log(-torch.expm1(-more)) - self._log_inside(side), log_density

    def _log_beyond(self, side: int) -> Tensor:
        """Logarithm of the share of an uncut tail that lies beyond the bound."""
        shape, size = self.tail[side]
        a = self.reach[side] / size
        return -torch.log1p(shape * a) / shape if shape > 0 else -a

    def _log_inside(self, side: int) -> Tensor:
        return torch.log(-torch.expm1(self._log_beyond(side)))

    # ---- both ways -----------------------------------------------------------------------------------
    def forward(self, x: Column) -> tuple[Column, Column]:
        """The pair (z, log dz/dx)."""
        z, ladj = self._middle(x)
        for side, sign in ((0, -1.0), (1, 1.0)):
            beyond = sign * (x - self.x_k[-side])
            log_share, log_density = self._tail(side, beyond.clamp_min(0))
            score = _upper_score(log_share)
            more = log_density + 0.5 * score.square() + HALF_LOG_2PI
            z, ladj = torch.where(beyond > 0, sign * score, z), torch.where(beyond > 0, more, ladj)
        return z, ladj

    def inverse(self, z: Column) -> tuple[Column, Column]:
        """The pair (x, log dx/dz)."""
        x, ladj = self._middle_inverse(z)
        for side, sign in ((0, -1.0), (1, 1.0)):
            beyond = sign * (z - self.z_k[-side]) > 0
            shape, size = self.tail[side]
            score = torch.where(beyond, sign * z, float(self.z_k[-1]))
            inside = torch.special.log_ndtr(-score) - math.log(TAIL) + self._log_inside(side)
            log_s = torch.logaddexp(inside, self._log_beyond(side))
            a = size * (torch.expm1(-shape * log_s) / shape if shape > 0 else -log_s)
            # Near a bound the distance that is left has the digits.
            ratio = torch.log1p(torch.exp(inside - self._log_beyond(side)))
            left = size * (-torch.expm1(-shape * ratio) / shape if shape > 0 else ratio)
            left = left * (1 + shape * self.reach[side] / size) if shape > 0 else left
            a = torch.where(ratio < 0.5, self.reach[side] - left, a)
            log_density = math.log(TAIL) + (1 + shape) * log_s - size.log() - self._log_inside(side)
            x = torch.where(beyond, self.x_k[-side] + sign * a, x)
            ladj = torch.where(beyond, -(log_density + 0.5 * score.square() + HALF_LOG_2PI), ladj)
        return x, ladj

    def _bin(self, value: Column, knots: Tensor) -> tuple[Tensor, ...]:
        k = (torch.searchsorted(knots, value.contiguous(), right=True) - 1).clamp(0, KNOTS - 2)
        x_0, z_0 = self.x_k[k], self.z_k[k]
        return x_0, z_0, self.x_k[k + 1] - x_0, self.z_k[k + 1] - z_0, self.slope[k], self.slope[k + 1]

    def _middle(self, x: Column) -> tuple[Column, Column]:
        x_0, z_0, w, h, d_0, d_1 = self._bin(x, self.x_k)
        theta = ((x - x_0) / w).clamp(0, 1)
        return spline_curve(theta, z_0, w, h, d_0, d_1)

    def _middle_inverse(self, z: Column) -> tuple[Column, Column]:
        x_0, z_0, w, h, d_0, d_1 = self._bin(z, self.z_k)
        theta = spline_root(((z - z_0) / h).clamp(0, 1), h / w, d_0, d_1)
        return x_0 + w * theta, -spline_curve(theta, z_0, w, h, d_0, d_1)[1]


def _pareto(excess: Column, inner: float) -> tuple[float, float]:
    """Shape and size of a tail; without values beyond the knot, as far on as the last bin is wide."""
    if not len(excess):
        return 0.0, inner
    shape, size = fit_pareto(excess.cpu().numpy())
    if shape <= 0:  # a tail that ends would leave values beyond without an image
        return 0.0, max(float(excess.mean()), 1e-300)
    return min(shape, HEAVIEST), max(size, 1e-300)


def _upper_score(log_share: Column) -> Column:
    """The z beyond which a standard normal has this share, given as its logarithm, at most log(TAIL)."""
    far = torch.sqrt(-2 * log_share)
    z = torch.where(log_share > -600, -torch.special.ndtri(log_share.clamp_min(-600).exp()), far)
    for _ in range(4):
        rest = torch.special.log_ndtr(-z)
        z = z + (rest - log_share) * torch.exp(rest + 0.5 * z.square() + HALF_LOG_2PI)
    return z
