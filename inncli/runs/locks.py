"""Locks that a dead holder does not keep: record locks on a file, which the kernel drops with their process.

Not inherited by workers, gone after kill -9. On a file system without record locks `held`
answers None, or `hold` lets every process in; there the heartbeat decides (`inncli.runs.liveness`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

_held: dict[Path, int] = {}  # what this process holds: lock file -> descriptor
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_TAKEN = (errno.EACCES, errno.EAGAIN)


class LockTakenError(Exception):
    """Another process holds the lock."""


def hold(file: Path, fd: int | None = None) -> bool:
    """Takes the lock of `file` for this process.

    Args:
        file: the lock file.
        fd: a descriptor of the file that is open for writing; None opens, and makes, the file.

    Returns: whether the file system knows record locks at all.
    Raises: LockTakenError if another process holds the lock.
    """
    key = _key(file)
    fd = os.open(file, os.O_CREAT | os.O_RDWR, 0o644) if fd is None else fd
    if key in _held:
        # POSIX drops a process's record lock when it closes ANY descriptor of the file, so the
        # old descriptor is not closed before the new one has the lock: take over, then lock.
        os.close(_held.pop(key))
    known = True
    for attempt in range(5):
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno in _TAKEN and attempt < 4:  # someone may only be looking, see `held`
                time.sleep(0.01)
                continue
            if error.errno in _TAKEN:
                os.close(fd)
                raise LockTakenError from None
            if error.errno not in _UNSUPPORTED:
                os.close(fd)
                raise
            known = False
            break
    _held[key] = fd
    return known


def release(file: Path) -> None:
    """Gives up the lock of `file`, if this process holds it."""
    fd = _held.pop(_key(file), None)
    if fd is not None:
        os.close(fd)


def held_here(file: Path) -> bool:
    """Whether this process holds the lock of `file`."""
    return _key(file) in _held


def held(file: Path) -> bool | None:
    """Whether some process holds the lock of `file`, as far as this machine can see; None if it can't see."""
    if held_here(file):
        return True  # never opened here: closing it again would drop our own lock
    try:
        fd = os.open(file, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for a moment; an exclusive holder forbids it
        return False
    except OSError as error:
        return True if error.errno in _TAKEN else None
    finally:
        os.close(fd)


def _key(file: Path) -> Path:
    return Path(file).parent.resolve() / Path(file).name
