"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

A_DAY = 86_400.0  # seconds; after so long a process id that is in use may be another's


_LEFT = re.compile(r"\..+\.(\d+)\.[0-9a-f]+\.tmp")  # the name of a temporary file, with its writer's process id
_looked: set[Path] = set()  # the folders that this process has cleared


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on a clean exit it is synced and renamed to `path`.

    The temporary name ends in `.tmp`, so that no reader takes it for a finished file. On an
    error the temporary file is removed and what was at `path` before is still there. An OSError
    names `path`, since "No space left on device" alone says neither where nor of what.

    A writer that is killed leaves its temporary file. The next process that writes in this folder removes it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not (path.is_file() or path.is_dir()):  # it would be replaced; a folder is refused below
        raise OSError(errno.EEXIST, "a pipe or a device is there", str(path))
    if (folder := path.parent.absolute()) not in _looked:
        _looked.add(folder)
        clear_leftovers(folder)
    start = str(path.parent / f".{path.name[:40]}.")
    tmp, lock = None, -1
    try:
        tmp, lock = _temporary(start)
        yield tmp
        with open(tmp, "rb") as f:
            os.fsync(f.fileno())
        os.replace(tmp, path)
        _sync_directory(path.parent)
    except OSError as error:
        if error.errno is None and (full := re.search(r"errno ?=? ?\[?(\d+)", str(error), re.IGNORECASE)):
            error.errno = int(full.group(1))  # pyarrow and h5py only write it into the text
        if error.errno is None or not (error.filename is None or str(error.filename).startswith(start)):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        if tmp is not None:
            with contextlib.suppress(FileNotFoundError):
                tmp.unlink()
            os.close(lock)


def _temporary(start: str) -> tuple[Path, int]:
    """A new, empty file whose name begins so, and a descriptor that locks it for as long as this process lives."""
    while True:
        tmp = Path(f"{start}{os.getpid()}.{secrets.token_hex(4)}.tmp")
        lock = os.open(tmp, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks: see `_is_left`
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink:  # else another process took it for a leftover before it was locked
            return tmp, lock
        os.close(lock)


def clear_leftovers(folder: Path) -> None:
    """Removes the temporary files of writers that are gone."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (found := _LEFT.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    if _is_left(Path(entry.path), int(found[1])):
                        os.unlink(entry.path)


def _is_left(tmp: Path, writer: int) -> bool:
    """Whether nobody writes a temporary file any more. inn 0.4 takes no lock: its process is asked for."""
    fd = os.open(tmp, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails if it is locked, or no file can be
        if time.time() - os.fstat(fd).st_mtime > A_DAY:
            return True
    finally:
        os.close(fd)
    try:
        os.kill(writer, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False


def atomic_write(path: Path, data: bytes | str) -> None:
    """Writes `data` to `path`, whole or not at all."""
    with atomic_path(path) as tmp:
        tmp.write_bytes(data.encode() if isinstance(data, str) else data)


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):  # a table may be larger than the memory
            digest.update(block)
    return digest.hexdigest()


def _sync_directory(path: Path) -> None:
    # A rename is durable only once the directory's own entry is on disk.
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems know no such thing
            raise
    finally:
        os.close(fd)
