"""Named arrays on disk: npz without pickle, and tables as CSV or Parquet. Shared by all result files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from inncli.errors import DataError, RequestError, ShapeError
from inncli.io import npz
from inncli.io.atomic import atomic_path
from inncli.io.harmless import guarded, unguarded
from inncli.io.permissions import closed
from inncli.io.untrusted import check_regular, parse_json

Labels = tuple["tuple[str, ...] | None", ...]  # a column's labels, None for a number


def check_suffix(path: str | Path, known: Sequence[str]) -> str:
    """The suffix of `path`, in small letters.

    Raises: RequestError if it is none of `known`. Ask before the work, not after it.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        raise RequestError(
            f"expected a file name that ends in one of {' '.join(known)}, got {str(path)!r}; change its suffix"
        )
    return suffix


def matrix(name: str, value: Any, shape: tuple[int | None, ...], words: str) -> np.ndarray:
    """`value`, anything like an array, as float64 of `shape`, where None stands for any size.

    Raises: ShapeError, which says what was expected in `words`, and what was got.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        raise ShapeError(f"{name}: expected {words}, got {array.shape}; check the order of its axes")
    return array


def names_of(letter: str, names: Iterable[str], dim: int) -> tuple[str, ...]:
    """`names` as a tuple.

    Raises: ShapeError if they are not `dim` different words.
    """
    names = tuple(str(name) for name in names)
    if len(names) != dim:
        raise ShapeError(f"{letter}_names: expected {dim} names, got {len(names)}; give one a column")
    if len(set(names)) != dim:
        twice = next(name for name in names if names.count(name) > 1)
        raise ShapeError(f"{letter}_names: expected distinct names, got {twice!r} twice; rename one")
    return names


def labels_of(labels: Iterable[Iterable[str] | None], y: np.ndarray) -> Labels:
    """`labels` as a tuple with an entry for each column of y; no labels at all stand for numbers throughout.

    Shape: y (n, Dy), label codes in categorical columns.
    Raises: ShapeError for a wrong number of entries; DataError for a code without a label.
    """
    found: Labels = tuple(None if entry is None else tuple(str(word) for word in entry) for entry in labels)
    found = found or (None,) * y.shape[1]
    if len(found) != y.shape[1]:
        raise ShapeError(f"y_labels: expected {y.shape[1]} entries, got {len(found)}; give one a column")
    for entry, column in zip(found, y.T, strict=True):
        if entry is not None and not np.isin(column, np.arange(len(entry))).all():
            raise DataError(
                f"expected codes 0 to {len(entry) - 1} for the labels {', '.join(entry)}, "
                f"got {column[~np.isin(column, np.arange(len(entry)))][0]:g}; pass codes"
            )
    return found


def to_outside(y: np.ndarray, labels: Labels) -> np.ndarray:
    """Y as the user writes it: floats, or unicode throughout where any column has labels.

    Shape: y (n, Dy), label codes in categorical columns; out (n, Dy).
    """
    if all(entry is None for entry in labels):
        return y
    columns = [column_outside(column, entry) for column, entry in zip(y.T, labels, strict=True)]
    # repr is the shortest text that reads back as the same float
    texts = [column if column.dtype.kind == "U" else [repr(float(v)) for v in column] for column in columns]
    outside: np.ndarray = np.array(texts, dtype=np.str_).T.reshape(y.shape)
    return outside


def column_outside(column: np.ndarray, labels: tuple[str, ...] | None) -> np.ndarray:
    """One column of y as the user writes it: the word of each code where it has labels. Shape: (n,) to (n,)."""
    words: np.ndarray = column if labels is None else np.array(labels, dtype=np.str_)[column.astype(int)]
    return words


def to_codes(y: np.ndarray, labels: Labels) -> np.ndarray:
    """The inverse of `to_outside`: float64, label codes in categorical columns. Shape: (n, Dy) to (n, Dy)."""
    if all(entry is None for entry in labels):
        return np.asarray(y, dtype=np.float64)
    columns = [column_codes(column, entry) for column, entry in zip(y.T, labels, strict=True)]
    codes: np.ndarray = np.array(columns).T.reshape(y.shape)
    return codes


def column_codes(column: np.ndarray, labels: tuple[str, ...] | None) -> np.ndarray:
    """The inverse of `column_outside`: float64. Shape: (n,) to (n,)."""
    if labels is None:
        return np.asarray(column, dtype=np.float64)
    code = {label: float(i) for i, label in enumerate(labels)}
    return np.array([code[str(value)] for value in column])


def distinct_columns(reserved: Iterable[str], **groups: Sequence[str]) -> dict[str, list[str]]:
    """Column names of one table for several groups of names: a name used twice becomes `<group>.<name>`.

    Args:
        reserved: names that the table has already.
        groups: the names of each group, in order.
    """
    reserved = set(reserved)
    every = [name for names in groups.values() for name in names]

    def clash(name: str) -> bool:
        return name in reserved or every.count(name) > 1

    out: dict[str, list[str]] = {}
    for group, names in groups.items():
        out[group] = []
        for name in names:
            column = f"{group}.{name}" if clash(name) else name
            while column in reserved or (column != name and column in every):
                column = f"{group}.{column}"
            reserved.add(column)
            out[group].append(column)
    return out


# ---- npz ---------------------------------------------------------------------------------------------
def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays of numbers and text of any shape, whole or not at all.

    Raises: TypeError for an array of objects, which would be a pickle.
    """
    if any(array.dtype == object for array in arrays.values()):
        raise TypeError("an array of objects would be written as a pickle")
    with atomic_path(path) as tmp, open(tmp, "wb") as f:
        np.savez(f, **arrays)  # type: ignore[arg-type]  # the stub gives `**arrays` to `allow_pickle` too


