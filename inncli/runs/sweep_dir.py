"""A sweep on disk: what was asked for, and how each of its jobs stands.

    sweeps/<name>/sweep.json      the manifest: status, times, the sweep's own words, one entry a job with its
                                  words and config; whole before the first job runs, so that it can be resumed
    sweeps/<name>/<job>/          a run directory each; its run.json is the truth of the job's state
    sweeps/<name>/.jobs/<n>.json  written by the job itself, in whatever process it runs: it speaks for the job
                                  before there is a run.json; gathered into the manifest at the end
    sweeps/<name>/.lock           held by the process that runs the sweep; .jobs/sweep.json says which

States of a job: waiting, running, done, failed, killed (running by its record, but its process is dead),
interrupted, preempted (interrupted, and a scheduler will take it up again), pruned (a search had seen enough of it).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from inncli.errors import CheckpointError, InnError, RunError, did_you_mean
from inncli.io.atomic import atomic_write
from inncli.io.untrusted import read_json, untrusted_entry
from inncli.runs import liveness, locks
from inncli.runs.registry import find_run, outputs_root, read_runs
from inncli.runs.run_dir import FIRST_FILES, RunDir

ENDED = ("done", "pruned", "failed", "killed", "interrupted")  # nobody works on such a job
QUEUE = ".submitit"  # submitit's logs and job files
GOOD = ("done", "pruned")  # nothing is left to do


class SweepDir:
    """One sweep on disk. Making the object touches nothing."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def id(self) -> str:
        """The directory's name."""
        return self.path.absolute().name

    @property
    def manifest_file(self) -> Path:
        return self.path / "sweep.json"

    @property
    def is_search(self) -> bool:
        """Whether a study chooses the jobs; see `inncli.launchers.optuna`."""
        return bool(self.manifest().get("search"))

    @property
    def best_config(self) -> Path:
        """The best config of a search that has ended, as a recipe for `--config-dir`."""
        return self.path / "experiment" / "best.yaml"

    def check_own(self) -> SweepDir:
        """This sweep, all of whose files and jobs lie in its directory. Raises: CheckpointError for a link among them."""
        names = [name for name in os.listdir(self.path) if name not in ("multirun.yaml", QUEUE)]
        found = untrusted_entry(self.path, names)
        # submitit keeps a link of its own in there, and a resumed sweep gives it a new folder: nothing old is read.
        if (self.path / QUEUE).is_symlink():
            found = self.path / QUEUE
        if found is not None:
            raise CheckpointError(
                f"{found} is a link or no regular file; a sweep's files lie in its own directory: "
                "copy there what it points to, or remove it"
            )
        return self

    def configs(self) -> Iterator[dict]:
        """What the jobs would be trained with: the config of each in the manifest, and that of each run there is."""
        for entry in self.manifest()["jobs"]:
            if entry.get("config") is not None:
                yield entry["config"]
            run = self.run(entry["job"])
            if run.info_file.exists() and run.config_file.exists():
                yield run.config()

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
    def start(self, overrides: list[str], jobs: list[dict]) -> None:
        """Writes the manifest of a new sweep.

        Args:
            overrides: the sweep's own words, the launcher's included.
            jobs: `overrides` and `config` of each; empty where a sweeper picks them as it goes.
        """
        self._write(
            {
                "id": self.id,
                "status": "running",
                "started": liveness.now(),
                "ended": None,
                "overrides": overrides,
                "search": not jobs,
                "jobs": [{"job": n, "status": "waiting", **job} for n, job in enumerate(jobs)],
            }
        )

    def restart(self, todo: list[int]) -> None:
        """Turns the manifest to `running` again, and the jobs `todo` to `waiting`."""
        manifest = self._gathered()
        for entry in manifest["jobs"]:
            if entry["job"] in todo:
                entry.update(status="waiting", error=None)
        self._forget_records()  # of processes that are gone
        self._write({**manifest, "status": "running", "ended": None, "resumed": liveness.now()})

    def finish(self, interrupted: bool = False) -> list[dict]:
        """Writes how every job stands into the manifest and returns it, see `jobs`."""
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

    def manifest(self) -> dict:
        """sweep.json as a dict.

        Raises: CheckpointError if it is missing, cut short or not this program's.
        """
        try:
            manifest = read_json(self.manifest_file, limit=2**28)  # a config a job
            if not all(_is_entry(entry) for entry in manifest["jobs"]):
                raise ValueError("a job without number, overrides or config")
            if len({entry["job"] for entry in manifest["jobs"]}) != len(manifest["jobs"]):
                raise ValueError("a job stands twice")
            if not all(isinstance(word, str) for word in manifest["overrides"]):
                raise ValueError("overrides that are no text")
        except (OSError, ValueError, KeyError, TypeError) as error:
            text = " ".join(str(error).split())
            raise CheckpointError(
                f"{self.manifest_file} is damaged ({type(error).__name__}: {text}); "
                "restore it, or name the jobs' directories"
            ) from None
        return manifest

    def entry(self, number: int) -> dict:
        """The manifest's entry of a job. Raises: RunError if there is none."""
        for entry in self.manifest()["jobs"]:
            if entry["job"] == number:
                return entry
        raise RunError(f"sweep {self.id} has no job {number}; `inn runs --sweep {self.id}` lists them")

    def _gathered(self) -> dict:
        """The manifest with the jobs that a sweeper picked as it went."""
        manifest = self.manifest()
        known = {entry["job"] for entry in manifest["jobs"]}
        new = [
            {key: record.get(key) for key in ("job", "overrides", "config")}
            for record in self._job_records().values()
            if record["job"] not in known
        ]
        return {**manifest, "jobs": sorted([*manifest["jobs"], *new], key=lambda entry: entry["job"])}

    def _write(self, manifest: dict) -> None:
        atomic_write(self.manifest_file, json.dumps(manifest, indent=1) + "\n")

    # ---- how the jobs stand --------------------------------------------------------------------------
    def jobs(self) -> list[dict]:
        """One dict a job, by number: job, overrides, status (a state), error, metrics, steps, planned_steps,
        seconds, path, traceback (the log that holds it, or None).
        """
        records = self._job_records()
        return [self._job(entry, records.get(entry["job"])) for entry in self._gathered()["jobs"]]

    def _job(self, entry: dict, record: dict | None) -> dict:
        number = entry["job"]
        run, log = self.run(number), self.log(number)
        state, error, info = entry.get("status") or "waiting", entry.get("error"), {}
        of_record = liveness.state(record, self._job_lock(number)) if record else None
        try:
            info = run.info()
        except CheckpointError as damage:
            if run.info_file.exists():
                state, error = "failed", str(damage)
        if info:
            state, error = run.fine_state(info), info.get("error")
        elif state == "done" and entry.get("config") and not run.info_file.exists():  # a study keeps its own books
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

    def _job_records(self) -> dict[int, dict]:
        found = {}
        for file in self._records.glob("[0-9]*.json"):
            with contextlib.suppress(OSError, ValueError):
                record = read_json(file)
                if _is_entry(record):
                    found[record["job"]] = record
        return found

    # ---- who works on it -----------------------------------------------------------------------------
    @property
    def _records(self) -> Path:
        return self.path / ".jobs"

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    def _job_lock(self, number: int) -> Path:
        return self._records / f"{number}.lock"

    @property
    def runs_here(self) -> bool:
        """Whether this very process runs the sweep."""
        return locks.held_here(self._lock)

    def state(self) -> str:
        """running, done, failed, interrupted, or killed."""
        status = str(self.manifest().get("status"))
        return (
            liveness.state({"status": status, **(self._holder() or {})}, self._lock) if status == "running" else status
        )

    def _holder(self) -> dict | None:
        try:
            holder = read_json(self._records / "sweep.json")
        except (OSError, ValueError):
            return None
        return holder if isinstance(holder, dict) else None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Claims the sweep for this process, with a heartbeat for other hosts.

        Raises: RunError if another living process runs it.
        """
        holder = self._holder() or {}
        busy = RunError(
            f"sweep {self.id} is being run by another process (pid {holder.get('pid')} on "
            f"{holder.get('host')}); watch it with `inn runs --sweep {self.id} --watch`, or stop it first"
        )
        if _lives_elsewhere({"status": "running", **holder}):
            raise busy
        try:
            locks.hold(self._lock)
        except locks.Taken:
            raise busy from None
        record = _Record(self._records / "sweep.json", {})
        try:
            yield
        finally:
            record.end(remove=True)
            if not self._job_records():
                shutil.rmtree(self._records, ignore_errors=True)
            locks.release(self._lock)

    @contextlib.contextmanager
    def attempt(self, number: int, overrides: list[str], config: dict | None = None) -> Iterator[_Record | None]:
        """A job's own record while it runs; None where another process is at it already.

        The job tells how it went by the record's `end`.

        Args:
            config: kept for a job that the manifest does not know.
        """
        self.check_job(number)
        self._records.mkdir(exist_ok=True)
        lock, before = self._job_lock(number), self._job_records().get(number)
        if before and _lives_elsewhere(before):
            yield None
            return
        try:
            locks.hold(lock)
        except locks.Taken:
            yield None
            return
        known = {"config": config} if config is not None else {}
        record = _Record(
            self._records / f"{number}.json", {"job": number, "overrides": overrides, "error": None, **known}
        )
        try:
            run = self.run(number)
            if not run.info_file.exists():
                for name in FIRST_FILES:  # of a process that was killed before it wrote its run.json
                    with contextlib.suppress(OSError):
                        (run.path / name).unlink()
            yield record
        finally:
            record.end(status="killed")  # for what no one foresaw; a job that ended keeps its word
            locks.release(lock)


def _is_entry(entry: object) -> bool:
    """Whether this is what a manifest, or a job's record, says of a job: a stranger may have written it."""
    if not isinstance(entry, dict):
        return False
    config, number, words = entry.get("config"), entry.get("job"), entry.get("overrides")
    return (
        type(number) is int
        and 0 <= number < 10**6
        and isinstance(words, list)
        and all(isinstance(word, str) for word in words)
        and all(isinstance(entry.get(name), (str, type(None))) for name in ("status", "error", "host"))
        and isinstance(entry.get("scheduler"), (dict, type(None)))
        and (config is None or isinstance(config, dict) and isinstance(config.get("task", {}), dict))
    )


