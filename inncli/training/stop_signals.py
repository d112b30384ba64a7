"""What asks a run to stop, a signal as a rule, as a flag that the training loop looks at between steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from inncli.runs.run_info import Ending

STOP = (signal.SIGINT, signal.SIGTERM)
# A scheduler's, where it listens for one of them: see `inncli.launchers.requeue`.
PREEMPT = (signal.SIGUSR1, signal.SIGUSR2)

StopReason = signal.Signals | Ending
Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None  # of `signal.signal`


def stop_word(reason: StopReason) -> str:
    """The reason as it is printed: `SIGTERM`, `pruned`."""
    return reason.name if isinstance(reason, signal.Signals) else reason.value


def stop_signals() -> list[int]:
    """The signals that stop a run here; those of preemption where someone had a handler for them before."""
    return [*STOP, *(number for number in PREEMPT if callable(signal.getsignal(number)))]


class StopFlag:
    """While entered, the first stop signal sets `raised`; a second one acts as usual.

    Signals of preemption count where someone had a handler for them before, as submitit has in its jobs; else they
    keep their meaning. Outside the main thread, where Python allows no handlers, the flag never rises.
    """

    def __init__(self) -> None:
        self.raised: StopReason | None = None
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> StopFlag:
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self._before[number] = signal.signal(number, self._raise)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.raised = signal.Signals(number)
        signal.signal(number, self._before[number])
