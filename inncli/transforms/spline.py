"""The rational-quadratic spline: an elementwise map with as many bends as it has bins."""

from __future__ import annotations

import torch
from torch import Tensor

from inncli.transforms.base import Moved, Points
from inncli.transforms.elementwise import Elementwise, Params
from inncli.types import PositiveFloat, PositiveInt


class RationalQuadratic(Elementwise):
    r"""A monotone rational-quadratic spline on [-bound, bound], the identity outside.

    Between knots :math:`(x_k, y_k)` with slopes :math:`d_k`, bin slope :math:`s = h / w` and
    :math:`\theta = (x - x_k) / w`:

    .. math:: z = y_k + h \, \frac{s \theta^2 + d_k \theta (1 - \theta)}{n}, \quad
        \frac{dz}{dx} = s^2 \, \frac{d_{k+1} \theta^2 + 2 s \theta (1 - \theta) + d_k (1 - \theta)^2}{n^2}, \quad
        n = s (\theta^2 + (1 - \theta)^2) + (d_k + d_{k+1}) \theta (1 - \theta)

    Of a coordinate's 3 bins - 1 parameters the first `bins` are logits of the widths, the next those of the
    heights, the rest log slopes at the inner knots; at zero all bins are equal and all slopes 1. All are softly
    clamped as Affine's scale is. The slope is 1 at the bounds, so z is continuously differentiable everywhere,
    and every sum above is one of positive terms: no digits cancel. Where a value lies decides what it becomes by
    `torch.where` and `gather` alone, never the shape of an operation, so that it compiles and vmaps.

    Args:
        bins: number of bins K.
        bound: half the width of the box.
        clamp: largest absolute logit and log slope. Without it two blocks with large weights lose 9
            digits of the round trip.

    Reference: Durkan et al. 2019, Neural spline flows, arXiv:1906.04032; Gregory and Delbourgo 1982, Piecewise
        rational quadratic interpolation to monotonic data.
    """

    def __init__(self, bins: PositiveInt = 8, bound: PositiveFloat = 5.0, clamp: PositiveFloat = 1.5) -> None:
        super().__init__()
        self.bins, self.bound, self.clamp = bins, bound, clamp
        self.n_params = 3 * bins - 1

    def forward(self, x: Points, params: Params) -> Moved:
        """The pair (z, sum of log dz/dx), z by the formula of the class."""
        x_k, y_k, w, h, d_0, d_1 = self._bin(x, params, side=0)
        inside = x.abs() <= self.bound
        theta = (torch.where(inside, x, x_k) - x_k) / w
        z, log_slope = spline_curve(theta, y_k, w, h, d_0, d_1)
        return torch.where(inside, z, x), torch.where(inside, log_slope, 0.0).sum(1)

    def inverse(self, z: Points, params: Params) -> Moved:
        r"""The pair (x, sum of log dx/dz), x by the root of a quadratic.

        With :math:`\eta = (z - y_k) / h` and :math:`q = d_k (1 - \eta) - d_{k+1} \eta` it is, see `spline_root`,

        .. math:: \theta = \frac{2 s \eta}{2 s \eta + q + r}, \quad r = \sqrt{q^2 + 4 s^2 \eta (1 - \eta)}

        whose discriminant can't turn negative. Where q < 0 the sum q + r would cancel: there the bin is
        read from its other end, :math:`1 - \theta = 2 s (1 - \eta) / (2 s (1 - \eta) - q + r)`.
        """
        x_k, y_k, w, h, d_0, d_1 = self._bin(z, params, side=1)
        inside = z.abs() <= self.bound
        eta = (torch.where(inside, z, y_k) - y_k) / h
        theta = spline_root(eta, h / w, d_0, d_1)
        log_slope = spline_curve(theta, y_k, w, h, d_0, d_1)[1]
        return torch.where(inside, x_k + w * theta, z), torch.where(inside, -log_slope, 0.0).sum(1)

    def _bin(self, value: Tensor, params: Tensor, side: int) -> tuple[Tensor, ...]:
        """Lower corner, width, height and both slopes of the bin that holds each value, read on x (0) or z (1)."""
        knots = self._knots(params, value.shape[1])
        # The number of inner knots at or below it; beyond the box that is the first or the last bin.
        k = (value[:, None] >= knots[:, side, 1:-1]).sum(1)
        ends = torch.stack([k, k + 1], 1)[:, None].expand(-1, 3, -1, -1)
        (x_0, x_1), (y_0, y_1), (d_0, d_1) = (pair.unbind(1) for pair in knots.gather(2, ends).unbind(1))
        return x_0, y_0, x_1 - x_0, y_1 - y_0, d_0, d_1

    def _knots(self, params: Tensor, dim: int) -> Tensor:
        """x, y and slope of every knot, (B, 3, bins + 1, dim)."""
        positive = torch.exp(self.clamp * torch.tanh(params / self.clamp)).reshape(-1, self.n_params, dim)
        size, slope = positive.split([2 * self.bins, self.bins - 1], 1)
        # A softmax: its exponents are clamped, so no largest is taken off, and its sum is the last of the running ones.
        total = size.reshape(-1, 2, self.bins, dim).cumsum(2)
        inner = total[:, :, :-1] * (2 * self.bound / total[:, :, -1:]) - self.bound
        inner = torch.cat([inner, slope[:, None]], 1)
        first = inner.new_full((1, 3, 1, dim), -self.bound)
        first[:, 2] = 1.0
        first = first.expand(len(inner), -1, -1, -1)
        last = first.abs()
        return torch.cat([first, inner, last], 2)


def spline_curve(theta: Tensor, y_k: Tensor, w: Tensor, h: Tensor, d_0: Tensor, d_1: Tensor) -> tuple[Tensor, Tensor]:
    """The value and the log slope in a bin at theta in [0, 1]."""
    s = h / w
    rest = 1 - theta
    both, theta_2, rest_2 = theta * rest, theta.square(), rest.square()
    n = s * (theta_2 + rest_2) + (d_0 + d_1) * both
    z = y_k + h * (s * theta_2 + d_0 * both) / n
    slope = d_1 * theta_2 + 2 * s * both + d_0 * rest_2
    return z, 2 * (s / n).log() + slope.log()


def spline_root(eta: Tensor, s: Tensor, d_0: Tensor, d_1: Tensor) -> Tensor:
    """Theta of the share eta of a bin's height, by the bin's slope s and those at its ends; see `inverse`."""
    q = d_0 * (1 - eta) - d_1 * eta
    r = torch.sqrt(q.square() + 4 * s.square() * eta * (1 - eta))
    left = q >= 0
    numerator = 2 * s * torch.where(left, eta, 1 - eta)
    share = numerator / (numerator + torch.where(left, q, -q) + r)  # abs would lose the gradient at q = 0
    return torch.where(left, share, 1 - share)
