"""Reads a table from CSV, Parquet, NPZ or NPY into named columns of numbers or text.

The file's bytes are read once, and parsed and hashed from that copy, so that a file that changes while it is read
can't be taken for the one on record. `inncli.data.chunks` reads tables that are too large for the memory.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv
from pyarrow import parquet

from inncli.data.layout import Roles, layout_of
from inncli.errors import DataError, did_you_mean
from inncli.io import npz
from inncli.io.harmless import unguarded

SUFFIXES = (".csv", ".tsv", ".parquet", ".npz", ".npy")
_CSV_SAMPLE_ROWS = 20
LONGEST_WORD = 10_000  # bytes of a cell of text
_ROUNDED_COMMA = re.compile(r"-?\d+,\d+")
_TIME = re.compile(r"\d{4}-\d\d-\d\d|\d\d?:\d\d")
_POINT = re.compile(r"\d\.\d")
Layout = tuple["tuple[str, ...] | None", "list[np.ndarray]", "Roles | None"]  # names, columns, roles


@dataclass(frozen=True)
class RawTable:
    """The columns of one file.

    Args:
        path: the file.
        sha256: hex digest of its bytes.
        names: one a column, or None for a CSV without a header.
        columns: each (n,): float64 with NaN where missing, bool, or object (str, None where missing).
        roles: the columns of x and of y, where the file itself tells (an NPZ with arrays x and y).
    """

    path: Path
    sha256: str
    names: tuple[str, ...] | None
    columns: tuple[np.ndarray, ...]
    roles: Roles | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0])


def read_table(path: str | Path) -> RawTable:
    """Reads a CSV (commas, semicolons, tabs; header or not; decimal commas), TSV, Parquet, NPZ or NPY file.

    Lines without a value at the end of a CSV are no rows (a spreadsheet leaves them behind); anywhere else
    an empty row is a row of missing values, so that what is said of row 3 is said of the third.

    Raises: DataError, one line, if the file is missing, empty, damaged, or not a table with rows.
    """
    path = known_path(path)
    data = _bytes(path)
    readers = {".npz": _read_npz, ".npy": _read_npy, ".parquet": _read_parquet}
    names, columns, roles = readers.get(path.suffix.lower(), _read_csv)(path, data)
    if names is not None:
        _check_names(path, names)
    if not columns:
        raise DataError(f"{path} has no columns")
    if not len(columns[0]):
        raise DataError(f"{path} has no rows below its header; add data" if names else f"{path} has no rows")
    return RawTable(path.resolve(), hashlib.sha256(data).hexdigest(), names, tuple(columns), roles)


def known_path(path: str | Path) -> Path:
    """The path of a table; DataError if its suffix is not a known one, or it is a pipe or a device."""
    path = Path(path).expanduser()
    if not path.suffix or path.suffix.lower() not in SUFFIXES:
        raise DataError(f"a table must be one of {', '.join(SUFFIXES)}, got {str(path)!r}; convert it first")
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe is waited for; the rest is told on opening
        raise DataError(f"a table must be a regular file, got {path}, which is a pipe or a device; write it to one")
    return path


def missing(column: np.ndarray) -> np.ndarray:
    """Where a column, (n,), has no value, (n,) bool. An infinite number is a value here."""
    if column.dtype == object:
        return np.array([value is None for value in column], dtype=bool)
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)


def odd_cells(column: np.ndarray) -> list[int]:
    """Which cells of a column of text, (n,), are no numbers."""
    odd = [i for i, value in enumerate(column) if value is not None and not _is_number(value)]
    # A decimal comma that was left as text is to blame only if no other cell is.
    return [i for i in odd if not _is_number(column[i].replace(",", "."))] or odd


def not_a_number(cell: str) -> tuple[str, str]:
    """What a cell of text holds, in a word, and what the user can do where a number is needed."""
    if _TIME.match(cell):
        return "times", "give them as numbers, e.g. days since the first,"
    return "text", "mend it"


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        folder = path.parent
        near = [p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES] if folder.is_dir() else []
        raise DataError(f"{path} is not there{did_you_mean(path.name, near)}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; pass a file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{path} can't be read ({getattr(error, 'strerror', None) or error})") from error
    if not data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{path} is empty")
    return data


def _check_names(path: Path, names: tuple[str, ...]) -> None:
    for i, name in enumerate(names):
        if not name:
            raise DataError(f"column {i + 1} of {path} has no name; name it in the header or delete it")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path} has more than one column named {twice[0]!r}; rename all but one")


def _read_csv(path: Path, data: bytes) -> Layout:
    every = _decode(path, data).split("\n")
    lines = [line for line in every if line.strip()]
    first_rows = lines[:_CSV_SAMPLE_ROWS]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(first_rows)
    header = _fields(first_rows[0], delimiter)
    if len(header) == 1:  # here an empty line is an empty cell
        lines = [line if line.strip() else "" for line in every[every.index(lines[0]) :]]
    while len(lines) > 1 and not lines[-1].strip(f'{delimiter}" \t'):
        lines.pop()
    text = "\n".join(lines) + "\n"
    comma = delimiter != "," and _ROUNDED_COMMA.search(text) and not _POINT.search(text)
    has_header = not all(_is_number(field.replace(",", ".") if comma else field) for field in header)
    if has_header and len(header) == 1 and len(header[0].split()) > 1 and _is_number(header[0].split()[0]):
        raise DataError(f"{path} must separate columns by commas, semicolons or tabs, got {first_rows[0].strip()!r}")
    try:
        table = pa_csv.read_csv(
            io.BytesIO(text.encode()),
            # One block, so that the type of a column is found from all its rows.
            read_options=pa_csv.ReadOptions(
                block_size=min(max(4 * len(text), 1 << 20), 2**31 - 1),
                autogenerate_column_names=not has_header,
                use_threads=False,
            ),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                decimal_point="," if comma else ".", strings_can_be_null=True, timestamp_parsers=[]
            ),
        )
    except pa.ArrowInvalid as error:
        if lines[0].lstrip().startswith("#"):  # a header may begin so too, but then it fits its rows
            raise DataError(
                f"{path} begins with a comment ({lines[0].strip()[:60]!r}); delete it, so that the header or the "
                "first row comes first"
            ) from error
        raise DataError(f"{path} is not a readable CSV table ({line_of(error)}); mend that row") from error
    names = tuple(unguarded(name.strip()) for name in table.column_names)
    columns = [_numbers(column_of(path, name, column)) for name, column in zip(names, table.columns, strict=True)]
    # A trailing delimiter on every line makes a last column with neither name nor values.
    while len(columns) > 1 and missing(columns[-1]).all() and not (has_header and names[-1]):
        names, columns = names[:-1], columns[:-1]
    return (names if has_header else None), columns, None


def _numbers(column: np.ndarray) -> np.ndarray:
    """Turns text into numbers where every cell is a number that pyarrow does not read, like +3."""
    if column.dtype != object:
        return column
    if not all(value is None or _is_number(value) for value in column):
        return np.array([None if value is None else unguarded(value) for value in column], dtype=object)
    return np.array([np.nan if value is None else float(value) for value in column])


def _decode(path: Path, data: bytes) -> str:
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            # Line ends of Windows and of old Macs become newlines.
            return text.replace("\r\n", "\n").replace("\r", "\n")
    raise DataError(f"{path} is not a text file; save it as CSV (UTF-8)")


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([line.strip("\n")], delimiter=delimiter))]
    except csv.Error as error:
        raise DataError(f"a line of the table can't be split into cells ({error}); shorten it") from error


def _delimiter(lines: list[str]) -> str:
    """The first of tab, semicolon and bar that splits all lines alike, else the comma."""
    for delimiter in "\t;|":
        counts = {len(_fields(line, delimiter)) for line in lines}
        if len(counts) == 1 and counts != {1}:
            return delimiter
    return ","


def _is_number(field: str) -> bool:
    # An empty cell in the first line of numbers is a missing number, not a name.
    try:
        float(field or "nan")
    except ValueError:
        return False
    return True


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
    return tuple(name.strip() for name in kept), columns, None


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


def _read_npz(path: Path, data: bytes) -> Layout:
    try:
        arrays = npz.read_npz(io.BytesIO(data))
    except ValueError as error:
        raise DataError(f"{path} is not a readable NPZ file of plain arrays ({line_of(error)})") from error
    return layout_of(path, arrays, lambda key, array: [plain(path, key, column) for column in _columns_of(array)])


def _read_npy(path: Path, data: bytes) -> Layout:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an archive of arrays; name it .npz")
    except (ValueError, OSError, EOFError, TypeError) as error:
        raise DataError(f"{path} is not a readable NPY file of plain numbers ({line_of(error)})") from error
    return layout_of(path, {"": array}, lambda key, array: [plain(path, key, column) for column in _columns_of(array)])


def _columns_of(array: np.ndarray) -> list[np.ndarray]:
    if array.dtype.names:
        return [array[name] for name in array.dtype.names]
    return [array] if array.ndim == 1 else list(array.T)


def plain(path: Path, key: str, column: np.ndarray) -> np.ndarray:
    """A column of an array, (n,), as float64, bool, or object (str or None), (n,)."""
    if column.dtype.kind in "iuf":
        return column.astype(np.float64)
    if column.dtype.kind == "b":
        return column
    if column.dtype.kind == "U":
        return np.array([str(v).strip() or None for v in column], dtype=object)
    raise DataError(f"array {key!r} of {path} must hold real numbers or text, got {column.dtype}")


def line_of(error: Exception) -> str:
    """An exception's first line, short."""
    return " ".join((str(error).strip().splitlines() or [type(error).__name__])[0].split())[:200]
