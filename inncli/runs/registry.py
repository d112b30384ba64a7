"""Where runs are kept: the outputs folder, the names of new runs, and how a run is found by its name.

Nothing here imports numpy, torch or hydra: `inn runs` stays fast.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

from inncli.errors import RunError, did_you_mean
from inncli.io.paths import user_path
from inncli.io.permissions import check_open
from inncli.io.untrusted import read_json
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import STATUSES, check_info


def outputs_root() -> Path:
    """Where runs are kept: `$INN_OUTPUTS`, else `./outputs`."""
    return user_path(os.environ.get("INN_OUTPUTS") or "outputs")


def new_run_id(task: str, model: str) -> str:
    """`<date>_<time>_<task>_<model>_<4 hex>` in local time; `reserve` makes it unique for certain."""
    names = "_".join(re.sub(r"[^A-Za-z0-9_.-]+", "-", name) for name in (task, model))
    return f"{datetime.now():%Y-%m-%d_%H-%M}_{names}_{secrets.token_hex(2)}"


def reserve(root: Path, task: str, model: str) -> Path:
    """Makes a new, empty run directory under `root` that no other process can be given.

    Two of about 300 runs that start in the same minute get the same 4 hex digits by chance.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    for _ in range(1000):
        path = root / new_run_id(task, model)
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            return path
    raise RunError(f"expected a free run name under {root}, got 1000 taken ones; clear old runs away")


def read_runs(root: Path | None = None) -> list[tuple[RunDir, dict[str, Any]]]:
    """Every run under `root`, jobs of sweeps included, with its run.json; sorted by start, newest last.

    A folder without run.json, or with one of another program, is skipped. A run whose run.json can't be read has the
    status `damaged`. A run whose process was killed has the status `interrupted`.
    """
    root = Path(root) if root is not None else outputs_root()
    check_open(root)
    found = []
    for folder in [*_folders(root), *(job for sweep in _folders(root / "sweeps") for job in _folders(sweep))]:
        run = RunDir(folder)
        try:
            info = read_json(run.info_file)
            if isinstance(info, dict):
                check_info(info)
        except OSError:
            continue
        except ValueError:
            info = {"status": "damaged"}
        if isinstance(info, dict) and info.get("status") in (*STATUSES, "damaged"):
            found.append((run, {**info, "id": run.id, "status": run.state(info)}))
    # A run's name begins with its local date and time: near enough where run.json has no start.
    return sorted(found, key=lambda entry: (str(entry[1].get("started") or entry[0].path.name), entry[0].id))


def list_runs(root: Path | None = None) -> list[RunDir]:
    """The runs under `root`, sorted by start, newest last; see `read_runs`."""
    return [run for run, _ in read_runs(root)]


def find_run(spec: str | Path | None = None, root: Path | None = None) -> RunDir:
    """The run that a user names: a directory, a run id, a unique prefix, or (None) the last to finish.

    Raises:
        RunError: no run matches (the message names the nearest), or several do (it names the first five).
    """
    root = Path(root) if root is not None else outputs_root()
    if spec is None:
        done = [(str(info.get("ended")), run) for run, info in read_runs(root) if info["status"] == "done"]
        if not done:
            raise RunError(
                f"expected a finished run under {root}, got none; train one with `inn train`, or name one with `run`",
                "run",
            )
        return max(done, key=lambda entry: entry[0])[1].check_own()
    spec = os.fspath(spec)
    for folder in (user_path(spec), root / spec, root / "sweeps" / spec):
        if spec and (folder / "run.json").is_file():
            return RunDir(folder).check_own()
    known = {run.id: run for run in list_runs(root)}
    matches = [name for name in known if spec and name.startswith(spec)]
    if len(matches) == 1:
        return known[matches[0]].check_own()
    if matches:
        shown = ", ".join(matches[:5]) + (", ..." if len(matches) > 5 else "")
        raise RunError(f"`run` {spec!r} fits {len(matches)} runs: {shown}; give more of the id", "run")
    if spec and RunDir(spec).was_claimed():
        raise RunError(
            f"expected a run directory, got {spec}, which has no run.json: its training ended before it began; "
            "give the same `inn train` again"
        )
    if spec and user_path(spec).is_dir():
        raise RunError(f"expected a run directory, got {spec}, which has no run.json; try `inn runs`")
    raise RunError(f"no run {spec!r} under {root}{did_you_mean(spec, known) or ';'} try `inn runs`")


def name_of(run: RunDir) -> str:
    """The quoted word by which a command finds a run: its id if it lies under the outputs, else its directory."""
    root = outputs_root()
    listed = any(folder.resolve() == run.path.resolve() for folder in (root / run.id, root / "sweeps" / run.id))
    return shlex.quote(run.id if listed else str(run.path))


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:  # not there, not a folder, or not ours to read
        return []
