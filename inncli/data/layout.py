"""How named arrays make a table: by matrices x and y, by an array for each column, or by one array alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from inncli.errors import DataError

Roles = tuple[tuple[str, ...], tuple[str, ...]]  # names of the columns of x, and of those of y


class Shaped(Protocol):
    """An array, or the header of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> np.dtype:
        """Its type."""


Array = TypeVar("Array", bound=Shaped)
Column = TypeVar("Column")


def layout_of(
    path: Path, arrays: Mapping[str, Array], columns_of: Callable[[str, Array], list[Column]]
) -> tuple[tuple[str, ...] | None, list[Column], Roles | None]:
    """(names, columns, roles) of named arrays, by their shapes alone.

    Args:
        path: the file, for an error.
        arrays: arrays or their headers, by name; the array of an .npy has the name "".
        columns_of: gives the columns of a (name, array).

    Raises: DataError if they are no table.
    """
    if "" in arrays:
        array = arrays[""]
        if len(array.shape) not in ((1,) if array.dtype.names else (1, 2)):
            raise DataError(
                f"{path} must hold a 2-D array (rows, columns) or a structured one, got shape {array.shape}"
            )
        return array.dtype.names, columns_of("", array), None
    if "x" in arrays and len(arrays["x"].shape) == 2:
        return _matrices(path, {key: arrays[key] for key in ("x", "y") if key in arrays}, columns_of)
    for key, array in arrays.items():
        if (len(array.shape) != 1 and array.shape[1:] != (1,)) or array.dtype.names:
            raise DataError(
                f"{path} must hold 2-D arrays x and y, or one 1-D array a column; {key!r} has shape {array.shape}"
            )
    _check_lengths(path, arrays)
    roles = (("x",), ("y",)) if set(arrays) == {"x", "y"} else None
    return tuple(arrays), [column for key, array in arrays.items() for column in columns_of(key, array)], roles


def _matrices(
    path: Path, arrays: Mapping[str, Array], columns_of: Callable[[str, Array], list[Column]]
) -> tuple[tuple[str, ...], list[Column], Roles]:
    names: dict[str, tuple[str, ...]] = {"x": (), "y": ()}
    columns: list[Column] = []
    _check_lengths(path, arrays)
    for key, array in sorted(arrays.items()):
        if len(array.shape) not in (1, 2):
            raise DataError(f"array {key!r} of {path} must be 2-D (rows, columns), got shape {array.shape}")
        found = columns_of(key, array)
        names[key] = tuple(f"{key}{i + 1}" for i in range(len(found)))
        columns += found
    return names["x"] + names["y"], columns, (names["x"], names["y"])


def _check_lengths(path: Path, arrays: Mapping[str, Shaped]) -> None:
    lengths = {key: value.shape[0] if value.shape else 0 for key, value in arrays.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise DataError(f"the arrays of {path} must have as many rows, got {got}")
