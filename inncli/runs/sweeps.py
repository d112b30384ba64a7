"""Where sweeps are kept, and how one is found by its name."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from inncli.errors import InnError, RunError, did_you_mean
from inncli.io.paths import user_path
from inncli.runs.registry import find_run, outputs_root, read_runs
from inncli.runs.run_dir import RunDir
from inncli.runs.sweep_dir import SweepDir


def find(spec: str | os.PathLike[str], root: Path | None = None) -> RunDir | SweepDir:
    """The run or the whole sweep that one word means: a directory, an id, or a prefix that only one has.

    Raises: RunError if none or several fit.
    """
    root = outputs_root() if root is None else root
    spec = os.fspath(spec)
    for folder in (user_path(spec), root / "sweeps" / spec):
        if spec and (folder / "sweep.json").is_file():
            return SweepDir(folder)
    sweeps = {file.parent.name: file.parent for file in sorted((root / "sweeps").glob("*/sweep.json"))}
    plain = [run.id for run, _ in read_runs(root) if "/" not in run.id]
    fits = [name for name in (*sweeps, *plain) if name.startswith(spec)]
    if len(fits) > 1 and spec not in fits and not (user_path(spec) / "run.json").is_file():
        raise RunError(
            f"{spec!r} fits {len(fits)} runs and sweeps: {', '.join(fits[:5])}"
            f"{', ...' if len(fits) > 5 else ''}; give more of the id"
        )
    if fits and fits[0] in sweeps:
        return SweepDir(sweeps[fits[0]])
    return find_run(spec, root)


def find_sweep(spec: str | os.PathLike[str], root: Path | None = None) -> SweepDir:
    """The sweep that one word means, as in `find`. Raises: RunError if it means no sweep."""
    root = outputs_root() if root is None else root
    known = [file.parent.name for file in (root / "sweeps").glob("*/sweep.json")]
    with contextlib.suppress(InnError):
        found = find(spec, root)
        if isinstance(found, SweepDir):
            return found
    fits = [name for name in known if name.startswith(os.fspath(spec))]
    if fits:
        raise RunError(
            f"{os.fspath(spec)!r} fits {len(fits)} sweeps: {', '.join(sorted(fits)[:5])}; give more of the id"
        )
    raise RunError(
        f"no sweep {os.fspath(spec)!r} under {root}{did_you_mean(os.fspath(spec), known) or ';'} "
        "try `inn runs`, whose first column is SWEEP/JOB for a job of a sweep"
    )
