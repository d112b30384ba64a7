"""Device, dtype, threads and random streams: what a run needs to give the same bytes again."""

from __future__ import annotations

import hashlib
import os
import struct

import torch

from inncli.errors import ConfigError, did_you_mean

__all__ = [
    "DTYPES",
    "available_devices",
    "generator",
    "is_here",
    "resolve_device",
    "resolve_devices",
    "resolve_dtype",
    "set_deterministic",
    "set_threads",
    "stream_seed",
]

DTYPES = ("float32", "float64")
MOST_PROCESSES = 8  # of one run, or as many as there are cores: a list of devices may come from an untrusted config


def available_devices() -> list[str]:
    """Names of the devices that torch can use here, the fastest first."""
    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def resolve_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the first CUDA device where there is one, else the CPU.

    Raises: ConfigError if there is no such device here; it lists those that are there.
    """
    here = available_devices()
    if name == "auto":
        # The overhead of each call bounds the speed of a small flow, so mps is used only where it is asked for.
        return torch.device(here[0] if here[0].startswith("cuda") else "cpu")
    # "cuda" alone means the first one, as in torch; naming its index keeps run.json exact.
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in here:
        raise ConfigError(
            f"device {name!r} is not available; this machine has {', '.join(here)}{did_you_mean(name, here)}"
        )
    return torch.device(wanted)


def is_here(names: str | list[str]) -> bool:
    """Whether this machine has every device named."""
    try:
        resolve_devices(names)
    except ConfigError:
        return False
    return True


def resolve_devices(names: str | list[str]) -> list[torch.device]:
    """The device of each process that trains: one for a name, one each for a list, which trains data-parallel.

    Raises: ConfigError if one is not here, or they can't train together.
    """
    if isinstance(names, str):
        return [resolve_device(names)]
    if not names:
        raise ConfigError("device: expected a device or a list of some, got an empty list; e.g. device=[cpu,cpu]")
    if len(names) > (most := max(MOST_PROCESSES, os.cpu_count() or 1)):
        raise ConfigError(f"device: expected at most {most} devices, a process each, got {len(names)}; name fewer")
    devices = [resolve_device(name) for name in names]
    kinds = {device.type for device in devices}
    if len(devices) > 1 and kinds != {"cpu"} and kinds != {"cuda"}:
        raise ConfigError(
            f"device: expected a list of CUDA devices or of cpu, got [{', '.join(names)}]; name devices of one kind"
        )
    for device in devices:
        if device.type == "cuda" and devices.count(device) > 1:
            raise ConfigError(f"device: {device} is named twice in [{', '.join(names)}]; each process needs its own")
    return devices


def resolve_dtype(name: str) -> torch.dtype:
    """`torch.float32` or `torch.float64`.

    Raises: ConfigError for any other name.
    """
    if name not in DTYPES:
        raise ConfigError(f"dtype: expected {' or '.join(DTYPES)}, got {name!r}{did_you_mean(name, DTYPES)}")
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def set_threads(threads: int | None) -> int:
    """Sets torch's CPU threads, None keeps torch's own choice. Returns the number in use.

    A sum split over another number of threads rounds differently, so run.json records it.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def set_deterministic() -> None:
    """Makes torch choose kernels that give the same bytes each time, on CPU and on CUDA."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it, read at its start
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


def stream_seed(*keys: int | str) -> int:
    """A 63-bit seed from a path of keys such as (seed, "data order", epoch).

    A hash, not a sum: (1, 2) and (2, 1), or seed 1 of epoch 2 and seed 2 of epoch 1, never share
    a stream. It does not depend on Python's own hash seed, on the platform or on the process.
    """
    digest = hashlib.blake2b(digest_size=8)
    for key in keys:
        data = key.encode() if isinstance(key, str) else str(int(key)).encode()
        digest.update(struct.pack("<cI", b"s" if isinstance(key, str) else b"i", len(data)) + data)
    return int.from_bytes(digest.digest(), "little") >> 1


def generator(device: torch.device | str, *keys: int | str) -> torch.Generator:
    """A fresh `torch.Generator` on `device`, its state a function of `keys` alone.

    Nothing of it needs saving: a resumed run asks for (seed, "noise", step) again and gets the
    same numbers.
    """
    return torch.Generator(device=device).manual_seed(stream_seed(*keys))
