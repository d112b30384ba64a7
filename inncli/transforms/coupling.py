"""The coupling: one mechanism, different elementwise maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inncli.nn.mlp import MLP
from inncli.transforms.base import Context, Moved, Points, Transform
from inncli.transforms.elementwise import Elementwise


class Coupling(Transform):
    r"""One coupling half: x_a passes, x_b is moved by a subnet of x_a and the context.

    .. math:: z_a = x_a, \quad z_b = \tau(x_b; \mathrm{subnet}(x_a, c))

    With `gain` 0 the half starts as the identity. With dim 1, x_a is empty and the half is a conditional
    elementwise map.

    Args:
        elementwise: the map :math:`\tau`; one subnet gives all of its parameters.
        hidden: widths of the subnet's hidden layers.
        swap: False moves the second half of the coordinates, True the first.
        gain: size of the subnet's last layer at the start, 0 for the identity.

    Reference: Dinh et al. 2014, NICE, arXiv:1410.8516.
    """

    def __init__(
        self,
        dim: int,
        dim_context: int,
        elementwise: Elementwise,
        hidden: Sequence[int] = (64, 64),
        swap: bool = False,
        gain: float = 0.0,
    ) -> None:
        super().__init__(dim, dim_context)
        self.sizes = [dim // 2, dim - dim // 2]
        self.swap = swap
        dim_a, dim_b = reversed(self.sizes) if swap else self.sizes
        if dim_b == 0:
            raise ValueError("a coupling of dimension 1 has no second half to swap to")
        self.elementwise = elementwise
        self.subnet = MLP(dim_a + dim_context, dim_b * elementwise.n_params, hidden, gain)

    def _split(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        first, second = x.split(self.sizes, dim=1)
        x_a, x_b = (second, first) if self.swap else (first, second)
        return x_a, x_b, self.subnet(x_a if context is None else torch.cat([x_a, context], 1))

    def _join(self, x_a: Tensor, x_b: Tensor) -> Tensor:
        return torch.cat([x_b, x_a] if self.swap else [x_a, x_b], 1)

    def _forward(self, x: Points, context: Context) -> Moved:
        x_a, x_b, params = self._split(x, context)
        z_b, ladj = self.elementwise.forward(x_b, params)
        return self._join(x_a, z_b), ladj

    def _inverse(self, z: Points, context: Context) -> Moved:
        z_a, z_b, params = self._split(z, context)
        x_b, ladj = self.elementwise.inverse(z_b, params)
        return self._join(z_a, x_b), ladj
