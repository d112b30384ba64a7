"""A file of JSON lines that grows while a run trains: metrics.jsonl."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

from inncli.io.atomic import atomic_write
from inncli.io.untrusted import parse_json

LONGEST = 2**20  # bytes of a line: thousands of times what inn writes


def append(path: Path, entry: dict) -> None:
    """Adds one line in one write(); what is not finite becomes null, so that it stays JSON."""
    line = json.dumps(plain(entry)).encode() + b"\n"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":  # a killed write's half line ends here
            line = b"\n" + line
        if os.write(fd, line) < len(line):  # a full disk takes what fits
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(fd)


def cut(path: Path, epoch: int) -> None:
    """Drops the lines after `epoch` and what is no line; kept lines keep their bytes."""
    kept = [raw for raw, entry in entries(path) if entry["epoch"] <= epoch]
    if path.exists():
        atomic_write(path, b"".join(raw + b"\n" for raw in kept))


def entries(path: Path) -> Iterator[tuple[bytes, dict]]:
    """The lines in order, each with its bytes; a half-written or foreign line is passed over."""
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        return
    with file:
        while piece := file.readline(LONGEST):  # a line without an end comes in pieces, none of which is one
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


def plain(value):
    """JSON-ready: numpy scalars become numbers, what is not finite null, other objects text."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
