"""What an HDF5 file declares, held against its size before any of it is read.

A few kilobytes can declare terabytes: in one array, in many that are each within bounds, in a chunk larger than its
array, in a thousand texts that are all the same long one, or in groups that hold each other. They can also lead to
other files of the user's.
"""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np

MOST, RATIO = 256 * 2**20, 100  # bytes that a file may unpack to, or so many times its size
MOST_ENTRIES = 100_000
MOST_TEXTS = 100  # texts of one attribute
DEEPEST = 3  # groups within groups


def allowed(path: str | Path) -> int:
    """Bytes that the file may unpack to."""
    return max(MOST, RATIO * Path(path).stat().st_size)


def check_plain(file: h5py.File) -> None:
    """Checks that a file holds its own data and declares no more than it may.

    Raises: ValueError with a reason otherwise.
    """
    most = allowed(file.filename)
    declared, entries = 0, 0
    groups: set[tuple[int, int]] = set()
    waiting: list[tuple[h5py.Group, int]] = [(file, 0)]
    while waiting:
        group, depth = waiting.pop()
        info = h5py.h5o.get_info(group.id)
        if (info.fileno, info.addr) in groups:
            raise ValueError(f"group {group.name} stands in it twice")
        groups.add((info.fileno, info.addr))
        _check_attributes(group)
        for name in group:
            entries += 1
            if entries > MOST_ENTRIES:
                raise ValueError(f"more than {MOST_ENTRIES:,} entries")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name} is a link")
            entry = group[name]
            if isinstance(entry, h5py.Group):
                if depth >= DEEPEST:
                    raise ValueError(f"{name} lies too deep")
                waiting.append((entry, depth + 1))
                continue
            if not isinstance(entry, h5py.Dataset):
                raise ValueError(f"{name} is a {type(entry).__name__.lower()}")
            _check_attributes(entry)
            if entry.external or entry.is_virtual:
                raise ValueError(f"{name} lies in another file")
            declared += _declared(entry)
            if declared > most:
                raise ValueError(
                    f"it declares {declared:,} bytes or more, and has {Path(file.filename).stat().st_size:,}"
                )


def _declared(entry: h5py.Dataset) -> int:
    # A chunk is unpacked as a whole, and may be larger than an array that can grow.
    chunk = math.prod(entry.chunks) * entry.dtype.itemsize if entry.chunks else 0
    return max(int(entry.nbytes), chunk)


def _check_attributes(entry: h5py.Group | h5py.Dataset) -> None:
    """Checks that no attribute is a list of many texts: each could be the same long one, which the file holds once."""
    for name in entry.attrs:
        attribute = entry.attrs.get_id(name)
        if h5py.check_string_dtype(attribute.dtype) is not None and math.prod(attribute.shape or ()) > MOST_TEXTS:
            raise ValueError(f"attribute {name} declares {math.prod(attribute.shape):,} texts")


def read_texts(entry: h5py.Dataset) -> np.ndarray:
    """The texts of an array of text, (n,), as unicode; a part at a time, since each may be as long as the file.

    Raises: ValueError if they are longer than the file may unpack to.
    """
    most = allowed(entry.file.filename)
    size = Path(entry.file.filename).stat().st_size
    step = min(max(MOST // max(size, 1), 1), 4096)
    words: list[str] = []
    longest = 0
    for start in range(0, len(entry), step):
        part = entry[start : start + step]
        words += [word.decode() if isinstance(word, bytes) else str(word) for word in np.ravel(part)]
        longest = max(longest, *(len(word) for word in words[start:]), 0)
        if 4 * longest * len(entry) > most:  # numpy gives each text the room of the longest
            raise ValueError(f"{entry.name} holds {len(entry):,} texts, one of {longest:,} letters")
    return np.array(words, dtype=np.str_)
