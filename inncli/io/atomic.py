"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on a clean exit it is synced and renamed to `path`.

    The temporary name ends in `.tmp`, so that no reader takes it for a finished file. On an
    error the temporary file is removed and what was at `path` before is still there. An OSError
    names `path`, since "No space left on device" alone says neither where nor of what.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        yield tmp
        with open(tmp, "rb") as f:
            os.fsync(f.fileno())
        os.replace(tmp, path)
        _sync_directory(path.parent)
    except OSError as error:
        if error.errno is None and (full := re.search(r"errno ?=? ?\[?(\d+)", str(error), re.IGNORECASE)):
            error.errno = int(full.group(1))  # pyarrow and h5py only write it into the text
        if error.errno is None or error.filename not in (None, str(tmp), tmp):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            tmp.unlink()


def clear_leftovers(folder: Path, seconds: float = 0.0) -> None:
    """Removes temporary files of writers that were killed, where they are older than `seconds`."""
    with contextlib.suppress(OSError):
        for path in folder.glob(".*.tmp"):
            if time.time() - path.lstat().st_mtime >= seconds:
                path.unlink()


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
