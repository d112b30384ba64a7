"""Codes that stand for a missing value, which the user names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inncli.data.cells import is_number, read_numbers


def without_codes(column: np.ndarray, codes: Sequence[str | float]) -> np.ndarray:
    """A column in which cells that equal a code are missing; text that is numbers without them becomes numbers.

    Args:
        column: (n,) float64 with NaN where missing, bool, or object (str, None where missing).
        codes: numbers, or words as a cell holds them.
    """
    if not codes or column.dtype == bool:
        return column
    if column.dtype != object:
        numbers = [float(code) for code in codes if not isinstance(code, str) or is_number(code)]
        return np.where(np.isin(column, numbers), np.nan, column)
    words = {str(code) for code in codes}
    kept = np.array([None if cell in words else cell for cell in column], dtype=object)
    reading = read_numbers(kept, points=True)
    return kept if reading is None else reading.values
