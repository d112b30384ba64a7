"""SIGINT and SIGTERM as a flag that the training loop looks at between steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class StopFlag:
    """While entered, the first SIGINT or SIGTERM sets `raised`; a second one acts as usual.

    Outside the main thread, where Python allows no handlers, it never rises.
    """

    def __init__(self) -> None:
        self.raised: str | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopFlag:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._raise)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.raised = signal.Signals(number).name
        signal.signal(number, self._before[number])
