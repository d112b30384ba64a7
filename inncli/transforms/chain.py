"""One transform after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from inncli.transforms.base import Context, Moved, Points, Transform


class Chain(Transform):
    r"""Composition; log-dets add.

    .. math:: z = f_K(\dots f_1(x)), \quad \log|\det J| = \sum_k \log|\det J_k|

    A context goes to the parts that take one.
    """

    parts: Sequence[Transform]

    def __init__(self, dim: int, parts: Sequence[Transform]) -> None:
        super().__init__(dim, max((part.dim_context for part in parts), default=0))
        self.parts = cast("Sequence[Transform]", nn.ModuleList(parts))  # whose stubs know `Module` alone

    def _forward(self, x: Points, context: Context) -> Moved:
        total = x.new_zeros(x.shape[0])
        for part in self.parts:
            x, ladj = part(x, context if part.dim_context else None)
            total = total + ladj
        return x, total

    def _inverse(self, z: Points, context: Context) -> Moved:
        total = z.new_zeros(z.shape[0])
        for part in reversed(self.parts):
            z, ladj = part.inverse(z, context if part.dim_context else None)
            total = total + ladj
        return z, total

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Each part starts from the data as the parts before it leave them."""
        for part in self.parts:
            x = part.initialise(x, context if part.dim_context else None)
        return x

    @property
    def starts_from_data(self) -> bool:
        """Whether any part starts from the data."""
        return any(part.starts_from_data for part in self.parts)
