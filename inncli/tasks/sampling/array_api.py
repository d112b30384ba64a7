"""Elementwise functions of NumPy arrays and torch tensors alike, so that one formula serves simulation and gradients.

Tasks don't import torch: a tensor brings its own methods.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # a NumPy array or a torch tensor: a function returns what it was given


def sin(x: Array) -> Array:
    """The sine of each entry, in the shape of x."""
    return np.sin(x) if isinstance(x, np.ndarray) else x.sin()


def cos(x: Array) -> Array:
    """The cosine of each entry, in the shape of x."""
    return np.cos(x) if isinstance(x, np.ndarray) else x.cos()


def exp(x: Array) -> Array:
    """The exponential of each entry, in the shape of x."""
    return np.exp(x) if isinstance(x, np.ndarray) else x.exp()


def expm1(x: Array) -> Array:
    """exp(x) - 1 of each entry, without cancellation near 0."""
    return np.expm1(x) if isinstance(x, np.ndarray) else x.expm1()


def log(x: Array) -> Array:
    """The natural logarithm of each entry, in the shape of x."""
    return np.log(x) if isinstance(x, np.ndarray) else x.log()


def at_least(x: Array, low: float) -> Array:
    """Each entry, or `low` where the entry is below it, in the shape of x."""
    return np.maximum(x, low) if isinstance(x, np.ndarray) else x.clamp_min(low)


def where(condition: Array, x: Array, other: Array) -> Array:
    """Entries of x where the condition holds, of `other` elsewhere; all of one shape."""
    return np.where(condition, x, other) if isinstance(x, np.ndarray) else x.where(condition, other)


def detached(x: Array) -> Array:
    """The same numbers and shape, without a gradient."""
    return x if isinstance(x, np.ndarray) else x.detach()


def stack(columns: list[Array]) -> Array:
    """Columns (n,) side by side, (n, D)."""
    first = columns[0]
    return np.stack(columns, -1) if isinstance(first, np.ndarray) else _torch_of(first).stack(columns, -1)


def _torch_of(tensor: Array) -> ModuleType:
    return sys.modules[type(tensor).__module__]
