"""ActNorm: a scale and a shift a coordinate, started from the data."""

from __future__ import annotations

import torch
from torch import nn

from inncli.transforms.base import Context, Moved, Points, Transform


class ActNorm(Transform):
    r"""Activation normalization.

    .. math:: z = (x - m) \odot e^{s}, \quad \log|\det J| = \sum_i s_i

    `initialise` sets m and s so that the first batch leaves with mean 0 and sd 1; afterwards
    both are ordinary parameters.

    Reference: Kingma and Dhariwal 2018, Glow, arXiv:1807.03039.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.shift = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))

    def _forward(self, x: Points, context: Context) -> Moved:
        return (x - self.shift) * self.log_scale.exp(), self.log_scale.sum().expand(x.shape[0])

    def _inverse(self, z: Points, context: Context) -> Moved:
        return z * (-self.log_scale).exp() + self.shift, -self.log_scale.sum().expand(z.shape[0])

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Mean 0 and sd 1 out of this batch; a constant coordinate keeps its scale."""
        if x.shape[0] > 1:
            sd = x.std(0)
            self.shift.copy_(x.mean(0))
            self.log_scale.copy_(-torch.where(sd > 1e-6, sd, torch.ones_like(sd)).log())
        return self(x)[0]
