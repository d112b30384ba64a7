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

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from inncli.io.atomic import atomic_path


@contextlib.contextmanager
def table_writer(path: Path, note: dict) -> Iterator[Callable[[dict[str, np.ndarray]], None]]:
    """Gives write(columns), which adds rows to a CSV or Parquet file as `arrays.write_table` would write them."""
    with whole(path) as tmp, contextlib.ExitStack() as stack:
        file = None

        def write(columns: dict[str, np.ndarray]) -> None:
            nonlocal file
            table = pa.table({name: pa.array(values) for name, values in columns.items()})
            table = table.replace_schema_metadata({"inn": json.dumps(note)})
            if file is None:
                file = stack.enter_context(_table(path, tmp, table.schema))
            file.write_table(table)

        yield write


def _table(path: Path, tmp: Path, schema):
    if path.suffix.lower() == ".csv":
        return csv.CSVWriter(tmp, schema)
    return parquet.ParquetWriter(tmp, schema)


@contextlib.contextmanager
def npz_writer(
    path: Path, kinds: dict[str, tuple[tuple[int, ...], np.dtype]], arrays: dict[str, np.ndarray]
) -> Iterator[Callable[[dict[str, np.ndarray]], None]]:
    """Gives write(parts), which adds rows to arrays of these shapes and types; an .npz as np.savez writes it.

    An archive holds one array after another. So the first goes straight into it, and what comes of the others waits in
    files without a name beside it.

    Args:
        arrays: what is written whole, after them.
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
def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype) -> Iterator:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        yield member


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """`atomic_path`, whose errors say which file was being written: those of libraries often don't."""
    try:
        with atomic_path(path) as tmp:
            yield tmp
    except OSError as error:
        full = "o space left" in str(error)  # of pyarrow and HDF5, which keep no number
        raise OSError(
            error.errno or 0, "No space left on device" if full else error.strerror or str(error), str(path)
        ) from error
