"""A file of JSON lines that grows while a run trains: metrics.jsonl."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inncli.io.atomic import atomic_write
from inncli.io.untrusted import parse_json

LONGEST = 2**20  # bytes of a line: thousands of times what inn writes


def append(path: Path, entry: dict[str, Any]) -> None:
    """Adds one line in one write(). A number that is not finite becomes null, so that the line stays JSON."""
    line = json.dumps(plain(entry)).encode() + b"\n"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":  # ends the half line of a write that was killed
            line = b"\n" + line
        if os.write(fd, line) < len(line):  # a full disk takes a part of the line
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(fd)


def cut(path: Path, epoch: int) -> None:
    """Drops the lines after `epoch` and those that `entries` passes over; the bytes of the others stay."""
    kept = [raw for raw, entry in entries(path) if entry["epoch"] <= epoch]
    if path.exists():
        atomic_write(path, b"".join(raw + b"\n" for raw in kept))


def entries(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yields the lines in order, each with its bytes; passes over a half-written or foreign line."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        while piece := file.readline(LONGEST):  # a longer line comes in pieces, none of which is JSON
            raw = piece.removesuffix(b"\n")
            with contextlib.suppress(ValueError):
                entry = parse_json(raw)
                if (
                    isinstance(entry, dict)
                    and isinstance(entry.get("epoch"), int)
                    and all(
                        value is None or isinstance(value, (int, float)) and abs(value) < 1e300
                        for value in entry.values()
                    )
                ):
                    yield raw, entry


def plain(value: Any) -> Any:
    """Makes a value JSON-ready: numpy scalars become numbers, a number that is not finite null, other objects text."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
