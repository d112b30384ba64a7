"""Imports point one way, from the ground floor up, and siblings don't know each other."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "inncli"
# A floor may use the floors before it; the rooms of one floor (in one tuple) may not use each other.
FLOORS = [
    ("errors", "variables", "hints", "rounding"), ("files", "provenance", "schema", "locks", "untrusted", "npz", "record"),
    ("arrays", "catalogue", "life", "jsonl"), ("run", "block_files"), ("outputs",),
    ("runtime", "kernels", "grid", "maps", "nn", "shards"), ("transforms",), ("posterior", "draws"), ("models", "tasks", "digest"),
    ("observation", "objectives", "metrics", "plots", "refine"), ("training", "sweep", "tracking"), ("plugins", "requeue"), ("config",),
    ("inverter", "protocol", "kept", "opening", "parts"),
    ("pipeline", "scalar_block", "calibrated", "exact", "blockwise"), ("evaluation",), ("comparison",), ("pictures", "page"), ("report",),
    ("cli",), ("__main__",),
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PART_OF = {"netcdf": "posterior"}  # two files, one room: a format of the posterior set
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    room = PART_OF.get(room, room)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides its direction"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for parts in (name.split(".") for name in names if name.startswith("inncli.")):
            used = PART_OF.get(parts[1], parts[1])
            below = FLOOR.get(used, -1)  # inncli.__version__ and the like belong to no floor
            assert used == room or below < FLOOR[room], f"line {node.lineno}: {room} must not use {used}"


def test_hydra_and_omegaconf_are_imported_in_one_place():
    for path in FILES:
        names = {alias.name if isinstance(node, ast.Import) else node.module
                 for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
        roots = {name.split(".")[0] for name in names if name}
        # its plugins are found by hydra and built from its classes
        assert not roots & {"hydra", "omegaconf"} or path.parent.name in ("config", "plugins"), path
        assert "click" not in roots, path  # typer vendors it
        if path.parts[-2] == "tasks" or path.name in ("posterior.py", "run.py", "draws.py"):
            assert "torch" not in roots, path
