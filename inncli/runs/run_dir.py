"""The run directory: how a process claims it, and how its files are read and written.

`inncli.runs.run_files` names the files, `inncli.runs.registry` finds runs. Files appear whole or not at all;
`metrics.jsonl` grows by one write() a line. A process holds `.lock` (`inncli.runs.locks`) from its claim of a new
directory (`inncli.runs.claim`) for as long as it trains there; meanwhile a thread renews the heartbeat in run.json.
Nothing here imports numpy, torch or hydra: `inn runs` stays fast.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from inncli import io
from inncli.errors import CheckpointError, RunError
from inncli.io import jsonl
from inncli.io.atomic import atomic_write, clear_leftovers, file_sha256
from inncli.io.untrusted import read_bytes, read_json, untrusted_entry
from inncli.runs import claim, liveness, locks, provenance
from inncli.runs.run_files import OWN, RunFiles
from inncli.runs.run_info import STATUSES, Ending, check_info, ending_fields

FIRST_FILES = (".lock", "config.yaml", "overrides.yaml")  # what `create` writes before run.json
_heartbeats: dict[Path, liveness.Heartbeat] = {}  # one for each run directory that this process holds
_writing = threading.RLock()  # run.json is read, changed and written by one thread at a time


class RunDir(RunFiles):
    """One run on disk. Making the object touches nothing; `create` and `reopen` claim the directory."""

    # ---- claim -----------------------------------------------------------------------------------
    @classmethod
    def create(
        cls, path: str | Path, config: dict[str, Any] | None = None, overrides: list[str] | None = None, **fields: Any
    ) -> RunDir:
        """Claims `path` for this process and writes config.yaml, then its first run.json (status running).

        The order matters: a run that has a run.json can be resumed, even if the process is killed in this function. If
        it is killed before, the next process that wants the directory takes it over.

        Args:
            path: the new run directory.
            config: the resolved config; None writes no config.yaml.
            overrides: what made the config.
            fields: more fields of run.json (task, model, seed, device, ...) beside those that are known here: times,
                versions, git commit, host, scheduler ids, process id.

        Raises:
            RunError: another process or an earlier run has this directory, or it holds other files.
        """
        run = cls(path).check_new()
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            claim.take(run._lock_file)
        except (FileExistsError, NotADirectoryError, claim.ClaimTakenError):
            raise run._taken() from None
        try:
            if run.info_file.exists():  # the process that had the claim is a moment ahead
                raise run._taken()
            run._begin(config, overrides or [], fields)
        except BaseException:
            run.release()
            raise
        run._start_heartbeat()
        return run

    def _begin(self, config: dict[str, Any] | None, overrides: list[str], fields: dict[str, Any]) -> None:
        """Writes the first files of a run, and clears away what a process that was killed here has left of them."""
        for name in ("config.yaml", "overrides.yaml", "run.json"):  # other files here are the user's
            for left in self.path.glob(f".{name}.*.tmp"):
                left.unlink(missing_ok=True)
        if config is not None:
            self.write_config(config, overrides)
        self._write_info(
            {
                "id": self.id,
                "status": "running",
                "started": liveness.now(),
                **dict.fromkeys(("ended", "seconds", "error", "task", "model", "seed", "device", "dtype", "threads")),
                "versions": provenance.versions(),
                "git": provenance.git_commit(),
                **liveness.here(),
                "steps": 0,
                "planned_steps": None,
                "epochs": 0,
                "metrics": {},
                **fields,
            }
        )

    def check_new(self) -> RunDir:
        """Checks that the directory can take a new run, and returns this object.

        The directory may be absent, or hold files that no run writes; hydra's log may be there already, and what is
        left of a claim whose process is dead.

        Raises: RunError otherwise: a `config.yaml` or `data` of the user's must not be overwritten.
        """
        try:
            left = FIRST_FILES if claim.check(self._lock_file) else (".lock",)
        except claim.ClaimTakenError:
            raise self._taken() from None
        if self.info_file.exists():
            raise self._taken()
        passed = ("train.log", *left)
        theirs = [name for name in OWN if name not in passed and os.path.lexists(self.path / name)]
        if theirs:
            raise RunError(
                f"expected a new directory for the run, got {self.path}, which holds another {theirs[0]}; "
                "leave hydra.run.dir out or name another"
            )
        return self

    def was_claimed(self) -> bool:
        """Whether a process claimed this directory for a run and has not begun it."""
        return self._lock_file.is_file() and not self.info_file.exists()

    def reopen(self, **fields: Any) -> None:
        """Claims a stopped run to continue it: its status is running again, with this process's id and host.

        Raises:
            RunError: another process is training in this directory, or has finished it.
            CheckpointError: run.json is damaged.
        """
        info = self.info()
        # Not every file system has locks, and not every shared one hands them on to other hosts: see `liveness`.
        if not locks.held_here(self._lock_file) and self.fine_state(info) == "running":
            raise self._busy(info)
        try:
            self._hold(os.open(self._lock_file, os.O_CREAT | os.O_RDWR, 0o644), info)
        except PermissionError:
            raise RunError(f"run {self.id} can't be written to; copy {self.path} and resume the copy") from None
        try:
            self.refuse_done()  # only now: the process that had the lock may have finished a moment ago
        except BaseException:
            self.release()
            raise
        for folder in (self.path, self.last.parent, self.pairs.parent, self.posteriors):
            clear_leftovers(folder)
        self.update_info(
            status="running",
            ended=None,
            error=None,
            ended_by=None,
            preempted=None,
            pruned=None,
            versions=provenance.versions(),
            resumed=liveness.now(),
            **liveness.here(),
            **fields,
        )
        self._start_heartbeat()

    def refuse_done(self) -> dict[str, Any]:
        """run.json of a run that is not finished. Raises: RunError if it is."""
        info = self.info()
        if info["status"] == "done":
            raise RunError(f"run {self.id} is finished ({info.get('steps')} steps); start a new one with `inn train`")
        return info

    def release(self) -> None:
        """Gives up the claim on the directory. `end` does so too, and `update_info` with any status but running."""
        with _writing:  # a beat under way ends first
            heart = _heartbeats.pop(self.path.resolve(), None)
            if heart is not None:
                heart.stop()
            locks.release(self._lock_file)

    def _hold(self, fd: int, info: dict[str, Any]) -> None:
        try:
            locks.hold(self._lock_file, fd)
        except locks.LockTakenError:
            raise self._busy(info) from None

    def _taken(self) -> RunError:
        return RunError(
            f"expected a new directory for the run, got {self.path}, which is taken; "
            "leave hydra.run.dir out or name another"
        )

    def _busy(self, info: dict[str, Any]) -> RunError:
        who = f" (pid {info.get('pid')} on {info.get('host')})"
        if seconds := liveness.ahead(info.get("heartbeat")):
            who += f", whose clock is {seconds:,.0f} s ahead of this one's"
        return RunError(f"run {self.id} is being trained by another process{who}; wait for it or stop it first")

    def _start_heartbeat(self) -> None:
        def beat() -> None:
            with _writing:
                if self.path.resolve() in _heartbeats:  # else the run has ended since
                    self.update_info()

        key = self.path.resolve()
        if key in _heartbeats:
            _heartbeats[key].stop()
        _heartbeats[key] = liveness.Heartbeat(beat)

    def check_own(self) -> RunDir:
        """Checks that all files of the run lie in its directory, and returns this object.

        A link in an untrusted run could lead to any file of the user's.

        Raises: CheckpointError for a link, a pipe or a device among them.
        """
        found = untrusted_entry(self.path, OWN)
        if found is not None:
            raise CheckpointError(
                f"{found} is a link or no regular file; a run's files lie in its own directory: "
                "copy there what it points to, or remove it"
            )
        return self

    # ---- config ----------------------------------------------------------------------------------
    def write_config(self, config: dict[str, Any], overrides: list[str]) -> None:
        """Writes the resolved config and the overrides that made it, as plain YAML."""
        dump = io.untrusted_yaml.dump_yaml
        atomic_write(self.path / "overrides.yaml", dump([str(override) for override in overrides]))
        atomic_write(self.config_file, dump(config))

    def config_bytes(self) -> bytes:
        """The bytes of config.yaml. Raises: CheckpointError if it is missing, too large or no regular file."""
        try:
            return read_bytes(self.config_file)
        except (OSError, ValueError) as error:
            raise _damaged(self.config_file, error) from None

    def config(self) -> dict[str, Any]:
        """The resolved config this run was trained with."""
        try:
            config = io.untrusted_yaml.parse_yaml(self.config_bytes())
        except ValueError as error:
            raise _damaged(self.config_file, error) from None
        if not isinstance(config, dict) or not all(
            isinstance(config.get(key) or {}, dict) for key in ("task", "names")
        ):
            raise _damaged(self.config_file, "not a mapping, or one without a task")
        return config

    def overrides(self) -> list[str]:
        """The overrides of the command line that made the config."""
        try:
            overrides = io.untrusted_yaml.read_yaml(self.path / "overrides.yaml") or []
            if not isinstance(overrides, list):
                raise ValueError("not a list")
        except (OSError, ValueError) as error:
            raise _damaged(self.path / "overrides.yaml", error) from None
        return [str(override) for override in overrides]

    def config_hash(self) -> str:
        """SHA-256 of config.yaml's bytes; a checkpoint carries the same."""
        return hashlib.sha256(self.config_bytes()).hexdigest()

    def weights_hash(self) -> str:
        """SHA-256 of the best checkpoint. Raises: OSError if it can't be read."""
        return file_sha256(self.best)

    # ---- run.json --------------------------------------------------------------------------------
    def info(self) -> dict[str, Any]:
        """run.json as a dict.

        Raises:
            CheckpointError: the file is missing, cut short, or not this program's.
        """
        try:
            info = read_json(self.info_file)
            if not isinstance(info, dict) or info.get("status") not in STATUSES:
                raise ValueError(f"no status out of {', '.join(STATUSES)}")
            check_info(info)
        except (OSError, ValueError) as error:  # ValueError: bad JSON, bad UTF-8, or not what inn writes
            raise _damaged(self.info_file, error) from None
        return info

    def update_info(self, **fields: Any) -> None:
        """Sets fields of run.json, and its heartbeat. A status other than running releases the directory."""
        with _writing:
            info = {**self.info(), "heartbeat": liveness.now(), **fields}
            if info["status"] not in STATUSES:
                raise ValueError(f"status: expected one of {STATUSES}, got {info['status']!r}")
            if info["status"] != "running" and "status" in fields and "ended" not in fields:
                info["ended"] = liveness.now()
            self._write_info(info)
            if info["status"] != "running":
                self.release()

    def end(self, ending: Ending, **fields: Any) -> None:
        """Writes why the run ended, with more fields of run.json, and releases the directory.

        Of a run that has ended already the cause changes; the time of its end stays.
        """
        with _writing:
            info = self.info()
            if info["status"] != "running" and info.get("ended") is not None:
                fields = {"ended": info["ended"], **fields}
            self.update_info(**{**ending_fields(ending, info), **fields})

    def state(self, info: dict[str, Any] | None = None) -> str:
        """The status. A run that says `running` and whose process is dead is `interrupted`."""
        state = self.fine_state(info)
        return "interrupted" if state in ("killed", "preempted", "pruned") else state

    def fine_state(self, info: dict[str, Any] | None = None) -> str:
        """The `state`, where an interrupted run may be `killed`, `preempted` or `pruned`."""
        return liveness.state(self.info() if info is None else info, self._lock_file, self.info_file)

    def _write_info(self, info: dict[str, Any]) -> None:
        atomic_write(self.info_file, json.dumps(jsonl.plain(info), indent=1) + "\n")

    # ---- evaluations -----------------------------------------------------------------------------
    def write_evaluation(self, key: str, entry: dict[str, Any]) -> None:
        """Writes what `inn evaluate` found. A number that is not finite becomes null, which JSON can hold."""
        atomic_write(self.evaluation(key), json.dumps(jsonl.plain(entry), indent=1) + "\n")

    def read_evaluation(self, key: str) -> dict[str, Any] | None:
        """What `write_evaluation` wrote; None if there is no such file or it can't be read."""
        try:
            entry = read_json(self.evaluation(key))
        except (OSError, ValueError):
            return None
        return entry if isinstance(entry, dict) else None

    # ---- metrics.jsonl ---------------------------------------------------------------------------
    def metrics(self) -> list[dict[str, Any]]:
        """One dict for each epoch, in order. A line that is cut short, or is none of inn's, is skipped."""
        return [entry for _, entry in jsonl.entries(self.metrics_file)]

    def append_metrics(self, entry: dict[str, Any]) -> None:
        """Adds one line. A number that is not finite becomes null, which JSON can hold."""
        jsonl.append(self.metrics_file, entry)

    def cut_metrics(self, epoch: int) -> None:
        """Drops the lines after `epoch` and damaged ones; the others keep their bytes."""
        jsonl.cut(self.metrics_file, epoch)


# ---- small parts -------------------------------------------------------------------------------------
def _damaged(path: Path, why: object) -> CheckpointError:
    if isinstance(why, FileNotFoundError):
        return CheckpointError(f"{path} is missing; this is not a whole run: name another, try `inn runs`")
    if isinstance(why, PermissionError):
        return CheckpointError(f"{path} can't be read ({why.strerror}); ask its owner, or name another run")
    text = " ".join(str(why).split())
    return CheckpointError(f"{path} is damaged ({text}); restore it or name another run, try `inn runs`")
