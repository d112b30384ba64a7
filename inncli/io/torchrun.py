"""What torchrun says to each of the processes that it starts."""

from __future__ import annotations

import os

_SAYS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def rank() -> int | None:
    """The number of this process among those that torchrun started to train together; None if it started none."""
    words = [os.environ.get(key, "") for key in _SAYS]
    return int(words[0]) if all(words) and int(words[2]) > 1 else None
