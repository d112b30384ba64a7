"""Mean, sd and quantiles, by which a table sums up draws; of values on a circle, too."""

from __future__ import annotations

import numpy as np

from inncli.numerics import circle
from inncli.variables import Circle

QUANTILES = (0.05, 0.5, 0.95)
HARMLESS = 1e-9  # sds: a mean that is off by less is shown as it is


def mean(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """The mean along an axis, see `mean_and_variance`."""
    return mean_and_variance(values, axis)[0]


def sd(values: np.ndarray, axis: int = 0, ddof: int = 0) -> np.ndarray:
    """The standard deviation along an axis, over n - ddof, see `mean_and_variance`."""
    return mean_and_sd(values, axis, ddof)[1]


def mean_and_sd(
    values: np.ndarray, axis: int = 0, ddof: int = 0, keepdims: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation along an axis, see `mean_and_variance`."""
    middle, variance = mean_and_variance(values, axis, ddof, keepdims)
    return middle, np.sqrt(variance)


def mean_and_variance(
    values: np.ndarray, axis: int = 0, ddof: int = 0, keepdims: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance along an axis, also where the values lie far from 0.

    A plain sum of 20,000 values near 1e12 that scatter by .3 gives a mean that is off by .2. What is left after that
    mean is subtracted is small, and its sum exact: it corrects both, where it can be seen.

    Args:
        values: numbers; what is not finite gives NaN.
        axis: along which they are summed.
        ddof: the variance is over n - ddof.
        keepdims: whether the axis stays, with length 1.

    Shape: each result is that of `values` without the axis. Units: those of the values; their square.
    Reference: Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance (corrected two-pass).
    """
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # of what is not finite
        middle = values.mean(axis, keepdims=True)
        variance = values.var(axis, ddof=ddof, keepdims=True)
        rest = values - middle
        off = rest.mean(axis, keepdims=True)
        seen = np.abs(off) > HARMLESS * np.sqrt(variance)
        if seen.any():
            middle = np.where(seen, middle + off, middle)
            variance = np.where(seen, rest.var(axis, ddof=ddof, keepdims=True), variance)
    return (middle, variance) if keepdims else (middle.squeeze(axis), variance.squeeze(axis))


def statistics(values: np.ndarray, axis: int = 0, on: Circle | None = None) -> dict[str, np.ndarray]:
    """Computes mean, sd (over n, not n - 1), q05, q50 and q95 along an axis.

    On a circle the mean is the mean direction, in [low, high). Values count as they lie within half a period of it: the
    sd is the root mean square of how far they are from it, the shorter way round, and a quantile may lie outside
    [low, high), so that q05 <= q50 <= q95.

    Args:
        values: numbers.
        axis: along which they are summed up.
        on: the circle on which they lie; None is a line.

    Shape: each result is that of `values` without the axis. Units: those of the values.
    """
    if on is None:
        middle, spread = mean_and_sd(values, axis)
    else:
        centre = circle.mean(values, on, axis, keepdims=True)
        values = circle.unrolled(values, centre, on)
        middle, spread = centre.squeeze(axis), np.sqrt(((values - centre) ** 2).mean(axis))
    quantiles = np.quantile(values, QUANTILES, axis=axis)
    return {
        "mean": middle,
        "sd": spread,
        **{name_of_quantile(q): value for q, value in zip(QUANTILES, quantiles, strict=True)},
    }


def name_of_quantile(q: float) -> str:
    """Names a quantile as a table does: `q05` for 0.05."""
    return f"q{100 * q:02.0f}"
