"""A sweep on disk: what was asked for, and how each of its jobs stands.

    sweeps/<name>/sweep.json      the manifest: status, times, the sweep's own overrides, and for each job its
                                  overrides and config; complete before the first job runs, so that it can be resumed
    sweeps/<name>/<job>/          the run directory of each job; its run.json decides the job's state
    sweeps/<name>/.jobs/<n>.json  the record that the job's own process writes: it tells the job's state while
                                  there is no run.json; it is copied into the manifest at the end
    sweeps/<name>/.lock           held by the process that runs the sweep; .jobs/sweep.json says which

States of a job: waiting, running, done, failed, killed (running by its record, but its process is dead),
interrupted, preempted (interrupted, and a scheduler will continue it), pruned (a search stopped it).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from inncli.errors import CheckpointError, RunError
from inncli.io.atomic import atomic_write
from inncli.io.untrusted import read_json, untrusted_entry
from inncli.runs import liveness, locks
from inncli.runs.job_record import Record, is_entry, lives_elsewhere, read_records
from inncli.runs.registry import outputs_root
from inncli.runs.run_dir import FIRST_FILES, RunDir
from inncli.runs.sweep_files import SweepFiles

ENDED = ("done", "pruned", "failed", "killed", "interrupted")  # no process works on such a job
QUEUE = ".submitit"  # submitit's logs and job files
GOOD = ("done", "pruned")  # nothing is left to do


class SweepDir(SweepFiles):
    """One sweep on disk. Making the object touches nothing."""

    @property
    def word(self) -> str:
        """The quoted word by which a command finds it: its id if it lies under the outputs, else its directory."""
        listed = (outputs_root() / "sweeps" / self.id).resolve() == self.path.resolve()
        return shlex.quote(self.id if listed else str(self.path))

    @property
    def is_search(self) -> bool:
        """Whether a study chooses the jobs; see `inncli.launchers.optuna`."""
        return bool(self.manifest().get("search"))

    def check_own(self) -> SweepDir:
        """Checks that all files and jobs lie in the sweep's directory, and returns this object.

        Raises: CheckpointError for a link among them.
        """
        names = [name for name in os.listdir(self.path) if name not in ("multirun.yaml", QUEUE)]
        found = untrusted_entry(self.path, names)
        # submitit keeps a link of its own in there. A resumed sweep gives submitit a new folder: nothing old is read.
        if (self.path / QUEUE).is_symlink():
            found = self.path / QUEUE
        if found is not None:
            raise CheckpointError(
                f"{found} is a link or no regular file; a sweep's files lie in its own directory: "
                "copy there what it points to, or remove it"
            )
        return self

    def configs(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number and config of every job, wherever they are written.

        Configs are in the manifest, in the records of jobs, and in each run directory here, whether the manifest knows
        it or not.
        """
        for entry in self._gathered()["jobs"]:
            if entry.get("config"):
                yield entry["job"], entry["config"]
        for path in sorted(self.path.iterdir()):
            run = RunDir(path)
            if re.fullmatch("[0-9]+", path.name) and run.info_file.exists() and run.config_file.exists():
                yield int(path.name), run.config()

    def tables(self) -> set[str]:
        """Checksums of the tables that the sweep says its jobs are trained on, in its manifest or in their runs."""
        said = self.manifest().get("tables")
        found = {word for word in said if isinstance(word, str)} if isinstance(said, list) else set()
        for path in sorted(self.path.iterdir()):
            if re.fullmatch("[0-9]+", path.name):
                with contextlib.suppress(CheckpointError):
                    sha256 = (RunDir(path).info().get("data") or {}).get("sha256")
                    found |= {sha256} if sha256 else set()
        return found

    def run(self, number: int) -> RunDir:
        """The run directory of a job, whether it is there yet or not."""
        return RunDir(self.path / str(number))

    def log(self, number: int) -> Path:
        """Where the job's traceback goes."""
        return self.run(number).path / "train.log"

    def check_job(self, number: int) -> None:
        """Raises: RunError if the job would write elsewhere, through a link."""
        for folder in (self._records, self.run(number).path):
            if folder.is_symlink():
                raise RunError(f"{folder} is a link, and a job writes in its own directory only; remove it")

    # ---- the manifest ------------------------------------------------------------------------------
    def start(self, overrides: list[str], jobs: list[dict[str, Any]], tables: Iterable[str] = ()) -> None:
        """Writes the manifest of a new sweep.

        Args:
            overrides: the sweep's own, the launcher's included.
            jobs: `overrides` and `config` of each; empty where a sweeper picks them as it goes.
            tables: checksums of the tables that the jobs are trained on.
        """
        self._write(
            {
                "id": self.id,
                "status": "running",
                "started": liveness.now(),
                "ended": None,
                "overrides": overrides,
                "search": not jobs,
                **({"tables": sorted(tables)} if tables else {}),
                "jobs": [{"job": n, "status": "waiting", **job} for n, job in enumerate(jobs)],
            }
        )

    def restart(self, todo: list[int]) -> None:
        """Sets the manifest to `running` again, and the jobs `todo` to `waiting`."""
        manifest = self._gathered()
        for entry in manifest["jobs"]:
            if entry["job"] in todo:
                entry.update(status="waiting", error=None)
        self._forget_records()  # of processes that are gone
        self._write({**manifest, "status": "running", "ended": None, "resumed": liveness.now()})

    def finish(self, interrupted: bool = False) -> list[dict[str, Any]]:
        """Writes the state of every job into the manifest and returns the jobs, see `jobs`."""
        ended = self.jobs()
        manifest = self._gathered()
        found = {job["job"]: job for job in ended}
        for entry in manifest["jobs"]:
            entry.update(status=found[entry["job"]]["status"], error=found[entry["job"]]["error"])
        all_done = all(job["status"] in GOOD for job in ended)
        status = "done" if all_done else "interrupted" if interrupted else "failed"
        self._write({**manifest, "status": status, "ended": liveness.now()})
        if not any(job["status"] in ("running", "preempted") for job in ended):
            self._forget_records()  # the manifest holds them now
        return ended

    def _forget_records(self) -> None:
        for file in self._records.glob("[0-9]*"):
            file.unlink(missing_ok=True)

    def manifest(self) -> dict[str, Any]:
        """sweep.json as a dict.

        Raises: CheckpointError if it is missing, cut short or not this program's.
        """
        try:
            manifest: dict[str, Any] = read_json(self.manifest_file, limit=2**28)  # a config a job
            if not all(is_entry(entry) for entry in manifest["jobs"]):
                raise ValueError("a job without number, overrides or config")
            if len({entry["job"] for entry in manifest["jobs"]}) != len(manifest["jobs"]):
                raise ValueError("a job stands twice")
            if not all(isinstance(override, str) for override in manifest["overrides"]):
                raise ValueError("overrides that are no text")
        except (OSError, ValueError, KeyError, TypeError) as error:
            text = " ".join(str(error).split())
            raise CheckpointError(
                f"{self.manifest_file} is damaged ({type(error).__name__}: {text}); "
                "restore it, or name the jobs' directories"
            ) from None
        return manifest

    def entry(self, number: int) -> dict[str, Any]:
        """The manifest's entry of a job. Raises: RunError if there is none."""
        jobs: list[dict[str, Any]] = self.manifest()["jobs"]
        for entry in jobs:
            if entry["job"] == number:
                return entry
        raise RunError(f"sweep {self.id} has no job {number}; `inn runs --sweep {self.word}` lists them")

    def _gathered(self) -> dict[str, Any]:
        """The manifest, with the jobs that a sweeper has picked since it was written."""
        manifest = self.manifest()
        known = {entry["job"] for entry in manifest["jobs"]}
        new = [
            {key: record.get(key) for key in ("job", "overrides", "config")}
            for record in self._job_records().values()
            if record["job"] not in known
        ]
        return {**manifest, "jobs": sorted([*manifest["jobs"], *new], key=lambda entry: entry["job"])}

    def _write(self, manifest: dict[str, Any]) -> None:
        atomic_write(self.manifest_file, json.dumps(manifest, indent=1) + "\n")

    # ---- how the jobs stand --------------------------------------------------------------------------
    def jobs(self) -> list[dict[str, Any]]:
        """The state of every job, sorted by number.

        Returns: a dict for each: job, overrides, status (a state), error, metrics, steps, planned_steps, seconds, path,
            traceback (the log that holds it, or None).
        """
        records = self._job_records()
        return [self._job(entry, records.get(entry["job"])) for entry in self._gathered()["jobs"]]

    def _job(self, entry: dict[str, Any], record: dict[str, Any] | None) -> dict[str, Any]:
        number = entry["job"]
        run, log = self.run(number), self.log(number)
        state, error, info = entry.get("status") or "waiting", entry.get("error"), {}
        of_record = liveness.state(record, self._job_lock(number), self._record(number)) if record else None
        try:
            info = run.info()
        except CheckpointError as damage:
            if run.info_file.exists():
                state, error = "failed", str(damage)
        if info:
            state, error = run.fine_state(info), info.get("error")
        elif (
            state == "done" and entry.get("config") and not run.info_file.exists()
        ):  # a search has no config in the manifest
            state = "waiting"  # its directory was removed since
        if record and (not info or (of_record == "running" and state != "done") or of_record == "failed"):
            state, error = of_record, record.get("error")
        if state == "killed":
            error = f"killed at step {info.get('steps') or 0}" if info else "killed before its first step"
        traced = state == "failed" and log.is_file()
        return {
            "job": number,
            "overrides": entry["overrides"],
            "status": state,
            "error": error,
            "metrics": info.get("metrics") or {},
            "steps": info.get("steps"),
            "planned_steps": info.get("planned_steps"),
            "seconds": info.get("seconds"),
            "path": str(run.path),
            "traceback": str(log) if traced else None,
        }

    def _job_records(self) -> dict[int, dict[str, Any]]:
        return read_records(self._records)

    # ---- who works on it -----------------------------------------------------------------------------
    @property
    def runs_here(self) -> bool:
        """Whether this very process runs the sweep."""
        return locks.held_here(self._lock)

    def state(self) -> str:
        """running, done, failed, interrupted, or killed."""
        status = str(self.manifest().get("status"))
        if status != "running":
            return status
        return liveness.state({"status": status, **(self._holder() or {})}, self._lock, self._holder_file)

    def _holder(self) -> dict[str, Any] | None:
        try:
            holder = read_json(self._holder_file)
        except (OSError, ValueError):
            return None
        return holder if isinstance(holder, dict) else None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Claims the sweep for this process while entered, with a heartbeat for other hosts.

        Raises: RunError if another living process runs it.
        """
        holder = self._holder() or {}
        busy = RunError(
            f"sweep {self.id} is being run by another process (pid {holder.get('pid')} on "
            f"{holder.get('host')}); watch it with `inn runs --sweep {self.word} --watch`, or stop it first"
        )
        if lives_elsewhere({"status": "running", **holder}, self._holder_file):
            raise busy
        try:
            locks.hold(self._lock)
        except locks.LockTakenError:
            raise busy from None
        record = Record(self._holder_file, {})
        try:
            yield
        finally:
            record.end(remove=True)
            if not self._job_records():
                shutil.rmtree(self._records, ignore_errors=True)
            locks.release(self._lock)

    @contextlib.contextmanager
    def attempt(self, number: int, overrides: list[str]) -> Iterator[Record | None]:
        """Gives the record of a job while it runs; None if another process works on the job already.

        The job calls the record's `end` to say how it ended.
        """
        self.check_job(number)
        self._records.mkdir(exist_ok=True)
        lock, before = self._job_lock(number), self._job_records().get(number)
        if before and lives_elsewhere(before, self._record(number)):
            yield None
            return
        try:
            locks.hold(lock)
        except locks.LockTakenError:
            yield None
            return
        record = Record(self._record(number), {"job": number, "overrides": overrides, "error": None})
        try:
            run = self.run(number)
            if not run.info_file.exists():
                for name in FIRST_FILES:  # left by a process that was killed before it wrote its run.json
                    with contextlib.suppress(OSError):
                        (run.path / name).unlink()
            yield record
        finally:
            record.end(status="killed")  # for an unforeseen error; a job that has called `end` keeps what it wrote
            locks.release(lock)
