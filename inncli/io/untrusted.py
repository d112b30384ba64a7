"""Reads untrusted files: checks their size before their content, and never follows a link out of a run directory.

A run directory's own files are regular files that lie in it, in folders that lie in it. Through a link it could read
and overwrite whatever the user may. The directory itself may be reached by a link, since the user made that one.
The functions raise ValueError with a reason, or OSError; the caller says which file it was and what to do.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MAX_BYTES = 16 * 2**20  # of a YAML or JSON file: a thousand times what inn writes


# ---- files -------------------------------------------------------------------------------------------
def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file of at most `limit` bytes: no pipe to wait on, no device without an end."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("no regular file")
        if facts.st_size > limit:
            raise ValueError(f"{facts.st_size:,} bytes, more than {limit:,}")
        return file.read(limit)


def check_regular(path: Path) -> None:
    """Checks that a library may open a file by its name: opening a pipe waits for whoever writes into it.

    Raises: ValueError for a pipe, a device or a folder; OSError if it is not there.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("no regular file")


def untrusted_entry(root: Path, names: Iterable[str]) -> Path | None:
    """The first link, pipe or device among the entries `names` of a directory and all that lies in them, or None."""
    waiting = [root / name for name in names]
    while waiting:
        path = waiting.pop()
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(mode):
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif not entry.is_file(follow_symlinks=False):
                        return Path(entry.path)
        elif not stat.S_ISREG(mode):
            return path
    return None


# ---- JSON --------------------------------------------------------------------------------------------
def parse_json(data: bytes | str) -> Any:
    """Parses JSON. Refuses an object with the same key twice: readers differ on which of the two counts."""
    try:
        return json.loads(data, object_pairs_hook=_distinct)
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_json(path: Path, limit: int = MAX_BYTES) -> Any:
    """What a JSON file holds."""
    return parse_json(read_bytes(path, limit))


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