def _lives_elsewhere(record: dict) -> bool:
    # Not every shared file system hands locks on to other hosts: there the heartbeat speaks.
    return record.get("host") != liveness.here()["host"] and liveness.state(record) == "running"


class _Record:
    """A small JSON file that says who works on something, with a heartbeat until it ends."""

    def __init__(self, file: Path, fields: dict) -> None:
        self._file, self._fields = file, {"status": "running", **liveness.here(), **fields}
        self._mutex, self._ended = threading.Lock(), False
        file.parent.mkdir(exist_ok=True)
        self._write()
        self._heart = liveness.Heartbeat(self._beat)

    def end(self, remove: bool = False, **fields) -> None:
        """The last word; only the first call counts."""
        self._heart.stop()
        with self._mutex:
            if self._ended:
                return
            self._ended = True
            self._fields |= fields
            with contextlib.suppress(OSError):  # a full disk: run.json, or the dead process, will tell
                self._file.unlink(missing_ok=True) if remove else self._write()

    def _beat(self) -> None:
        with self._mutex:
            if not self._ended:
                self._fields["heartbeat"] = liveness.now()
                self._write()

    def _write(self) -> None:
        atomic_write(self._file, json.dumps(self._fields, indent=1) + "\n")


def find(spec: str | os.PathLike, root: Path | None = None) -> RunDir | SweepDir:
    """The run or the whole sweep that one word means: a directory, an id, or a prefix that only one has.

    Raises: RunError if none or several fit.
    """
    root = outputs_root() if root is None else root
    spec = os.fspath(spec)
    for folder in (Path(spec), root / "sweeps" / spec):
        if spec and (folder / "sweep.json").is_file():
            return SweepDir(folder)
    sweeps = {file.parent.name: file.parent for file in sorted((root / "sweeps").glob("*/sweep.json"))}
    plain = [run.id for run, _ in read_runs(root) if "/" not in run.id]
    fits = [name for name in (*sweeps, *plain) if name.startswith(spec)]
    if len(fits) > 1 and spec not in fits and not (Path(spec) / "run.json").is_file():
        raise RunError(
            f"{spec!r} fits {len(fits)} runs and sweeps: {', '.join(fits[:5])}"
            f"{', ...' if len(fits) > 5 else ''}; give more of the id"
        )
    if fits and fits[0] in sweeps:
        return SweepDir(sweeps[fits[0]])
    return find_run(spec, root)


def find_sweep(spec: str | os.PathLike, root: Path | None = None) -> SweepDir:
    """The sweep that one word means. Raises: RunError if it means none."""
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
