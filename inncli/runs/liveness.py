"""Whether the process behind a record (run.json, a sweep's) still lives: its lock, its process id, its heartbeat.

On the record's own host the lock or the process id tells at once. From another host only the heartbeat can:
a living process renews it every few seconds from a thread, however long an epoch or a simulation takes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from inncli.runs import locks, provenance
from inncli.runs.run_info import MARKED, ending_of

BEAT = 5.0  # seconds between heartbeats


def stale_seconds() -> float:
    """Age of a heartbeat at which its process counts as dead: 60 s, `$INN_STALE_SECONDS` for tests."""
    return float(os.environ.get("INN_STALE_SECONDS") or 60)


def now() -> str:
    """The time in UTC with a fixed number of digits: the strings sort as the times do."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def here() -> dict:
    """What a record says of the process that works on it."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "scheduler": provenance.scheduler(), "heartbeat": now()}


def state(record: dict, lock: Path | None = None) -> str:
    """The record's status, told apart: `running` whose process is dead is `killed`; `preempted` is an
    interruption that a scheduler will take up again, `pruned` one that a search wanted.

    Args:
        lock: the file that the process holds while it works, where there is one.
    """
    status = str(record.get("status"))
    if status == "running":
        return "running" if _alive(record, lock) else "killed"
    ending = ending_of(record)
    return ending.value if ending in MARKED else status


def _alive(record: dict, lock: Path | None) -> bool:
    host, pid = record.get("host"), record.get("pid")
    if host == socket.gethostname():
        holds = locks.held(lock) if lock is not None else None
        if holds is not None:
            return holds
        return _process_lives(pid)
    ours = provenance.scheduler()
    if ours and record.get("scheduler") and _job(ours) == _job(record["scheduler"]):
        return False  # a requeued job keeps its id: the process that had it before is gone
    return _age(record.get("heartbeat")) < stale_seconds()


def _job(scheduler: dict) -> tuple:
    return tuple(scheduler.get(f"slurm_{name}") for name in ("job_id", "procid"))


def _process_lives(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
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
    except (ValueError, TypeError):  # none, or not one of ours
        return float("inf")


class Heartbeat:
    """Calls `beat` every few seconds from a daemon thread until it is stopped; what `beat` raises is lost."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat, self._stopped = beat, threading.Event()
        self._thread = threading.Thread(target=self._go, name="inn heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No beat begins after this."""
        self._stopped.set()

    def _go(self) -> None:
        while not self._stopped.wait(min(BEAT, stale_seconds() / 4)):
            with contextlib.suppress(Exception):  # a full disk stops the heartbeat, never the run
                self._beat()
