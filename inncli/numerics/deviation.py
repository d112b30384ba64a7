"""The standard deviation of numbers of any size."""

from __future__ import annotations

import torch
from torch import Tensor

from inncli.types import Float

FURTHEST = 1000  # binary orders of magnitude by which numbers are moved, less than there are


def standard_deviation(values: Float[Tensor, "rows dim"]) -> Float[Tensor, " dim"]:
    """The standard deviation of each column, over n.

    The square of 1e-200 is 0, that of 1e200 infinite: a column would count as constant, or as one without a scale. So
    each is first divided by a power of two near its largest value, which changes no digit of an ordinary column.

    Shape: values (n, dim), float64. Units: those of the values.
    """
    exponent = torch.frexp(values.abs().amax(0)).exponent.clamp(-FURTHEST, FURTHEST)
    unit = torch.ldexp(torch.ones_like(values[0]), exponent)
    return (values / unit).std(0, correction=0) * unit
