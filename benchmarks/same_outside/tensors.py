"""The tensors of a checkpoint, bit for bit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def read(file: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Type, shape and bytes of each tensor of a safetensors file, by name; what else it says is left out."""
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {
        name: (
            entry["dtype"],
            tuple(entry["shape"]),
            data[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]],
        )
        for name, entry in sorted(header.items())
    }


def digest(file: Path) -> str:
    """A hash of names, types, shapes and bytes."""
    found = hashlib.sha256()
    for name, (kind, shape, data) in read(file).items():
        found.update(f"{name} {kind} {shape} {len(data)}\n".encode() + data)
    return found.hexdigest()
