"""The base's fixture runs of every format: opened, shown, inverted."""

from __future__ import annotations

import shutil
from pathlib import Path

from trees import Case


def runs(base: Path) -> dict[str, Path]:
    """Each fixture run by the name it gets: `flow_1` is `flow` of format 1."""
    found = sorted((base / "tests" / "fixtures" / "runs").glob("*/*/config.yaml"))
    return {f"{file.parent.name}_{file.parents[1].name}": file.parent for file in found}


def copy(base: Path, place: Path) -> None:
    """The fixture runs as runs under outputs/, and their tables where commands run."""
    for name, run in runs(base).items():
        shutil.copytree(run, place / "outputs" / name)
    for table in (base / "tests" / "fixtures" / "runs").glob("*/*.csv"):
        shutil.copy2(table, place)


def fixtures(base: Path) -> list[Case]:
    """Each run is shown and inverted, into both kinds of file."""
    found = []
    for name in runs(base):
        invert = ("inn", "invert", "--run", name, "--y", "0.3", "--samples", "50", "--seed", "3", "--out")
        found += [("inn", "show", "--run", name, "--json"), (*invert, f"set_{name}.npz"), (*invert, f"set_{name}.csv")]
    return [Case("fixtures", words) for words in found]
