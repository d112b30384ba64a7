"""Processes that inn starts end when the process that started them is gone, however it went.

After `kill -9`, or when the memory runs out, nobody tells the workers of a pool. Without this they would wait for their
next job for ever.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from inncli.io import standard_streams
from inncli.io.worker_path import leave_safe_path

EVERY = 1.0  # seconds between two looks


def end_now() -> None:
    """Ends this process at once, whatever its threads do."""
    os._exit(1)


def begin(parent: int, when_gone: Callable[[], None] = end_now) -> None:
    """What each worker process calls first.

    Args:
        parent: process id of the one that started it.
        when_gone: called by a thread when that process is gone.
    """
    leave_safe_path()
    standard_streams.secure()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(EVERY)
        when_gone()

    threading.Thread(target=watch, name="inn parent", daemon=True).start()
