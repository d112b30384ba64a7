"""Arrays of an .npz file, read only when what it declares fits what it holds.

A few bytes can declare an array of 10^15 numbers, or unpack to a thousand times their size. So the header of each
member is compared with its size in the archive before anything is allocated. No pickle is read.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from inncli.io.untrusted import check_regular

KINDS = "biufcmMUS"  # numbers, truth values, times and text
MAX_MEMBERS = 10_000
SMALL = 256 * 2**20  # what may always be unpacked
RATIO = 100  # beyond that, the most that a compressed file may grow by: tables of measurements stay below 20


def read_npz(source: Path | BinaryIO) -> dict[str, np.ndarray]:
    """Every array of the file, by name, of any shape.

    Raises: ValueError with a reason where the file is damaged, declares more than it holds, or holds anything
        but arrays of numbers and text; OSError where it can't be read.
    """
    if isinstance(source, Path):
        check_regular(source)
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            _check_archive(members, source)
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    # What zipfile and numpy raise on damage: an unknown compression, a password, a cut stream, a wrong header.
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        TypeError,
        SyntaxError,
        KeyError,
        AttributeError,
        OverflowError,
        UnicodeDecodeError,
        MemoryError,
    ) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def read_header(file: IO[bytes], size: int, name: str = "the file") -> tuple[int, np.dtype[Any], tuple[int, ...], bool]:
    """The header of an .npy file.

    Args:
        file: at its start.
        size: its bytes in all.
        name: what an error calls it.

    Returns: where the numbers begin, their type, their shape, and whether columns come first.
    Raises: ValueError for another version, or if the header declares more than the file holds.
    """
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{name} has .npy format {version}")
    shape, fortran, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects; save plain numbers")
    declared, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if min(shape, default=0) < 0 or declared > there:
        raise ValueError(f"{name} declares {declared:,} bytes of shape {shape} and holds {there:,}")
    return file.tell(), dtype, shape, fortran


def _check_archive(members: list[zipfile.ZipInfo], source: Path | BinaryIO) -> None:
    names = [member.filename for member in members]
    if len(names) > MAX_MEMBERS or len(set(names)) != len(names):
        raise ValueError(f"{len(names):,} arrays, of which {len(names) - len(set(names)):,} share a name")
    if not all(name.endswith(".npy") for name in names):
        raise ValueError("it holds something else than arrays")
    size = os.stat(source).st_size if isinstance(source, (str, os.PathLike)) else source.seek(0, os.SEEK_END)
    packed, unpacked = (sum(getattr(m, key) for m in members) for key in ("compress_size", "file_size"))
    if packed > size:
        raise ValueError(f"its arrays take {packed:,} bytes of a file of {size:,}")
    if unpacked > max(SMALL, RATIO * size):
        raise ValueError(f"{size:,} bytes unpack to {unpacked:,}")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        _, dtype, _, _ = read_header(file, member.file_size, member.filename)
        if dtype.hasobject or dtype.kind not in KINDS:
            raise ValueError(f"{member.filename} holds {dtype}, no plain numbers or text")
    with archive.open(member) as file:  # reads to the end, so that zipfile compares its checksum
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise ValueError(f"{member.filename} goes on after its end")
    return array
