"""What asks a run to stop, a signal as a rule, as a flag that the training loop looks at between steps.

    SIGINT, SIGTERM, SIGQUIT     a person or a scheduler; a second one doesn't wait for the checkpoint
    SIGHUP                       the terminal was closed, or the connection to it lost
    SIGXCPU, SIGUSR1, SIGUSR2    a scheduler or a limit that gives warning; it may do so again and again

A signal that was ignored when the process started, as `nohup` does with SIGHUP, stays ignored. One that someone else
listens for, as submitit does in its jobs, stops a training, and has its own meaning before and after.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from inncli.runs.run_info import Ending

INSISTING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
STOP = (*INSISTING, signal.SIGHUP, signal.SIGXCPU, signal.SIGUSR1, signal.SIGUSR2)

StopReason = signal.Signals | Ending
Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None  # of `signal.signal`


def stop_word(reason: StopReason) -> str:
    """The reason as it is printed: `SIGTERM`, `pruned`."""
    return reason.name if isinstance(reason, signal.Signals) else reason.value


def stop_signals() -> list[int]:
    """The signals that stop a run here: all but those that are ignored, or that only C code listens for."""
    return [number for number in STOP if signal.getsignal(number) not in (signal.SIG_IGN, None)]


def end_as_ctrl_c_does() -> None:
    """Lets every stop signal raise KeyboardInterrupt that would end the process at once.

    Does nothing outside the main thread, where Python allows no handlers.
    """
    if threading.current_thread() is threading.main_thread():
        for number in STOP:
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, signal.default_int_handler)


class StopFlag:
    """While entered, a stop signal sets `raised`; a second one of a kind that insists acts as usual.

    Outside the main thread, where Python allows no handlers, the flag never rises.
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
        if number in INSISTING:
            signal.signal(number, self._before[number])
