"""A sweep's own record: what was asked for, how each job ended.

    sweeps/<name>/sweep.json      the manifest: status, times, overrides, one entry a job
    sweeps/<name>/<job>/          a run directory each
    sweeps/<name>/.jobs/<n>.json  written by the job itself, in whatever process it ran; gathered at the end

A failed job leaves the others alone; its line is kept here, also where no run directory is left.
"""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timezone
from pathlib import Path

from inncli.files import atomic_write


def start(path: Path, overrides: list[str], jobs: list[list[str]]) -> None:
    """Writes the manifest of a new sweep. `jobs` is empty where a sweeper picks them as it goes."""
    _write(path, {"id": path.name, "status": "running", "started": _now(), "ended": None, "overrides": overrides,
                  "jobs": [{"job": n, "overrides": words, "status": "waiting"} for n, words in enumerate(jobs)]})


def record(path: Path, number: int, overrides: list[str], error: str | None) -> None:
    """Keeps how job `number` ended: an error line, or None for done."""
    entry = {"job": number, "overrides": overrides, "status": "failed" if error else "done", "error": error}
    atomic_write(path / ".jobs" / f"{number}.json", json.dumps(entry))


def finish(path: Path, interrupted: bool = False) -> list[dict]:
    """Gathers the jobs' records into the manifest and returns them; a job without one has failed."""
    manifest = json.loads((path / "sweep.json").read_text(encoding="utf-8"))
    jobs = {entry["job"]: entry for entry in manifest["jobs"]}
    for file in (path / ".jobs").glob("*.json"):
        entry = json.loads(file.read_text(encoding="utf-8"))
        jobs[entry["job"]] = entry
    if not interrupted:
        silent = {"status": "failed", "error": "ended without a result; was it killed?"}
        jobs = {n: entry | silent if entry["status"] == "waiting" else entry for n, entry in jobs.items()}
    ended = [jobs[n] for n in sorted(jobs)]
    failed = any(entry["status"] == "failed" for entry in ended)
    status = "interrupted" if interrupted else "failed" if failed else "done"
    _write(path, {**manifest, "status": status, "ended": _now(), "jobs": ended})
    shutil.rmtree(path / ".jobs", ignore_errors=True)  # the manifest holds them now
    return ended


def _write(path: Path, manifest: dict) -> None:
    atomic_write(path / "sweep.json", json.dumps(manifest, indent=1) + "\n")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
