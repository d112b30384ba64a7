"""Tables that stay on disk: NPY, NPZ and Parquet files of which a block of rows is read at a time.

A block is a run of rows that can be read without reading those before it: any run of rows of an array that is not
compressed, or a row group of a Parquet file. Files are read and not mapped into memory: of a mapped file every page
that was ever looked at would count as memory in use.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from inncli.data import tables
from inncli.data.arrow import check_words, column_of, line_of
from inncli.data.layout import Roles, layout_of
from inncli.errors import DataError
from inncli.io import npz

SUFFIXES = (".npy", ".npz", ".parquet")
BLOCK = 16_384  # rows of an array that are read at once


@dataclass(frozen=True)
class Text:
    """A column of text: the code of each row's word, -1 where there is none.

    Shape: codes (n,), words (number of words,).
    """

    codes: np.ndarray
    words: np.ndarray


class Blocks(ABC):
    """A table on disk.

    Attributes:
        names: one for each column, as in a `tables.RawTable`.
        columns: a handle for each column, which `read` takes.
        roles: as in a `tables.RawTable`.
        notes: as in a `tables.RawTable`.
        sizes: rows of each block.
    """

    sizes: tuple[int, ...]
    names: tuple[str, ...] | None
    columns: Sequence[Any]
    roles: Roles | None = None
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp = self._now()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.sizes)

    def read(self, block: int, columns: Sequence[Any]) -> list[np.ndarray | Text]:
        """The columns of one block: float64 with NaN where missing, bool, or `Text`; each (rows of the block,).

        Raises: DataError if the file is damaged, or has changed since it was opened.
        """
        if self._now() != self._stamp:
            raise DataError(f"{self.path} has changed while it was being read; start again when it is finished")
        return self._read(block, columns)

    @abstractmethod
    def _read(self, block: int, columns: Sequence[Any]) -> list[np.ndarray | Text]: ...

    def _now(self) -> tuple[int, int, int]:
        """What changes when the file does."""
        try:
            stat = os.stat(self.path)
        except OSError as error:
            raise DataError(f"{self.path} can't be read ({error.strerror})") from error
        return stat.st_ino, stat.st_size, stat.st_mtime_ns


def open_blocks(path: Path) -> Blocks:
    """The table of an .npy, .npz or .parquet file; only its headers are read.

    Raises: DataError, one line, if it is damaged, no table, or compressed in a way that has no blocks.
    """
    blocks = ParquetBlocks(path) if path.suffix.lower() == ".parquet" else ArrayBlocks(path)
    if blocks.names is not None:
        blocks.names, changed = tables.checked_names(path, blocks.names)
        blocks.notes = tuple(changed)
    return blocks


def cells(path: Path) -> int | None:
    """Rows times columns by the file's headers alone; None where the headers can't be read."""
    try:
        if path.suffix.lower() == ".parquet":
            facts = parquet.read_metadata(path)
            return int(facts.num_rows * facts.num_columns)
        return sum(
            int(np.prod(member.shape)) * max(len(member.dtype.names or ()), 1) for member in _members(path).values()
        )
    except Exception:  # whatever is wrong with it, the reader that comes next says so
        return None


# ---- arrays ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Member:
    """One array in a file: where its first number lies, None where it is compressed."""

    path: Path
    offset: int | None
    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool

    def rows(self, start: int, stop: int) -> np.ndarray:
        with open(self.path, "rb") as file:
            if self.fortran and len(self.shape) == 2:
                parts = [
                    self._run(file, column * self.shape[0] + start, stop - start) for column in range(self.shape[1])
                ]
                return np.stack(parts, axis=1)
            width = self.shape[1] if len(self.shape) == 2 else 1
            values = self._run(file, start * width, (stop - start) * width)
            return values.reshape(-1, width) if len(self.shape) == 2 else values

    def _run(self, file: IO[bytes], first: int, count: int) -> np.ndarray:
        assert self.offset is not None  # `ArrayBlocks` refuses compressed arrays
        file.seek(self.offset + first * self.dtype.itemsize)
        values = np.fromfile(file, self.dtype, count)
        if len(values) < count:
            raise DataError(f"{self.path} is cut short; write it again")
        return values


class ArrayBlocks(Blocks):
    """A 2-D or structured .npy, or an .npz of arrays x and y or of an array a column, not compressed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            members = _members(path)
        except (OSError, ValueError, zipfile.BadZipFile, struct.error, EOFError) as error:
            raise DataError(f"{path} is not a readable file of plain arrays ({line_of(error)})") from error
        self.names, self.columns, self.roles = layout_of(path, members, _handles)
        packed = [key for key, member in members.items() if member.offset is None]
        if packed:
            raise DataError(
                f"{path} is compressed (array {packed[0]!r}) and too large for task.memory_mb; save it with np.savez "
                "instead of np.savez_compressed, or as Parquet, or raise task.memory_mb"
            )
        for _, member, _ in self.columns:
            if member.dtype.hasobject:
                raise DataError(f"{path} holds Python objects; save plain numbers")
        n = self.columns[0][1].shape[0] if self.columns else 0
        self.sizes = tuple(min(BLOCK, n - start) for start in range(0, n, BLOCK))

    def _read(self, block: int, columns: Sequence[Handle]) -> list[np.ndarray | Text]:
        start = block * BLOCK
        stop = start + self.sizes[block]
        members = {key: member for key, member, _ in columns}
        arrays = {key: member.rows(start, stop) for key, member in members.items()}
        return [
            _plain(
                self.path,
                key,
                arrays[key] if at is None else arrays[key][at] if isinstance(at, str) else arrays[key][:, at],
            )
            for key, _, at in columns
        ]


