"""Whether the process behind a record (run.json, a sweep's) still lives: its lock, its process id, its heartbeat.

On the record's own host the lock or the process id tells at once. From another host only the heartbeat can:
a living process renews it every few seconds from a thread, however long an epoch or a simulation takes.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from inncli.runs import locks, provenance
from inncli.runs.run_info import MARKED, ending_of

BEAT = 5.0  # seconds between heartbeats


def stale_seconds() -> float:
    """Age of a heartbeat at which its process counts as dead: 60 s, `$INN_STALE_SECONDS` for tests."""
    return float(os.environ.get("INN_STALE_SECONDS") or 60)


def now() -> str:
    """The time in UTC with a fixed number of digits: the strings sort as the times do."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def here() -> dict[str, Any]:
    """The fields by which a record names this process: host, pid, scheduler ids, heartbeat."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "scheduler": provenance.scheduler(), "heartbeat": now()}


def state(record: dict[str, Any], lock: Path | None = None, file: Path | None = None) -> str:
    """The record's status, in finer words.

    A record that says `running` is `killed` if its process is dead. An interrupted one is `preempted` if a scheduler
    will continue it, and `pruned` if a search stopped it.

    Args:
        record: what run.json, or the record of a job or a sweep, holds.
        lock: the file that the process locks while it works, where there is one.
        file: that of the record.
    """
    status = str(record.get("status"))
    if status == "running":
        return "running" if _alive(record, lock, file) else "killed"
    ending = ending_of(record)
    return ending.value if ending in MARKED else status


def _alive(record: dict[str, Any], lock: Path | None, file: Path | None) -> bool:
    host, pid = record.get("host"), record.get("pid")
    if host == socket.gethostname():
        holds = locks.held(lock) if lock is not None else None
        if holds is not None:
            return holds
        # No lock can be seen. The number may be another process's by now, so the heart must beat too.
        return _process_lives(pid) and _age(record.get("heartbeat")) < stale_seconds()
    ours = provenance.scheduler()
    if ours and record.get("scheduler") and _job(ours) == _job(record["scheduler"]):
        return False  # a requeued job keeps its id: the process that had it before is gone
    return _is_fresh(record.get("heartbeat"), file)


def ahead(stamp: object) -> float:
    """Seconds by which a heartbeat shows that the clock of its host is ahead of this one's; 0 if it does not."""
    early = -_age(stamp)
    return early if stale_seconds() < early < math.inf else 0.0


def _is_fresh(stamp: object, file: Path | None) -> bool:
    """Whether a heartbeat of another host is recent.

    If its clock runs ahead, the heartbeat tells nothing, and until that time comes would hold the run of a dead
    process. Then the file that it stands in decides: a living process writes it every few seconds.
    """
    if not ahead(stamp):
        return _age(stamp) < stale_seconds()
    try:
        return file is not None and time.time() - file.stat().st_mtime < stale_seconds()
    except OSError:
        return False


def _job(scheduler: dict[str, Any]) -> tuple[object, ...]:
    return tuple(scheduler.get(f"slurm_{name}") for name in ("job_id", "procid"))


def _process_lives(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0 or pid == os.getpid():  # this process would know its own lock
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _age(stamp: object) -> float:
    try:
        return (datetime.now(timezone.utc) - datetime.fromisoformat(str(stamp))).total_seconds()
    except (ValueError, TypeError):  # no stamp, or not one that inn wrote
        return float("inf")


class Heartbeat:
    """Calls `beat` every few seconds from a daemon thread until it is stopped. Errors of `beat` are ignored."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat, self._stopped = beat, threading.Event()
        self._thread = threading.Thread(target=self._go, name="inn heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread: no beat begins after this call."""
        self._stopped.set()

    def _go(self) -> None:
        while not self._stopped.wait(min(BEAT, stale_seconds() / 4)):
            with contextlib.suppress(Exception):  # a full disk stops the heartbeat, never the run
                self._beat()
