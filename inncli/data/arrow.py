"""Columns of pyarrow as arrays: numbers, truth values or text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from inncli.errors import DataError

LONGEST_WORD = 10_000  # bytes of a cell of text


def column_of(path: Path, name: str, column: pa.ChunkedArray) -> np.ndarray:
    """A pyarrow column of n rows as float64, bool, or object (str or None), (n,)."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        for part in column.chunks:
            check_words(path, name, part.dictionary)
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(kind) and column.null_count == 0:
        truths: np.ndarray = column.cast(pa.int8()).to_numpy().astype(bool)
        return truths
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    if pa.types.is_primitive(column.type) and not pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        numbers: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy().copy()
        return numbers
    if pa.types.is_nested(kind):
        raise DataError(f"column {name!r} of {path} holds lists; a table has one value a cell")
    check_words(path, name, column)
    texts = (None if v is None else str(v).strip() for v in column.to_pylist())
    return np.array([text or None for text in texts], dtype=object)


def check_words(path: Path, name: str, words: pa.Array | pa.ChunkedArray) -> None:
    """Raises DataError for a text that is no label: one may stand in every row, and numpy gives each cell its room."""
    if not (pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
        return
    longest = pc.max(pc.binary_length(words)).as_py() or 0
    if longest > LONGEST_WORD:
        raise DataError(
            f"column {name!r} of {path} has a cell of {longest:,} bytes of text; shorten it to {LONGEST_WORD:,}, or "
            "leave the column out of the file"
        )


def line_of(error: Exception) -> str:
    """An exception's first line, short."""
    return " ".join((str(error).strip().splitlines() or [type(error).__name__])[0].split())[:200]
