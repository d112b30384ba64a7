"""Subnets in a shorter float: their matmuls may be rounded, and nothing else."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

_dtype: torch.dtype | None = None  # of the subnets' matmuls, None for that of their input


@contextlib.contextmanager
def subnets_in(dtype: torch.dtype | None) -> Iterator[None]:
    """While entered, functions marked `subnet` multiply matrices in `dtype`."""
    global _dtype
    before, _dtype = _dtype, dtype
    try:
        yield
    finally:
        _dtype = before


def subnet(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Marks the forward of a subnet: its output may be rounded, since a transform takes any parameters.

    The output has the dtype of the input, so that the transform, its log-det above all, stays as exact as without
    rounding. Not for a net whose own derivative or inverse is needed: their rounding would not match.

    Args:
        forward: a method of one tensor x, and further tensors or None; each (B, ...), and so is what it returns.
    """

    @functools.wraps(forward)
    def rounded(self: Any, x: Tensor, *rest: Tensor | None) -> Tensor:
        if _dtype is None:
            return forward(self, x, *rest)
        # Without autocast's cache of rounded weights, which would outlive the step in a CUDA graph.
        with torch.autocast(x.device.type, _dtype, cache_enabled=False):
            return forward(self, x, *rest).to(x.dtype)

    return rounded
