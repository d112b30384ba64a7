"""Reads a table from CSV, Parquet, NPZ or NPY into named columns of numbers or text.

The file's bytes are read once, and parsed and hashed from that copy, so that a file that changes while it is read
can't be taken for the one on record. `inncli.data.chunks` reads tables that are too large for the memory.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from inncli.data.arrow import column_of, line_of
from inncli.data.cells import Reading
from inncli.data.csv_table import read_csv
from inncli.data.layout import Roles, layout_of
from inncli.data.names import plain_names
from inncli.errors import DataError, did_you_mean
from inncli.io import npz
from inncli.io.paths import user_path
from inncli.io.permissions import closed

SUFFIXES = (".csv", ".tsv", ".parquet", ".npz", ".npy")
Layout = tuple["tuple[str, ...] | None", "list[np.ndarray]", "Roles | None"]  # names, columns, roles


@dataclass(frozen=True)
class RawTable:
    """The columns of one file.

    Args:
        path: the file.
        sha256: hex digest of its bytes.
        names: one a column, "" where the file gives none; None for a CSV without a header.
        columns: each (n,): float64 with NaN where missing, bool, or object (str, None where missing).
        roles: the columns of x and of y, where the file itself tells (an NPZ with arrays x and y).
        notes: what was left out or called otherwise, one line each.
        readings: by its position, a column whose cells were read in another notation than the plain one.
        doubts: by its position, why the cells of a column that was left as text may be numbers.
    """

    path: Path
    sha256: str
    names: tuple[str, ...] | None
    columns: tuple[np.ndarray, ...]
    roles: Roles | None = None
    notes: tuple[str, ...] = ()
    readings: Mapping[int, Reading] = field(default_factory=dict)
    doubts: Mapping[int, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0])


def read_table(path: str | Path, header: bool | None = None) -> RawTable:
    """Reads a CSV (commas, semicolons, tabs; header or not; decimal commas), TSV, Parquet, NPZ or NPY file.

    Lines without a value at the end of a CSV are no rows (a spreadsheet leaves them behind); anywhere else
    an empty row is a row of missing values, so that what is said of row 3 is said of the third.

    Args:
        path: the file.
        header: whether the first line of a CSV holds the names of its columns; None tells by its looks.

    Raises: DataError, one line, if the file is missing, empty, damaged, or not a table with rows.
    """
    path = known_path(path)
    data = _bytes(path)
    readers = {".npz": _read_npz, ".npy": _read_npy, ".parquet": _read_parquet}
    read = readers.get(path.suffix.lower())
    notes: tuple[str, ...] = ()
    readings: Mapping[int, Reading] = {}
    doubts: Mapping[int, str] = {}
    roles: Roles | None = None
    if read is None:
        found = read_csv(path, data, header)
        names, columns, notes, readings, doubts = (
            found.names,
            list(found.columns),
            found.notes,
            found.readings,
            found.doubts,
        )
    else:
        names, columns, roles = read(path, data)
    if names is not None:
        names, changed = checked_names(path, names)
        notes += tuple(changed)
    if not columns:
        raise DataError(f"{path} has no columns")
    if not len(columns[0]):
        raise DataError(f"{path} has no rows below its header; add data" if names else f"{path} has no rows")
    digest = hashlib.sha256(data).hexdigest()
    return RawTable(path.resolve(), digest, names, tuple(columns), roles, notes, readings, doubts)


def checked_names(path: Path, names: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """The names of a table's columns as every file can hold them, and a line for each that changed.

    Raises: DataError if two columns have one name.
    """
    plain, changed = plain_names(names)
    twice = [name for name, count in Counter(plain).items() if name and count > 1]
    if twice:
        raise DataError(f"{path} has more than one column named {twice[0]!r}; rename all but one")
    return plain, changed


def known_path(path: str | Path) -> Path:
    """The path of a table; DataError if its suffix is not a known one, or it is a pipe or a device."""
    path = user_path(path)
    if not path.suffix or path.suffix.lower() not in SUFFIXES:
        raise DataError(f"a table must be one of {', '.join(SUFFIXES)}, got {str(path)!r}; convert it first")
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe is waited for; the rest is told on opening
        raise DataError(f"a table must be a regular file, got {path}, which is a pipe or a device; write it to one")
    return path


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        folder = path.parent
        near = [p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES] if folder.is_dir() else []
        raise DataError(f"{path} is not there{did_you_mean(path.name, near)}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; pass a file in it") from None
    except PermissionError:
        raise closed(path) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{path} can't be read ({getattr(error, 'strerror', None) or error})") from error
    if not data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{path} is empty")
    return data


def _read_parquet(path: Path, data: bytes) -> Layout:
    try:
        facts = parquet.read_metadata(pa.BufferReader(data))
        check_room(path, 8 * facts.num_rows * facts.num_columns)
        words = [field.name for field in facts.schema.to_arrow_schema() if pa.types.is_string(field.type)]
        # As codes and words: a word that stands in every row is unpacked once, and looked at first.
        table = parquet.read_table(pa.BufferReader(data), read_dictionary=words)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file ({line_of(error)})") from error
    kept = kept_columns(path, table.column_names)
    columns = [column_of(path, name, table.column(name)) for name in kept]
    return tuple(kept), columns, None


def check_room(path: Path, size: int) -> None:
    """Raises DataError if a table needs more memory than this machine has: equal values take no bytes in a file."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > there:
        raise DataError(
            f"{path} declares {size:,} bytes of numbers, this machine has {there:,} bytes of memory; take fewer rows"
        )


