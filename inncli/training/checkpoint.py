"""Checkpoints: one safetensors file each, whole or not at all, its JSON part in the metadata.

    metadata["inn"] = {"format": 1, "checksum": ..., "config_hash": ..., "config": ..., ...}

No pickle is written or read. The checksum covers names, types, shapes and bytes of the tensors and the
rest of the JSON, so that an altered file is refused and named.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from inncli.errors import CheckpointError
from inncli.files import atomic_write

FORMAT = 1


def save_checkpoint(path: Path, tensors: dict[str, Tensor], meta: dict) -> None:
    """Writes `tensors` and the JSON-ready `meta` to `path`."""
    tensors = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    meta = {"format": FORMAT, **meta}
    meta["checksum"] = _checksum(tensors, meta)
    # One metadata key only: safetensors keeps its metadata in no particular order.
    atomic_write(path, save(tensors, {"inn": json.dumps(meta, sort_keys=True)}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Reads what `save_checkpoint` wrote, on the CPU.

    Raises: CheckpointError if the file is missing, damaged, altered or of an unknown format.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"expected a checkpoint at {path}, found none; see `inn runs` for whole runs")
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})["inn"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise CheckpointError(
            f"checkpoint {path} is damaged ({_first_line(error)}); restore it or train again"
        ) from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        version = meta.get("format") if isinstance(meta, dict) else None
        raise CheckpointError(
            f"checkpoint {path} has format {version!r}, this inn reads {FORMAT}; upgrade inn or train again"
        )
    if _checksum(tensors, meta) != meta.get("checksum"):
        raise CheckpointError(f"checkpoint {path} is altered: its checksum differs; restore it or train again")
    return tensors, meta


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under `prefix.name`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name starts with `prefix.`, without it."""
    start = prefix + "."
    return {name[len(start):]: tensor for name, tensor in tensors.items() if name.startswith(start)}


def _checksum(tensors: dict[str, Tensor], meta: dict) -> str:
    digest = hashlib.sha256(
        json.dumps({k: v for k, v in meta.items() if k != "checksum"}, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
