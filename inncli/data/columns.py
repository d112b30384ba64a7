"""Facts found in a column of measured numbers: its point masses, its resolution, a box that holds its values."""

from __future__ import annotations

import numpy as np

from inncli.numerics import circle
from inncli.variables import Bound, Circle

HEAP_SHARE = 0.02
HEAP_ROWS = 5
FINEST_STEP = 6  # decimals


def heaps(values: np.ndarray) -> tuple[float, ...]:
    """The point masses: values that at least 2 % of the rows, and 5 rows, share exactly, but not all rows do.

    Where no value is negative, 0 is a point mass however few rows share it: it lies on the column's bound.

    Shape: values (n,).
    """
    found, counts = np.unique(values, return_counts=True)
    heaped = (counts >= max(HEAP_ROWS, HEAP_SHARE * len(values))) | ((found == 0) & (found.min() == 0))
    return tuple(float(v) for v in found[heaped & (counts < len(values))])


def recording_step(values: np.ndarray) -> float:
    """The resolution: the step of the grid on which a column was recorded, 0 where it is continuous.

    A column of whole numbers has step 1. Any other column counts as recorded on a grid only where its values
    repeat: where it has a point mass, or at most half of its values are distinct. Its step is then the largest of
    1, .1, ..., 1e-6 of which all values are multiples. If there is none (1/3 is no multiple of any), the step is
    0; with a point mass, which needs a cell of its own, it is about a millionth of the column's width.

    Shape: values (n,). Units: those of the values.
    """
    if on_grid(values, 0):
        return 1.0
    heaped = bool(heaps(values))
    if not heaped and len(np.unique(values)) > len(values) / 2:
        return 0.0
    finest = 10.0 ** np.floor(np.log10(1e-6 * np.ptp(values))) if heaped else 0.0
    return next((10.0**-k for k in range(1, FINEST_STEP + 1) if on_grid(values, k)), float(finest))


def draws_step(values: np.ndarray) -> float:
    """The resolution of draws, as `recording_step` finds it in measured values.

    Beside a point mass what is continuous may be small: the cell of the point mass holds no other draw. Numbers beyond
    2^52 are whole, as floats are there, and continuous.

    Shape: values (n,). Units: those of the values.
    """
    step = recording_step(values)
    if not step or np.abs(values).min() >= 2.0**52:
        return 0.0
    if any(on_grid(values, decimals) for decimals in range(FINEST_STEP + 1)):
        return step
    apart = np.abs(values[:, None] - np.array(heaps(values)))
    nearest = apart[apart > 0].min(initial=step)
    return float(10.0 ** np.floor(np.log10(max(nearest, 1e-7 * np.ptp(values)))))


def circle_step(values: np.ndarray, on: Circle) -> float:
    """The resolution of a column on a circle: 0, that of `recording_step`, or a larger step that divides the circle.

    Sixteen wind directions are multiples of 22.5, not only of .1.

    Shape: values (n,). Units: those of the values.
    """
    step = recording_step(values)
    if not step:
        return 0.0
    period, found = on[1] - on[0], np.unique(circle.turned(values, on))
    gap = float(np.diff(found, append=found[0] + period).min())
    turns = np.append(found, period) / gap
    return gap if 1.5 * step < gap < period and (np.abs(turns - np.round(turns)) < 1e-6).all() else step


def ends(values: np.ndarray) -> Bound:
    """(low, high): the range of draws on a grid, open where fewer than 5 of them share the end.

    What follows a value that is common at the end of 10,000 draws is rarer than 1 in 2,000, or can't be. Beyond one
    that came once or twice, as in the tail of a Poisson count, further ones may well come.

    Shape: values (n,).
    """
    low, high = (float(end) if (values == end).sum() >= HEAP_ROWS else None for end in (values.min(), values.max()))
    return low, high


def on_grid(values: np.ndarray, decimals: int) -> bool:
    """Whether all values, (n,), are multiples of 10^-decimals, up to the rounding of their own precision."""
    return not off_grid(values, decimals).any()


def off_grid(values: np.ndarray, decimals: int) -> np.ndarray:
    """Which values are no multiples of 10^-decimals, up to their own rounding. Shape: (n,) to (n,) bool."""
    # A table of 32-bit numbers holds 0.1 as 0.10000000149.
    eps = np.finfo(np.float64 if more_than_32_bits(values).any() else np.float32).eps
    tolerance = np.minimum(2 * eps * np.abs(values), 0.05 * 10.0**-decimals)
    return np.abs(np.round(values, decimals) - values) > tolerance


def more_than_32_bits(values: np.ndarray) -> np.ndarray:
    """Which values lose digits as 32-bit floats. Shape: (n,) to (n,) bool."""
    return values != values.astype(np.float32)


def box(values: np.ndarray, margin: float, step: float) -> Bound:
    """(low, high): the range of the values widened by `margin` times its width at either end.

    A column without a negative value stays non-negative. On a grid the ends lie on the grid.

    Shape: values (n,). Units: those of the values.
    """
    lowest, highest = float(values.min()), float(values.max())
    width = highest - lowest
    low, high = lowest - margin * width, highest + margin * width
    if lowest >= 0:
        low = max(low, 0.0)
    if step:
        # inwards, but never past a value of the column
        low = min(round(float(np.ceil(low / step) * step), 12), lowest)
        high = max(round(float(np.floor(high / step) * step), 12), highest)
    return low, high
