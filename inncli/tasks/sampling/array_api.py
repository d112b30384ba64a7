"""Elementwise functions of NumPy arrays and torch tensors alike, so that one formula serves simulation and gradients.

Tasks don't import torch: a tensor brings its own methods.
"""

from __future__ import annotations

import sys

import numpy as np


def sin(x):
    """The sine of each entry."""
    return np.sin(x) if isinstance(x, np.ndarray) else x.sin()


def cos(x):
    """The cosine of each entry."""
    return np.cos(x) if isinstance(x, np.ndarray) else x.cos()


def exp(x):
    """The exponential of each entry."""
    return np.exp(x) if isinstance(x, np.ndarray) else x.exp()


def expm1(x):
    """exp(x) - 1 of each entry, without cancellation near 0."""
    return np.expm1(x) if isinstance(x, np.ndarray) else x.expm1()


def log(x):
    """The natural logarithm of each entry."""
    return np.log(x) if isinstance(x, np.ndarray) else x.log()


def at_least(x, low):
    """Each entry, or `low` where it is below."""
    return np.maximum(x, low) if isinstance(x, np.ndarray) else x.clamp_min(low)


def where(condition, x, other):
    """Entries of x where the condition holds, of `other` elsewhere."""
    return np.where(condition, x, other) if isinstance(x, np.ndarray) else x.where(condition, other)


def detached(x):
    """The same numbers, through which no gradient flows."""
    return x if isinstance(x, np.ndarray) else x.detach()


def stack(columns):
    """Columns (n,) side by side, (n, D)."""
    first = columns[0]
    return np.stack(columns, -1) if isinstance(first, np.ndarray) else _torch_of(first).stack(columns, -1)


def _torch_of(tensor):
    return sys.modules[type(tensor).__module__]
