"""Columns whose numbers may not be what they seem: codes for a missing value, numbers that count the rows, totals."""

from __future__ import annotations

import numpy as np

FAR = 3.0  # widths of all other values between a code and the nearest of them
_OFTEN_CODES = (1e8, 1e20, 1e30, 1e31, 2.0**31 - 1, -(2.0**31), 32767.0, -32768.0)


def missing_code(values: np.ndarray) -> float | None:
    """A value at the end of a column's range that is likely to stand for a missing one; None if there is none.

    It lies farther from all other values than those lie apart, and is written as such codes are (-999, 9999, 1e30), or
    lies still farther away and stands in several rows.

    Shape: values (n,), finite. Units: those of the values.
    """
    found, counts = np.unique(values, return_counts=True)
    if len(found) < 4:
        return None
    for i, nearest, rest in ((0, 1, found[1:]), (-1, -2, found[:-1])):
        gap, width = abs(found[i] - found[nearest]), np.ptp(rest)
        often = counts[i] > 1 and float(found[i]).is_integer() and gap > FAR * max(width, abs(found[nearest]))
        if gap > width and (often or _is_code(float(found[i]))):
            return float(found[i])
    return None


def _is_code(value: float) -> bool:
    """Whether a number is written as codes for a missing value are: 99, -999.0, -9999, 999.99, -888, 1e30."""
    if value in _OFTEN_CODES or -value in _OFTEN_CODES:
        return True
    digits = f"{abs(value):.10g}".replace(".", "")
    return len(digits) > 1 and len(set(digits)) == 1 and digits[0] in "789"


def counts_rows(values: np.ndarray) -> bool:
    """Whether a column merely counts the rows, from 0 or from 1. Shape: values (n,)."""
    n = len(values)
    return n > 1 and values[0] in (0, 1) and bool((values == values[0] + np.arange(n)).all())


def ends_in_total(values: np.ndarray) -> bool:
    """Whether the last value is the sum of all others, and lies beyond them. Shape: values (n,)."""
    rest, last = values[:-1], values[-1]
    if len(rest) < 4 or rest.min() <= last <= rest.max():
        return False
    return bool(abs(rest.sum() - last) <= 1e-4 * np.abs(rest).sum())
