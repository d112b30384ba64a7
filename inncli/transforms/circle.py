"""Columns whose values lie on a circle: a phase, an angle, the hour of a day."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inncli.numerics.ridge import Design, rows_for
from inncli.transforms.base import Context, Moved, Points, Transform
from inncli.variables import Variables


class Circle(Transform):
    r"""Cuts each circle opposite to where the context expects the value.

    .. math:: z = \frac{2 \pi}{P} (x - l) - m(c) \mod 2 \pi \in [-\pi, \pi), \qquad
        m(c) = \mathrm{atan2}(S c + s, C c + t)

    m is the direction of linear fits to sine and cosine, set in closed form and not trainable. On the circle itself
    nothing is cut: values that lie on both sides of the seam of x, where a phase of 0 is one of :math:`2 \pi`, lie
    side by side in z. Columns without a period pass unchanged.

    Reference: Mardia and Jupp 2000, Directional statistics, section 11.2 (regression on a circle).
    """

    sine: Tensor  # (columns, dim_context + 1), the last entry the constant, as is
    cosine: Tensor

    def __init__(self, x: Variables, dim_context: int = 0) -> None:
        super().__init__(x.dim, dim_context)
        self.columns = [i for i, period in enumerate(x.periods) if period is not None]
        low = [x.bounds[i][0] or 0.0 for i in self.columns]
        unit = [(x.periods[i] or 1.0) / (2 * math.pi) for i in self.columns]
        self.register_buffer("low", torch.tensor(low, dtype=torch.float64), persistent=False)
        self.register_buffer("unit", torch.tensor(unit, dtype=torch.float64), persistent=False)
        for name in ("sine", "cosine"):
            self.register_buffer(name, torch.zeros(len(self.columns), dim_context + 1, dtype=torch.float64))

    low: Tensor
    unit: Tensor

    def _direction(self, rows: int, context: Context) -> Tensor:
        one = self.unit.new_ones(rows, 1)
        c = one if context is None else torch.cat([context.to(one.dtype), one], 1)
        return torch.atan2(c @ self.sine.T, c @ self.cosine.T)

    def _forward(self, x: Points, context: Context) -> Moved:
        angle = (x[:, self.columns].double() - self.low) / self.unit - self._direction(len(x), context)
        out = x.clone()
        out[:, self.columns] = _wrapped(angle).to(x.dtype)
        return out, self._ladj(x)

    def _inverse(self, z: Points, context: Context) -> Moved:
        angle = _wrapped(z[:, self.columns].double() + self._direction(len(z), context))
        turn = torch.where(angle < 0, angle + 2 * math.pi, angle)
        out = z.clone()
        out[:, self.columns] = (self.low + self.unit * turn).to(z.dtype)
        return out, -self._ladj(z)

    def _ladj(self, points: Points) -> Tensor:
        return -self.unit.log().sum().to(points.dtype).expand(points.shape[0])

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Fits sine and cosine of the training values on the context."""
        if self.columns:
            angle = (x[:, self.columns].double() - self.low) / self.unit
            if context is None:
                self.sine[:, -1], self.cosine[:, -1] = angle.sin().mean(0), angle.cos().mean(0)
            else:
                n = rows_for(len(x), self.dim_context)
                part = slice(None) if n == len(x) else torch.arange(n, device=x.device) * len(x) // n
                design = Design(context[part])
                for into, value in ((self.sine, angle[part].sin()), (self.cosine, angle[part].cos())):
                    fitted = design.fit(value)
                    into.copy_(torch.cat([fitted.coefficients, fitted.intercept[:, None]], 1))
        return self(x, context)[0]


def _wrapped(angle: Tensor) -> Tensor:
    """The same angle in [-pi, pi)."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
