"""Files and folders that this user may not read, enter or write are named by the part of their path that is closed."""

from __future__ import annotations

import os
from pathlib import Path

from inncli.errors import RequestError


def closed(path: str | os.PathLike[str]) -> RequestError:
    """The error for a path at which the system said "permission denied"."""
    return RequestError(f"{_closed_part(Path(path))} (permission denied); ask its owner, or name another")


def is_readable(file: str | os.PathLike[str]) -> bool:
    """Whether it is a file that this user may read; `Path.is_file` raises an error below a closed folder."""
    return os.path.isfile(file) and os.access(file, os.R_OK)


def check_open(folder: Path) -> None:
    """Checks that a folder can be listed: `glob` takes a closed one for an empty one. One that is absent passes.

    Raises: RequestError if it is closed.
    """
    try:
        with os.scandir(folder):
            pass
    except PermissionError:
        raise closed(folder) from None
    except OSError:
        return


def _closed_part(path: Path) -> str:
    for folder in reversed(path.parents):
        if os.path.isdir(folder) and not os.access(folder, os.X_OK):
            return f"{folder} is closed to you"
    if not os.path.lexists(path):
        return f"{path.parent} can't be written to"
    return f"{path} can't be {'written to' if os.access(path, os.R_OK) else 'read'}"
