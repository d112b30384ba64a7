"""How the end of a training that did not finish gets into run.json."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from inncli.errors import CheckpointError, Interrupted, LostProcessError, TrainingError
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending, ending_of


def mark_end(run: RunDir, error: BaseException) -> None:
    """Writes into run.json that a training ended by this error, and lets go of the run."""
    ending = _ending(error)
    stopped = ending.status == "interrupted"
    try:
        run.end(ending, error=None if stopped else f"{type(error).__name__}: {error}".splitlines()[0])
    except (OSError, CheckpointError):
        run.release()  # the disk is full or the directory gone: the caller raises the first error


def _ending(error: BaseException) -> Ending:
    """Why a training that raised `error` ended."""
    if isinstance(error, Interrupted) and isinstance(error.reason, Ending):
        return error.reason
    if isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit)):
        return Ending.SIGNAL
    return Ending.LOST_PROCESS if isinstance(error, LostProcessError) else Ending.ERROR


@contextlib.contextmanager
def cause_kept(run: RunDir) -> Iterator[None]:
    """If a worker process dies, run.json holds the worker's own error.

    The first process writes run.json. It may have seen only that another process was gone.
    """
    try:
        yield
    except TrainingError as error:
        with contextlib.suppress(OSError, CheckpointError):
            if ending_of(run.info()) is Ending.LOST_PROCESS:
                run.end(_ending(error), error=f"{type(error).__name__}: {error}")
        raise
