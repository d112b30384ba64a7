"""One transform after another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inncli.transforms.base import Transform


class Chain(Transform):
    r"""Composition; log-dets add.

    .. math:: z = f_K(\dots f_1(x)), \quad \log|\det J| = \sum_k \log|\det J_k|

    A context goes to the parts that take one.
    """

    def __init__(self, dim: int, parts: Sequence[Transform]) -> None:
        super().__init__(dim, max((part.dim_context for part in parts), default=0))
        self.parts = nn.ModuleList(parts)

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(x.shape[0])
        for part in self.parts:
            x, ladj = part(x, context if part.dim_context else None)
            total = total + ladj
        return x, total

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        total = z.new_zeros(z.shape[0])
        for part in reversed(self.parts):
            z, ladj = part.inverse(z, context if part.dim_context else None)
            total = total + ladj
        return z, total

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Each part starts from the data as the parts before it leave them."""
        for part in self.parts:
            x = part.initialise(x, context if part.dim_context else None)
        return x

    @property
    def starts_from_data(self) -> bool:
        """Whether a part does."""
        return any(part.starts_from_data for part in self.parts)
