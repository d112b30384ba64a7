"""The claim of a new run directory: `.lock`, in which the process that claims it for its run says who it is.

    mkdir  ->  .lock, locked  ->  who claims it  ->  config.yaml, overrides.yaml  ->  run.json

A process may be killed at any of these steps. What it leaves is no run yet, and nobody's: the next process that wants
the directory takes it over. A claim is alive as long as its process is, as a run is (`inncli.runs.liveness`).
"""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

from inncli.io.untrusted import read_json
from inncli.runs import liveness, locks

SIZE = 1024  # of what is written, filled up with blanks: a claim that is taken over is overwritten by one write
_claiming = threading.Lock()  # record locks don't keep threads of one process apart


class ClaimTakenError(Exception):
    """Another process, or another thread of this one, has the directory or is about to."""


def check(lock: Path) -> bool:
    """Whether the files that come after a claim may be overwritten: a dead process of inn's may have written them.

    Args:
        lock: the `.lock` of the directory.

    Raises: ClaimTakenError if the claim is alive, or the file is none of inn's.
    """
    if locks.held_here(lock):  # not to be opened, see `locks.held`
        raise ClaimTakenError
    try:
        claim = _read(lock)
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        raise ClaimTakenError from None
    if liveness.state({"status": "running", **claim}, lock) == "running":
        raise ClaimTakenError
    return bool(claim)


def take(lock: Path) -> None:
    """Makes this process the one that claims the directory of `lock`, which must be there.

    Raises: ClaimTakenError if another one was faster; OSError.
    """
    with _claiming:
        if locks.held_here(lock):
            raise ClaimTakenError
        fd = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            locks.hold(lock, fd)
        except locks.LockTakenError:
            raise ClaimTakenError from None
    here = liveness.here()
    ids = {key: value for key, value in (here["scheduler"] or {}).items() if len(value) < SIZE / 8}
    locks.write(lock, (json.dumps({**here, "scheduler": ids}).ljust(SIZE - 1) + "\n").encode())


def _read(lock: Path) -> dict[str, Any]:
    """Who claimed a directory; {} if the process was killed before it said so, or was one of inn 0.4.

    Raises: ValueError for the file of another program; OSError.
    """
    facts = lock.lstat()
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("no regular file")
    if not facts.st_size:
        return {}
    claim = read_json(lock, 2 * SIZE)
    if not isinstance(claim, dict) or not {"host", "pid", "heartbeat"} <= claim.keys():
        raise ValueError("no claim of inn's")
    return claim