def kept_columns(path: Path, names: list[str]) -> list[str]:
    """The columns of a Parquet file that hold data.

    Raises: DataError if two of them have one name.
    """
    # pandas keeps its row numbers in a column of this name
    kept = [name for name in names if not re.fullmatch(r"__index_level_\d+__", name)]
    twice = [name for name, count in Counter(kept).items() if count > 1]
    if twice:
        raise DataError(f"{path} has more than one column named {twice[0]!r}; rename all but one")
    return kept


def _read_npz(path: Path, data: bytes) -> Layout:
    try:
        arrays = npz.read_npz(io.BytesIO(data))
    except ValueError as error:
        raise DataError(f"{path} is not a readable NPZ file of plain arrays ({line_of(error)})") from error
    return layout_of(path, arrays, lambda key, array: [plain(path, key, column) for column in _columns_of(array)])


def _read_npy(path: Path, data: bytes) -> Layout:
    try:
        if data[:2] == b"PK":
            raise ValueError("it is an archive of arrays; name it .npz")
        npz.read_header(io.BytesIO(data), len(data))
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError, TypeError) as error:
        raise DataError(f"{path} is not a readable NPY file of plain numbers ({line_of(error)})") from error
    return layout_of(path, {"": array}, lambda key, array: [plain(path, key, column) for column in _columns_of(array)])


def _columns_of(array: np.ndarray) -> list[np.ndarray]:
    if array.dtype.names:
        return [array[name] for name in array.dtype.names]
    return [array] if array.ndim == 1 else list(array.T)


def plain(path: Path, key: str, column: np.ndarray) -> np.ndarray:
    """A column of an array, (n,), as float64, bool, or object (str or None), (n,). Raises: DataError for another."""
    if column.ndim != 1:
        named = f"column {key!r}" if key else "a column"
        raise DataError(f"{named} of {path} holds lists; a table has one value a cell")
    if column.dtype.kind in "iuf":
        return column.astype(np.float64)
    if column.dtype.kind == "b":
        return column
    if column.dtype.kind == "U":
        return np.array([str(v).strip() or None for v in column], dtype=object)
    raise DataError(f"array {key!r} of {path} must hold real numbers or text, got {column.dtype}")
