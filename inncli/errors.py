"""Every error that `inn` raises on purpose, and the exit code each maps to.

    InnError                    exit 1
    ├── RequestError            exit 2   the request was wrong; nothing was written
    │   ├── ConfigError                  a key, option, type or target in the config
    │   ├── DataError                    a table, a simulator file, or a value of y
    │   ├── ShapeError                   an array of the wrong shape
    │   ├── RunError                     a run that is not there or can't be used so
    │   ├── UserFileRefused              a Python file that this command was not told to run
    │   └── CheckpointError              a file of a run that is damaged or foreign
    ├── TrainingError           exit 1   the run failed
    │   ├── NonFiniteError               a loss or a layer went NaN or infinite
    │   └── LostProcessError             one of several processes of a run ended before the others
    ├── ConvergenceError        exit 1   an iterative solver stopped short
    └── Interrupted             exit 130

A message is one line: what was expected, what was got, what to do next. It names the caller's arguments as Python
writes them, `y` or `refine=True`, and `InnError.arguments` lists those names. The command line puts its options in
their place (`cli.console.said`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import Enum


class InnError(Exception):
    """Base of all errors raised on purpose; `exit_code` is the process's exit code.

    Args:
        message: one line.
        arguments: the names of the arguments that the message writes between backquotes, alone or with a value.
    """

    exit_code = 1

    def __init__(self, message: str = "", *arguments: str) -> None:
        super().__init__(message, *arguments)
        self.message, self.arguments = message, arguments

    def __str__(self) -> str:
        return self.message


class RequestError(InnError):
    """The request was wrong: exit code 2, nothing written."""

    exit_code = 2


class ConfigError(RequestError):
    """A wrong key, option, type or target in the config."""


class DataError(RequestError):
    """A table, a simulator file or a value of y that can't be used."""


class ShapeError(RequestError, ValueError):
    """An array of the wrong shape."""


class RunError(RequestError):
    """A run that does not exist or can't be used in this way."""


class UserFileRefused(RequestError):  # noqa: N818 a refusal, as its name says
    """A Python file of the user's that this command was not told to run."""

    def __init__(self, file: str, whose: str = "the task is") -> None:
        super().__init__(
            f"{whose} a simulator file, {file}; look at it, and add `resimulate=True` to run it", "resimulate"
        )
        self.file, self.whose = file, whose

    def __reduce__(self) -> tuple[type[UserFileRefused], tuple[str, str]]:
        return type(self), (self.file, self.whose)


class CheckpointError(RequestError):
    """A file of a run that is damaged, altered or of an unknown format."""


class TrainingError(InnError):
    """Training failed; the last good checkpoint is kept."""


class NonFiniteError(TrainingError):
    """A loss, gradient or layer output became NaN or infinite."""


class LostProcessError(TrainingError):
    """One of several processes of a run ended before the others."""


class ConvergenceError(InnError):
    """An iterative solver stopped before it reached its tolerance."""


class Interrupted(InnError):  # noqa: N818 a stop that was asked for is no error
    """The run was stopped after it wrote a checkpoint.

    Args:
        message: one line.
        reason: the name of the signal that stopped it, or "pruned"; None where neither did.
    """

    exit_code = 130

    def __init__(self, message: str = "", reason: Enum | None = None) -> None:
        super().__init__(message)
        self.reason = reason  # the signal, one of `signal.Signals`, or an `inncli.runs.run_info.Ending`


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