def read_npz(path: Path, what: str, needed: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of an npz file, by name, of any shape.

    Args:
        path: the file.
        what: what it should be, in words for an error.
        needed: names of arrays that it must hold.

    Raises: DataError if it is missing, no npz file, cut short, or without an array that is needed.
    """
    try:
        arrays = npz.read_npz(path)
    except FileNotFoundError:
        raise absent(path, what) from None
    except PermissionError:
        raise closed(path) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, what, error) from None
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise DataError(
            f"expected a {what} with {', '.join(needed)}, got {path} without "
            f"{', '.join(missing)}; is it another kind of file?"
        )
    return arrays


# ---- tables ------------------------------------------------------------------------------------------
def write_table(path: Path, columns: dict[str, np.ndarray], note: dict[str, Any]) -> None:
    """Writes columns as CSV or Parquet by suffix; Parquet keeps `note` in its schema's metadata.

    Shape: each column (n,), with the same n.
    """
    table = arrow_table(path, columns)
    with atomic_path(path) as tmp, open(tmp, "wb") as file:  # pyarrow itself opens no name that is not UTF-8
        if path.suffix.lower() == ".csv":
            csv.write_csv(table, file)
        else:
            noted = table.replace_schema_metadata({"inn": json.dumps(note)})
            parquet.write_table(noted, file, write_page_checksum=True)


def arrow_table(path: Path, columns: dict[str, np.ndarray]) -> pa.Table:
    """Columns as a table for a file of this suffix: in CSV no name and no text can be taken for a formula."""
    if path.suffix.lower() == ".csv":
        columns = {
            guarded(name): np.array([guarded(word) for word in values.tolist()], dtype=np.str_)
            if values.dtype.kind == "U"
            else values
            for name, values in columns.items()
        }
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def read_table(path: Path, what: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The columns of a CSV or Parquet file, in order, and the note of a Parquet file ({} without one).

    Shape: each column (n,): float64, or unicode where the file holds text.
    Raises: DataError, which calls the file `what`, if it is missing or damaged.
    """
    plain: Callable[[str], str] = unguarded if path.suffix.lower() == ".csv" else str
    try:
        check_regular(path)
        if path.suffix.lower() == ".csv":
            table = csv.read_csv(path)
        else:
            facts = parquet.read_metadata(path)
            _check_unpacked(path, facts)
            words = [field.name for field in facts.schema.to_arrow_schema() if _is_text(field.type)]
            # As codes and words: a long word that stands in every row would be unpacked for each.
            table = parquet.read_table(path, page_checksum_verification=True, read_dictionary=words)
        note = parse_json((table.schema.metadata or {}).get(b"inn", b"{}"))
        columns = {
            plain(name): _texts(path, column, plain) if _is_text(column.type) else column.to_numpy().astype(np.float64)
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    except FileNotFoundError:
        raise absent(path, what) from None
    except PermissionError:
        raise closed(path) from None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(path, what, error) from None
    return columns, note


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _texts(path: Path, column: pa.ChunkedArray, plain: Callable[[str], str]) -> np.ndarray:
    """A column of text as unicode, (n,). Raises: ValueError if that is far more than the file holds."""
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    # numpy gives every cell the room of the longest word
    longest = max((len(word or "") for part in coded.chunks for word in part.dictionary.to_pylist()), default=0)
    _check_growth(path, 4 * longest * len(column))
    parts = [
        np.array([plain(word) for word in part.dictionary.to_pylist()], dtype=np.str_)[part.indices.to_numpy()]
        for part in coded.chunks
    ]
    return np.concatenate([np.array([], dtype=np.str_), *parts])


def _check_unpacked(path: Path, facts: parquet.FileMetaData) -> None:
    """Raises ValueError for a Parquet file that would unpack to far more than its size: equal values take no bytes."""
    groups = [facts.row_group(k) for k in range(facts.num_row_groups)]
    _check_growth(
        path, max(8 * facts.num_rows * facts.num_columns, sum(max(group.total_byte_size, 0) for group in groups))
    )


def _check_growth(path: Path, unpacked: int) -> None:
    size = path.stat().st_size
    if unpacked > max(npz.SMALL, npz.RATIO * size):
        raise ValueError(f"{size:,} bytes unpack to {unpacked:,}")


def unreadable(path: Path, what: str, error: BaseException) -> DataError:
    """The error for a file that is there but damaged, or of another kind."""
    text = " ".join(str(error).split())[:200]
    return DataError(f"expected a {what}, got {path}, which can't be read ({text}); is it damaged or of another kind?")


def absent(path: Path, what: str) -> DataError:
    """The error for a file that is not there."""
    return DataError(f"expected a {what}, got {path}, which is not there; check the path")
