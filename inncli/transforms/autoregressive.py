"""The autoregressive transform: each coordinate is moved by a function of those before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from inncli.nn.made import MADE
from inncli.transforms.base import Context, Moved, Points, Transform
from inncli.transforms.elementwise import Elementwise


class Autoregressive(Transform):
    r"""A masked autoregressive map; its Jacobian is lower triangular.

    .. math:: z_i = \tau(x_i; \mathrm{MADE}_i(x_1, \dots, x_{i-1}, c)), \quad
        \log|\det J| = \sum_i \log \tau'(x_i)

    `forward` takes one pass of the net, `inverse` one for each coordinate: x_i needs the x before it. Both are
    exact. It starts as the identity.

    Args:
        elementwise: the map :math:`\tau`.
        hidden: widths of the net's hidden layers.

    Reference: Papamakarios et al. 2017, Masked autoregressive flow, arXiv:1705.07057.
    """

    def __init__(self, dim: int, dim_context: int, elementwise: Elementwise, hidden: Sequence[int] = (64, 64)) -> None:
        super().__init__(dim, dim_context)
        self.elementwise = elementwise
        self.net = MADE(dim, dim_context, elementwise.n_params, hidden)

    def _forward(self, x: Points, context: Context) -> Moved:
        return self.elementwise.forward(x, self.net(x, context))

    def _inverse(self, z: Points, context: Context) -> Moved:
        x, total = z[:, :0], z.new_zeros(z.shape[0])
        for i in range(self.dim):
            # What is not known yet is masked; zeros, since 0 * inf would be NaN.
            known = torch.cat([x, z.new_zeros(z.shape[0], self.dim - i)], 1)
            params = self.net(known, context)[:, i :: self.dim]
            x_i, ladj = self.elementwise.inverse(z[:, i : i + 1], params)
            x, total = torch.cat([x, x_i], 1), total + ladj
        return x, total
