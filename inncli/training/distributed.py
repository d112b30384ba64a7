"""Several processes that train one model: `device=[cuda:0,cuda:1]`, `device=[cpu,cpu]`, or torchrun.

    run(devices, function, ...)  ->  function(group, ...) in this process, in one for each device, or in torchrun's

What the processes are to each other: `inncli.training.group`. Those that are started here talk over the loopback
device and find each other by a file. The process that started them trains nothing: it hands signals on, and ends all
of them when one is gone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed

from inncli import runtime
from inncli.errors import ConfigError, LostProcessError, TrainingError
from inncli.io import torchrun
from inncli.io.worker_life import begin
from inncli.io.worker_path import safe_path, spawning
from inncli.training.group import alone, joined
from inncli.training.stop_signals import stop_signals

T = TypeVar("T")

GRACE = 10.0  # seconds that the others have to end by themselves, once one of them has failed


def run(names: str | list[str], function: Callable[..., T], *args: Any) -> T:
    """Calls function(group, *args) in each of the processes that train together; returns what the first one returns.

    Args:
        names: the devices asked for.
        function: of a module, since it is named to other processes.
        *args: its further arguments.

    Raises: the error of the first process to fail; ConfigError if a device isn't here.
    """
    rank = torchrun.rank()
    if rank is not None:
        with joined(_of_launcher(names), rank, int(os.environ["LOCAL_RANK"])) as group:
            return function(group, *args)
    devices = runtime.resolve_devices(names)
    return function(alone(devices[0]), *args) if len(devices) == 1 else _spawn(devices, function, args)


# ---- one process -----------------------------------------------------------------------------------
def _of_launcher(names: str | list[str]) -> list[torch.device]:
    """The device of each of torchrun's processes on this machine."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ["WORLD_SIZE"])
    if isinstance(names, str):
        first = runtime.resolve_device(names)
        any_cuda = first.type == "cuda" and names in ("auto", "cuda")
        names = [f"cuda:{k}" if any_cuda else str(first) for k in range(here)]
    elif len(names) != here:
        raise ConfigError(
            f"device: torchrun started {here} processes here, got {len(names)} devices; "
            "give --nproc-per-node that number"
        )
    return runtime.resolve_devices(names)


def _work(
    rank: int,
    devices: list[torch.device],
    meeting: str,
    stops: list[int],
    reports: Connection,
    function: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    """The life of a process that was started here."""
    starter = multiprocessing.parent_process()
    assert starter is not None and starter.pid is not None  # `_spawn` started this process
    begin(starter.pid, _stop)
    os.setpgid(0, 0)  # Ctrl-C on the terminal reaches the starting process alone, which hands it on once
    for number in stops:
        signal.signal(number, signal.default_int_handler)  # until the training looks out for them
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    if devices[rank].type == "cuda":
        os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")
    try:
        store = distributed.FileStore(meeting, len(devices))
        with joined(devices, rank, rank, store) as group:
            reports.send((function(group, *args), None, None))
    except BaseException as error:
        with contextlib.suppress(OSError):  # the starting process may be gone
            reports.send((None, _portable(error), traceback.format_exc()))
        os._exit(1)  # not through the closing of a group that may wait for the others


def _stop() -> None:
    """Stops this process, with a checkpoint."""
    os.kill(os.getpid(), signal.SIGTERM)


def _portable(error: BaseException) -> BaseException:
    """The error as it can be sent."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:  # one with arguments of its own kind
        return RuntimeError(f"{type(error).__name__}: {error}")


class _ElsewhereError(Exception):
    """The traceback of an error in another process, shown as its cause."""


# ---- the process that starts them ------------------------------------------------------------------
def _spawn(devices: list[torch.device], function: Callable[..., T], args: tuple[Any, ...]) -> T:
    """`run` on several devices: one process for each, started here."""
    if multiprocessing.current_process().daemon:
        raise ConfigError(
            "device: a list starts processes of its own, which a worker of this launcher may not; "
            "take another launcher, or one device"
        )
    context = spawning()
    with tempfile.TemporaryDirectory(prefix="inn-") as folder:
        workers: list[_Worker] = []
        try:
            for rank in range(len(devices)):
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(
                    target=_work,
                    args=(
                        rank,
                        devices,
                        str(Path(folder) / "meeting"),
                        stop_signals(),
                        theirs,
                        function,
                        args,
                    ),
                )
                with safe_path():
                    process.start()
                theirs.close()
                workers.append(_Worker(rank, devices[rank], process, ours))
            with _handed_on(workers):
                _until_all_ended(workers)
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.join()
    return _outcome(workers)


@dataclass
class _Worker:
    """A process that was started here, and what it has reported: (returned value, error, traceback)."""

    rank: int
    device: torch.device
    process: SpawnProcess
    reports: Connection
    report: tuple[Any, BaseException | None, str | None] | None = None
    killed: bool = False  # by us

    def listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            if self.report is None and self.reports.poll():
                self.report = self.reports.recv()

    @property
    def failed(self) -> bool:
        return self.report[1] is not None if self.report else self.process.exitcode is not None

    @property
    def error(self) -> BaseException | None:
        if self.report is not None:
            return self.report[1]
        code = self.process.exitcode
        if code is None:
            return None
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return TrainingError(
            f"process {self.rank} of this run (pid {self.process.pid}, {self.device}) {how}; "
            "the last checkpoint is kept, continue with `inn resume RUN`"
        )


def _until_all_ended(workers: list[_Worker]) -> None:
    """Waits; once one has failed the others have a moment to end by themselves."""
    deadline = None
    while running := [worker for worker in workers if worker.process.exitcode is None]:
        wait([worker.process.sentinel for worker in running], timeout=0.2)
        for worker in workers:
            worker.listen()
        if deadline is None and any(worker.failed for worker in workers):
            deadline = time.monotonic() + GRACE
        if deadline is not None and time.monotonic() > deadline:
            for worker in running:
                worker.killed = True
                worker.process.kill()
    for worker in workers:
        worker.listen()


def _outcome(workers: list[_Worker]) -> Any:
    """What the first process returned.

    Raises: the error of a process that failed; one that only lost another process comes last.
    """
    failed = [worker for worker in workers if worker.failed and not worker.killed]
    if not failed:
        assert workers[0].report is not None  # a process that ended well reported first
        return workers[0].report[0]
    cause = min(failed, key=lambda worker: isinstance(worker.error, LostProcessError))
    assert cause.error is not None  # it has failed
    raise cause.error from (_ElsewhereError(f"\n{cause.report[2]}") if cause.report else None)


@contextlib.contextmanager
def _handed_on(workers: list[_Worker]) -> Iterator[None]:
    """While entered, signals that stop a run go to the processes that train it."""

    def hand_on(number: int, frame: object) -> None:
        for worker in workers:
            if worker.process.exitcode is None and worker.process.pid is not None:
                os.kill(worker.process.pid, number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, hand_on) for number in stop_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
