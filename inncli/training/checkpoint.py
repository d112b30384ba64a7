"""Checkpoints: one safetensors file each, whole or not at all, its JSON part in the metadata.

    metadata["inn"] = {"format": 1, "checksum": ..., "config_hash": ..., "config": ..., ...}

No pickle is written or read. The checksum covers names, types, shapes and bytes of the tensors and the rest of the
JSON, so that an altered file is refused and named. A checksum does not say who wrote the file: so what the header
declares is held against the size of the file first, and against the model it is for (`check_fit`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from inncli.errors import CheckpointError
from inncli.io.atomic import atomic_write
from inncli.io.permissions import closed
from inncli.io.untrusted import parse_json

FORMAT = 1
MAX_HEADER = 64 * 2**20  # bytes of names, shapes and JSON part
ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
Shapes = dict[str, tuple[int, ...]]
Meta = dict[str, Any]  # the JSON part
T = TypeVar("T")


def save_checkpoint(path: Path, tensors: dict[str, Tensor], meta: Meta) -> None:
    """Writes `tensors` and the JSON-ready `meta` to `path`."""
    tensors = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    meta = {"format": FORMAT, **meta}
    meta["checksum"] = _checksum(tensors, meta)
    # Only this folder: in a run directory that was deleted meanwhile nothing is begun anew.
    path.parent.mkdir(exist_ok=True)
    # One metadata key only: safetensors keeps its metadata in no particular order.
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    atomic_write(path, save(arrays, {"inn": json.dumps(meta, sort_keys=True)}))


def read_header(path: Path) -> tuple[Shapes, Meta]:
    """The shape of each tensor and the JSON part, without reading any tensor.

    Raises: CheckpointError if the file is missing, cut short, of an unknown format, or declares more than it holds.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"expected a checkpoint at {path}, found none; see `inn runs` for whole runs")
    try:
        entries, rest = _raw_header(path)
        meta = parse_json(entries.pop("__metadata__")["inn"])
        if not isinstance(meta, dict):
            raise ValueError("its JSON part is no object")
        shapes = {name: tuple(entry["shape"]) for name, entry in entries.items()}
        for name, shape in shapes.items():
            if not all(type(n) is int and n >= 0 for n in shape):
                raise ValueError(f"{name} has shape {shape}")
        declared = sum(ITEM_BYTES[entries[name]["dtype"]] * math.prod(shape) for name, shape in shapes.items())
        if declared != rest:
            raise ValueError(f"its tensors declare {declared:,} bytes, it holds {rest:,}")
    except PermissionError:
        raise closed(path) from None
    except (KeyError, ValueError, TypeError, AttributeError, OSError) as error:
        raise _damaged(path, error) from error
    if meta.get("format") != FORMAT:
        raise CheckpointError(
            f"checkpoint {path} has format {meta.get('format')!r}, this inn reads {FORMAT}; upgrade inn or train again"
        )
    return shapes, meta


def _raw_header(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON that a safetensors file begins with, and the number of bytes after it."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size - 8, MAX_HEADER):
            raise ValueError(f"its header declares {length:,} bytes, the file has {size:,}")
        entries = parse_json(file.read(length))
    if not isinstance(entries, dict):
        raise ValueError("its header is no object")
    return entries, size - 8 - length


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], Meta]:
    """Reads what `save_checkpoint` wrote, on the CPU.

    Raises: CheckpointError if the file is missing, damaged, altered or of an unknown format.
    """
    path = Path(path)
    _, meta = read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 a safetensors file is no dict: it can't be iterated
    except PermissionError:
        raise closed(path) from None
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise _damaged(path, error) from error
    if _checksum(tensors, meta) != meta.get("checksum"):
        raise CheckpointError(f"checkpoint {path} is altered: its checksum differs; restore it or train again")
    return tensors, meta


def check_fit(
    path: Path,
    found: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
    optional: Iterable[str] = (),
) -> None:
    """Holds the tensors of a file against those that it should have, by name and shape.

    Args:
        path: the file, for the message.
        found: the shape of each of its tensors, by name.
        expected: the shape that each should have, by name.
        optional: names out of `expected` that may be absent.

    Raises: CheckpointError that names the first tensor which is missing, too many, or of another shape.
    """
    missing = sorted(set(expected) - set(found) - set(optional))
    extra = sorted(set(found) - set(expected))
    wrong = [name for name in sorted(set(found) & set(expected)) if tuple(found[name]) != tuple(expected[name])]
    if missing or extra or wrong:
        name = (missing or extra or wrong)[0]
        reason = (
            f"{name} is missing"
            if missing
            else f"{name} is no part of it"
            if extra
            else f"{name} has shape {tuple(found[name])}, expected {tuple(expected[name])}"
        )
        raise CheckpointError(f"{path} does not fit its model ({reason}); train again with this inn")


def check_values(path: Path, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor], trained: Iterable[str]) -> None:
    """Raises CheckpointError if a tensor has another dtype than in `like`, holds a NaN, or a trained one an infinity.

    An infinity may stand in what is not trained: an open bound, or the log of a noise that is zero.
    """
    trained = set(trained)
    for name, tensor in tensors.items():
        if tensor.dtype != like[name].dtype:
            raise CheckpointError(
                f"{path} does not fit its model ({name} has dtype {tensor.dtype}, expected "
                f"{like[name].dtype}); train again with this inn"
            )
        good = tensor.isfinite() if name in trained else ~tensor.isnan()
        if tensor.is_floating_point() and not good.all():
            raise CheckpointError(f"{path} holds a value of {name} that is not finite; restore it or train again")


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    """The shape of each tensor."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def prefixed(prefix: str, tensors: Mapping[str, T]) -> dict[str, T]:
    """The same tensors (or shapes) under `prefix.name`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors (or shapes) whose name starts with `prefix.`, without it."""
    start = prefix + "."
    return {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}


def _checksum(tensors: dict[str, Tensor], meta: Meta) -> str:
    digest = hashlib.sha256(json.dumps({k: v for k, v in meta.items() if k != "checksum"}, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"checkpoint {path} is damaged ({_first_line(error)}); restore it or train again")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
