"""A power of each column against skew and heavy tails."""

from __future__ import annotations

import torch
from torch import Tensor

from inncli.transforms.base import Context, Moved, Points, Transform


class PowerMap(Transform):
    r"""The Yeo-Johnson power of each column, standardised.

    .. math:: z = \frac{\operatorname{sign}(x) \, g(|x|) - m}{s}, \quad g(a) = \frac{(1 + a)^\mu - 1}{\mu}, \quad
        \mu = \lambda \text{ for } x \ge 0, \; 2 - \lambda \text{ for } x < 0

    :math:`\lambda` = 1 is affine, towards 0 a long tail to the right is pulled in as by a logarithm, towards 2 one
    to the left. In [0, 2] it maps all of R to all of R. `initialise` sets :math:`\lambda` by maximum likelihood of
    a normal z, on a grid of step 1/50 (a finer one gains nothing that data could tell), then m and s. Not
    trainable: like `Standardise` it belongs to the scaling of x, and like it computes in float64.

    Reference: Yeo and Johnson 2000, A new family of power transformations to improve normality or symmetry.
    """

    power: Tensor  # (dim,), as are
    mean: Tensor
    sd: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        for name, value in (("power", 1.0), ("mean", 0.0), ("sd", 1.0)):
            self.register_buffer(name, torch.full((dim,), value, dtype=torch.float64))

    def _forward(self, x: Points, context: Context) -> Moved:
        z, ladj = _yeo_johnson(x.double(), self.power)
        return ((z - self.mean) / self.sd).to(x.dtype), (ladj - self.sd.log()).sum(1).to(x.dtype)

    def _inverse(self, z: Points, context: Context) -> Moved:
        zd = z.double() * self.sd + self.mean
        mu = torch.where(zd >= 0, self.power, 2 - self.power)
        log_1p = torch.log1p(mu * zd.abs()) / mu  # log(1 + |x|)
        x = torch.where(zd >= 0, 1.0, -1.0) * torch.expm1(log_1p)
        return x.to(z.dtype), ((1 - mu) * log_1p + self.sd.log()).sum(1).to(z.dtype)

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """The powers of maximum likelihood; then z has mean 0 and sd 1. A constant column keeps sd 1."""
        xd = x.double()
        best = xd.new_full((self.dim,), -torch.inf)
        # Not 0 and 2 themselves: there the formula is 0 / 0, and so near them it is the logarithm.
        for power in torch.linspace(1e-6, 2 - 1e-6, 101, dtype=torch.float64).tolist():
            z, ladj = _yeo_johnson(xd, xd.new_tensor(power))
            log_likelihood = ladj.mean(0) - z.std(0, correction=0).log()
            self.power.copy_(torch.where(log_likelihood > best, power, self.power))
            best = torch.maximum(best, log_likelihood)
        z = _yeo_johnson(xd, self.power)[0]
        sd = z.std(0, correction=0)
        self.mean.copy_(z.mean(0))
        self.sd.copy_(torch.where(sd > 0, sd, 1.0))
        return self(x)[0]


def _yeo_johnson(x: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
    """The power of x and its log derivative."""
    mu = torch.where(x >= 0, power, 2 - power)
    log_1p = torch.log1p(x.abs())
    return torch.where(x >= 0, 1.0, -1.0) * torch.expm1(mu * log_1p) / mu, (mu - 1) * log_1p
