"""Result files written a block of rows at a time: whole or not at all, whatever their size.

with table_writer("set.parquet", note) as write:
    for block in blocks:
        write(columns)
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from inncli.io.atomic import atomic_path
from inncli.io.tables import arrow_table


@contextlib.contextmanager
def table_writer(path: Path, note: dict[str, Any]) -> Iterator[Callable[[dict[str, np.ndarray]], None]]:
    """Yields write(columns), which adds rows to a CSV or Parquet file as `tables.write_table` would write them.

    Args:
        path: the file; its suffix tells the format.
        note: JSON-ready facts, which a Parquet file keeps in its schema's metadata.

    Shape: each column of one call (n,), with the same n.
    """
    with whole(path) as tmp, open(tmp, "wb") as out, contextlib.ExitStack() as stack:
        file: csv.CSVWriter | parquet.ParquetWriter | None = None

        def write(columns: dict[str, np.ndarray]) -> None:
            nonlocal file
            table = arrow_table(path, columns).replace_schema_metadata({"inn": json.dumps(note)})
            if file is None:
                file = stack.enter_context(_table(path, out, table.schema))
            file.write_table(table)

        yield write


def _table(path: Path, out: IO[bytes], schema: pa.Schema) -> csv.CSVWriter | parquet.ParquetWriter:
    if path.suffix.lower() == ".csv":
        return csv.CSVWriter(out, schema)
    return parquet.ParquetWriter(out, schema)


@contextlib.contextmanager
def npz_writer(
    path: Path, kinds: dict[str, tuple[tuple[int, ...], np.dtype]], arrays: dict[str, np.ndarray]
) -> Iterator[Callable[[dict[str, np.ndarray]], None]]:
    """Yields write(parts), which adds rows to some arrays of an .npz file; the file is as np.savez writes it.

    An archive holds one array after another. So the rows of the first array go straight into the archive, and those of
    the others wait in nameless temporary files beside it.

    Args:
        path: the file.
        kinds: shape and type of each array that is written by rows.
        arrays: further arrays, which are written whole after those.

    Shape: each array of one call (n, ...), with the same n; the n of all calls sum to the first number of its shape.
    """
    first, *others = kinds
    with whole(path) as tmp, contextlib.ExitStack() as stack:
        waiting = {name: stack.enter_context(tempfile.TemporaryFile(dir=path.parent)) for name in others}
        archive = stack.enter_context(zipfile.ZipFile(tmp, "w", allowZip64=True))
        with _member(archive, first, *kinds[first]) as member:

            def write(parts: dict[str, np.ndarray]) -> None:
                for name, file in {first: member, **waiting}.items():
                    file.write(np.ascontiguousarray(parts[name], dtype=kinds[name][1]).tobytes())

            yield write
        for name, file in waiting.items():
            file.seek(0)
            with _member(archive, name, *kinds[name]) as member:
                shutil.copyfileobj(file, member, 1 << 20)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


@contextlib.contextmanager
def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype) -> Iterator[IO[bytes]]:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        yield member


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """`atomic_path`, with errors that name the file; those of libraries often don't."""
    try:
        with atomic_path(path) as tmp:
            yield tmp
    except OSError as error:
        full = "o space left" in str(error)  # pyarrow and HDF5 keep no error number
        raise OSError(
            error.errno or 0, "No space left on device" if full else error.strerror or str(error), str(path)
        ) from error