Handle = tuple[str, _Member, "str | int | None"]


def _handles(key: str, member: _Member) -> list[Handle]:
    """A handle for each column of an array: its key, the array, and the column's place in it."""
    if member.dtype.names:
        return [(key, member, name) for name in member.dtype.names]
    return [(key, member, None)] if len(member.shape) == 1 else [(key, member, i) for i in range(member.shape[1])]


def _plain(path: Path, key: str, column: np.ndarray) -> np.ndarray | Text:
    if column.dtype.kind == "U" and column.ndim == 1:
        words, codes = np.unique(np.char.strip(column), return_inverse=True)
        codes = codes.reshape(-1)
        return Text(np.where(words[codes] == "", -1, codes), words)
    return tables.plain(path, key, column)


def _members(path: Path) -> dict[str, _Member]:
    """The arrays of a file by name, by their headers; an .npy has one, without a name."""
    if path.suffix.lower() == ".npy":
        with open(path, "rb") as file:
            return {"": _Member(path, *npz.read_header(file, os.fstat(file.fileno()).st_size))}
    found = {}
    with zipfile.ZipFile(path) as archive, open(path, "rb") as raw:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            with archive.open(info) as file:
                offset, dtype, shape, fortran = npz.read_header(file, info.file_size, info.filename)
            stored = info.compress_type == zipfile.ZIP_STORED
            if stored:
                raw.seek(info.header_offset + 26)  # the header before the data has lengths of its own
                name, extra = struct.unpack("<HH", raw.read(4))
                offset += info.header_offset + 30 + name + extra
                if offset + dtype.itemsize * math.prod(shape) > os.fstat(raw.fileno()).st_size:
                    raise ValueError(f"{info.filename} declares more than the file holds")
            found[info.filename.removesuffix(".npy")] = _Member(path, offset if stored else None, dtype, shape, fortran)
    return found


# ---- Parquet -----------------------------------------------------------------------------------------
class ParquetBlocks(Blocks):
    """A Parquet file; its row groups are the blocks."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._file = parquet.ParquetFile(path, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is not a readable Parquet file ({line_of(error)})") from error
        names = self._file.schema_arrow.names
        self.columns = tuple(tables.kept_columns(path, names))
        self.names = tuple(self.columns)
        facts = self._file.metadata
        self.sizes = tuple(facts.row_group(i).num_rows for i in range(facts.num_row_groups))
        tables.check_room(path, 8 * max(self.sizes, default=0) * len(self.columns))  # of a block of them

    def _read(self, block: int, columns: Sequence[str]) -> list[np.ndarray | Text]:
        try:
            table = self._file.read_row_group(block, columns=list(columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{self.path} is damaged in row group {block} ({line_of(error)}); write it again"
            ) from error
        return [self._column(name, table.column(name)) for name in columns]

    def _column(self, name: str, column: pa.ChunkedArray) -> np.ndarray | Text:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        is_text = not (
            pa.types.is_primitive(kind)
            or pa.types.is_decimal(kind)
            or pa.types.is_null(kind)
            or pa.types.is_nested(kind)
        ) or pa.types.is_temporal(kind)
        if not is_text:
            return column_of(self.path, name, column)
        coded = (column if pa.types.is_dictionary(column.type) else column.dictionary_encode()).unify_dictionaries()
        coded = coded.combine_chunks()
        coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
        check_words(self.path, name, coded.dictionary)
        words = np.array([str(word).strip() for word in coded.dictionary.to_pylist()], dtype=np.str_)
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return Text(np.where((codes < 0) | (np.append(words, "") == "")[codes], -1, codes), words)
