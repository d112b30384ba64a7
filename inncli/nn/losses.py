"""Losses of a regression, entry by entry: they train a forward network and invert it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Of the residual r = prediction - target: r^2, |r|, and Huber's r^2/2 up to 1, |r| - 1/2 beyond.
LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "mse": torch.square,
    "l1": torch.abs,
    "huber": lambda r: torch.where(r.abs() < 1, r.square() / 2, r.abs() - 0.5),
}
