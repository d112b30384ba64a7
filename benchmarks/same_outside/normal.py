"""What may differ between two runs of the same code, taken out: times, dates, run ids, process ids, temporary paths."""

from __future__ import annotations

import hashlib
import re
import struct
from pathlib import Path

import numpy as np
import tensors

ID = r"\d{4}-\d\d-\d\d_\d\d-\d\d(?:-\d\d)?"
RULES = [
    # The environment's editable install shows hydra the plugin of today's tree, which an older tree has not.
    (
        r"[^\n]*hydra/core/plugins\.py:\d+: UserWarning: ?\n"
        r"\s*Error importing 'hydra_plugins\.inncli'(?:.*\n)*?\s+warnings\.warn\(\n",
        "",
    ),
    (ID + r"((?:_[A-Za-z0-9.-]+)*)_[0-9a-f]{4}\b", r"DATE\1_HEX"),  # runs, sweeps and posterior sets
    (ID, "DATE"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00|Z| UTC)?", "<date>"),
    (r'("seconds": \{\s*"mean": )[^,]+(,\s*"sd": )[^,]+', r"\1<varies>\2<varies>"),  # of several seeds
    (r'("(?:seconds|pid|heartbeat|started|ended)": )[^,{}\n]+', r"\1<varies>"),
    (r'\n +"seconds",', ""),  # in the list of what a group is best at
    (r'("git": )"[0-9a-f]{40}"', r"\1<commit>"),
    (
        r"evaluations/[0-9a-f]{16}",
        "evaluations/<key>",
    ),  # of the weights' file, which holds the run's id, and the version
    (r'("base": )"[0-9a-f]{16}"', r"\1<key>"),
    (r"\.[0-9]+\.[0-9a-f]{8}\.tmp\b", ".<temporary>"),
    (r"\b\d+(\.\d+)? (steps/s|it/s)", r"<speed> \2"),
    (r"\b(in|after) \d+(\.\d+)? s\b", r"\1 <time>"),
    (r"\b(in|after) \d+:\d\d (min|h)\b", r"\1 <time>"),
    (r"\b(epochs?, )(\d+(\.\d+)? s|\d+:\d\d (min|h))", r"\1<time>"),
    (r"/tmp/[\w.-]+", "<tmp>"),
]
TEXT = {".json", ".jsonl", ".yaml", ".txt", ".log", ".out"}
BYTES = {".parquet", ".nc"}  # the same command gives the same bytes
PICTURES = {".png", ".svg", ".pdf"}  # so does a picture, unless the run's id, which holds chance, is written in it
LONGEST = 100_000  # characters; of longer texts a digest is kept
TIMED = {"time", "seconds"}  # columns
DURATION = re.compile(r"  +(\d+(\.\d+)? s|\d+:\d\d (min|h)) *$")


def text(words: str, names: dict[str, str]) -> str:
    """The text without what varies. names: what stands for each of the tree's own folders."""
    for path, name in names.items():
        words = words.replace(path, name)
    for rule, put in RULES:
        words = re.sub(rule, put, words)
    lines = _times(words.split("\n"))
    return "\n".join(line for line, shown in zip(lines, _kept(lines), strict=True) if shown)


def content(file: Path, names: dict[str, str]) -> str:
    """A file as text without what varies, or as a digest; a lock or a database is only named."""
    if file.suffix in BYTES or (file.suffix in PICTURES and not re.search(ID, str(file))):
        return f"sha256 {_hash(file.read_bytes())}"
    if file.suffix == ".png":
        return "{} x {} pixels".format(*struct.unpack(">II", file.read_bytes()[16:24]))
    if file.suffix == ".safetensors":
        return f"tensors {tensors.digest(file)[:16]}"
    if file.suffix == ".npz":
        return _arrays(file, names)
    if file.suffix not in TEXT | {".html", ".csv"}:
        return ""
    words = text(file.read_text("utf-8", errors="replace"), names)
    if file.suffix == ".html":
        words = re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,<picture>", words)
    if file.suffix in (".html", ".csv") or len(words) > LONGEST:
        return f"sha256 {_hash(words.encode())} without times and ids"
    return words


def _arrays(file: Path, names: dict[str, str]) -> str:
    """A line for each array: numbers by their bytes, words without what varies, since a set names its run."""
    with np.load(file, allow_pickle=False) as arrays:
        return "\n".join(
            f"{name} {array.dtype.kind} {array.shape} "
            + _hash(
                text("\n".join(map(str, array.ravel())), names).encode() if array.dtype.kind == "U" else array.tobytes()
            )
            for name, array in sorted(arrays.items())
        )


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _times(lines: list[str]) -> list[str]:
    """Replaces durations at the end of a line, and in a column of a table, which then loses its alignment."""
    at, count, found = None, 0, []
    for line in lines:
        cells = re.split(" {2,}", line.strip())
        if at is None and len(cells) > 2 and set(cells) & TIMED:
            at, count = next(i for i, cell in enumerate(cells) if cell in TIMED), len(cells)
            line = "  ".join(cells)
        elif at is not None and set(line.strip()) == {"─"}:
            line = "───"
        elif not line.strip():
            at = None
        elif at is not None and len(cells) == count:
            line = "  ".join([*cells[:at], "<time>", *cells[at + 1 :]])
        found.append(DURATION.sub("  <time>", line))
    return found


def _kept(lines: list[str]) -> list[bool]:
    """All lines but the progress between the first and the last epoch of a training, which come every few seconds."""
    progress = [line.startswith("epoch ") and " step " in line for line in lines]
    return [
        not (shown and 0 < i < len(lines) - 1 and progress[i - 1] and progress[i + 1])
        for i, shown in enumerate(progress)
    ]
