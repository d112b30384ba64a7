"""The embedding of y: from its features to the context of the transforms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from inncli.nn.autocast import subnet


class Embedding(nn.Module):
    """What is passed on beside a learned function of what is seen: [p, g(f)], so that couplings see both.

    Shape: f (B, dim_in), p (B, dim_passed) to (B, dim_passed + dim_learned); p is f where it is not given.
    """

    def __init__(
        self, dim_in: int, dim_learned: int, dim_passed: int | None = None, hidden: Sequence[int] = (64,)
    ) -> None:
        super().__init__()
        self.dim_out = (dim_in if dim_passed is None else dim_passed) + dim_learned
        layers: list[nn.Module] = []
        widths = [dim_in, *hidden]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(widths[-1], dim_learned)) if dim_learned else None

    @subnet
    def forward(self, features: Tensor, passed: Tensor | None = None) -> Tensor:
        """The context: (B, dim_in) to (B, dim_out)."""
        passed = features if passed is None else passed
        return passed if self.net is None else torch.cat([passed, self.net(features)], 1)
