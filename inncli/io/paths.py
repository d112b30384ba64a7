"""How a path that a user writes is read."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(text: str | os.PathLike[str]) -> Path:
    """The path that a user means: `~` and `~name` at its start are home folders, as in a shell.

    As there, a name that begins with `~` and is nobody's is the name of a file. All else is taken as it is.
    """
    return Path(os.path.expanduser(text))
