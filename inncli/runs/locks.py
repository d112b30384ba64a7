"""Locks that a dead holder does not keep: record locks on a file, which the kernel drops with their process.

Not inherited by workers, gone after kill -9. Where the file system has no record locks, a name on this host stands in
for them: the address of a socket, which Linux drops with its process too. Other hosts don't see that name, and other
systems have none: there `held` answers None, `hold` lets every process in, and the heartbeat decides
(`inncli.runs.liveness`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sys
import time
from pathlib import Path

_held: dict[Path, int] = {}  # what this process holds: lock file -> descriptor
_names: dict[Path, socket.socket] = {}  # where the file system has no record locks: lock file -> the name on this host
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_TAKEN = (errno.EACCES, errno.EAGAIN)
LOOKS = 5  # attempts before a lock counts as taken


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
    for attempt in range(LOOKS):
        try:
            known = _take(key, fd)
            break
        except LockTakenError:
            if attempt == LOOKS - 1:
                os.close(fd)
                raise
            time.sleep(0.01)  # someone may only be looking, see `held`
        except OSError:
            os.close(fd)
            raise
    _held[key] = fd
    return known


def _take(key: Path, fd: int) -> bool:
    """One attempt at a lock: the file's own, else its name on this host. Returns whether it is the file's own."""
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno in _TAKEN:
            raise LockTakenError from None
        if error.errno not in _UNSUPPORTED:
            raise
    if key not in _names and (name := _name_on_host(fd)) is not None:
        _names[key] = name
    return False


def write(file: Path, data: bytes) -> None:
    """Writes into the lock file that this process holds, at once. It is not opened, see `held`."""
    os.pwrite(_held[_key(file)], data, 0)


def release(file: Path) -> None:
    """Gives up the lock of `file`, if this process holds it."""
    fd, name = _held.pop(_key(file), None), _names.pop(_key(file), None)
    if name is not None:
        name.close()
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
        return True if error.errno in _TAKEN or _named_on_host(fd) else None
    finally:
        os.close(fd)


def _name_on_host(fd: int) -> socket.socket | None:
    """Takes the name of a lock file on this host; None where there are no such names.

    Raises: LockTakenError if another process has it.
    """
    if not sys.platform.startswith("linux"):
        return None
    facts = os.fstat(fd)
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0inn-{facts.st_dev:x}-{facts.st_ino:x}")
    except OSError as error:
        name.close()
        if error.errno == errno.EADDRINUSE:
            raise LockTakenError from None
        return None  # a sandbox may forbid it
    return name


def _named_on_host(fd: int) -> bool:
    """Whether another process of this host has the name of a lock file, for longer than a look."""
    for _ in range(LOOKS):
        try:
            name = _name_on_host(fd)
        except LockTakenError:
            time.sleep(0.01)
            continue
        if name is not None:
            name.close()
        return False
    return True


def _key(file: Path) -> Path:
    return Path(file).parent.resolve() / Path(file).name
