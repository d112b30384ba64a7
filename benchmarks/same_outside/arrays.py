"""Trainings from the same seed, and the arrays that both trees wrote, compared bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensors
from trees import Case, Tree

STEPS = 60
TRAININGS = {
    "rnvp": ("model=rnvp",),
    "spline": ("model=spline",),
    "inn": ("model=inn",),
    "iresnet": ("model=iresnet",),
    "table": ("experiment=concrete", "model=rnvp"),
}
KINDS = ("*/checkpoints/*.safetensors", "set_*")


def weights(base: Path) -> list[Case]:
    """Five trainings of few steps."""
    budget = ("seed=0", "threads=1", "device=cpu", f"trainer.max_steps={STEPS}")
    return [
        Case("weights", ("inn", "train", *words, *budget, f"hydra.run.dir={name}")) for name, words in TRAININGS.items()
    ]


def control() -> list[Case]:
    """One training, shorter still."""
    return [Case("control", ("inn", "train", "model=rnvp", "threads=1", "trainer.max_steps=5", "hydra.run.dir=rnvp"))]


def report(first: Tree, second: Tree, part: str) -> bool:
    """Prints a row for each file of arrays. Returns whether any array, or any name of one, differs or is missing."""
    places = first.home / part, second.home / part
    files = sorted({str(file.relative_to(place)) for place in places for kind in KINDS for file in place.glob(kind)})
    differ = [_row(name, places[0] / name, places[1] / name) for name in files]
    print(f"{part}: {len(files)} files of arrays, {sum(differ)} differ", flush=True)
    return any(differ) or not files


def _row(name: str, first: Path, second: Path) -> bool:
    if not (first.is_file() and second.is_file()):
        print(f"{name:<40} only one of the trees wrote it")
        return True
    one, other = _read(first), _read(second)
    unequal = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
    words = f"{len(unequal)} differ, {', '.join(unequal[:3])}" if unequal else "equal to the bit"
    print(f"{name:<40} {len(one):>4} arrays, {sum(len(entry[2]) for entry in one.values()):>9,} bytes: {words}")
    return bool(unequal)


def _read(file: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Type, shape and bytes by name; a table is one array of bytes."""
    if file.suffix == ".safetensors":
        return tensors.read(file)
    if file.suffix == ".csv":
        return {"all": ("bytes", (), file.read_bytes())}
    with np.load(file, allow_pickle=False) as arrays:
        return {name: (str(array.dtype), array.shape, array.tobytes()) for name, array in arrays.items()}
