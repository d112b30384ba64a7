"""Runs a user's Python file and calls its functions; whatever goes wrong becomes an error of one line."""

from __future__ import annotations

import contextlib
import inspect
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from inncli.config.trust import ask_to_run
from inncli.errors import DataError, did_you_mean
from inncli.io.atomic import file_sha256
from inncli.io.paths import user_path
from inncli.io.permissions import closed

REQUIRED = {"prior": ("n", "rng"), "simulate": ("x", "rng")}
OPTIONAL = {
    "observe": ("x",),
    "log_prior": ("x",),
    "log_likelihood": ("y", "x"),
    "reference_posterior": ("y", "n", "rng"),
}
FAILED = "; mend it, or where a simulation may fail so, catch it and return a row of NaN, which counts as failed"
FACTS = ("x_names", "y_names", "x_bounds", "x_periodic", "x_steps", "differentiable")


class UserFile:
    """A Python file that defines `prior` and `simulate`, and optionally more (see `OPTIONAL`, `FACTS`).

    Attributes:
        permission: to run this file, for the processes that do so on behalf of this one.

    Raises: UserFileRefused if this command was not told to run it; DataError, one line with the file's own line
        number, if it is missing, does not run, or lacks a function.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = user_path(path).resolve()
        self.permission = ask_to_run(path)
        self.module = _run(user_path(path), self.path)
        self.sha256 = file_sha256(self.path)  # now: pairs may be drawn for hours, and the file edited meanwhile
        for name, arguments in (REQUIRED | OPTIONAL).items():
            function = getattr(self.module, name, None)
            if function is None and name in REQUIRED:
                near = did_you_mean(name, [key for key, value in vars(self.module).items() if callable(value)])
                raise DataError(f"{self.path.name} must define {_signature(name)}{near}")
            if function is not None:
                self._check_signature(name, function, arguments)

    def _check_signature(self, name: str, function: object, arguments: tuple[str, ...]) -> None:
        if not callable(function):
            raise DataError(f"{self.path.name}: {_signature(name)} must be a function, got {type(function).__name__}")
        try:
            signature = inspect.signature(function)
        except ValueError:  # some C functions have no signature
            return
        try:
            signature.bind(*arguments)
        except TypeError:
            raise DataError(f"{self.path.name}: expected {_signature(name)}, got {name}{signature}") from None

    def has(self, name: str) -> bool:
        """Whether the file defines `name`."""
        return getattr(self.module, name, None) is not None

    def fact(self, name: str) -> Any:
        """The value of a variable of the file, None where the file has none of this name."""
        return getattr(self.module, name, None)

    def call(self, name: str, *arguments: Any, shape: tuple[int, int | None]) -> np.ndarray:
        """Calls a function of the file and returns its answer as float64 of the given shape.

        Args:
            name: the function.
            *arguments: its arguments.
            shape: (rows, columns), None for any number of columns, 0 for a function that answers (rows,).

        Raises: DataError if the function raises, or returns something else.
        """
        function: Callable[..., Any] = getattr(self.module, name)
        try:
            # stdout is for the command's result, so whatever a user's code prints goes to stderr.
            with contextlib.redirect_stdout(sys.stderr):
                answer = function(*arguments)
        except (Exception, SystemExit) as error:  # a user's code may raise anything
            # One unlucky x would else cost the whole budget of simulations; the user may not know the way out.
            advice = FAILED if name in ("simulate", "observe") else ""
            raise DataError(
                f"{self.path.name}{_where(error, self.path)}: {name} raised {_what(error)}{advice}"
            ) from error
        return self._array(name, answer, shape)

    def call_on_tensor(self, name: str, *arguments: Any) -> Any:
        """The answer of a function of a tensor x, and further arguments, as a tensor. Shape: x (n, D), out (n, k)."""
        x = arguments[0]
        try:
            with contextlib.redirect_stdout(sys.stderr):
                answer = getattr(self.module, name)(*arguments)
        except (Exception, SystemExit) as error:  # a user's code may raise anything
            raise DataError(
                f"{self.path.name}{_where(error, self.path)}: {name} raised {_what(error)} on a torch tensor; "
                f"write it with operations that tensors have too, or leave out `differentiable = True`"
            ) from error
        if type(answer) is not type(x) or answer.shape[:1] != x.shape[:1] or answer.ndim > 2:
            raise DataError(
                f"{self.path.name}: {_signature(name)} must return a tensor of shape ({len(x)}, columns) for a tensor, "
                f"got {type(answer).__name__} of shape {tuple(np.shape(answer))}"
            )
        return answer if answer.ndim == 2 else answer[:, None]

    def _array(self, name: str, answer: Any, shape: tuple[int, int | None]) -> np.ndarray:
        rows, columns = shape
        expected = f"({rows},)" if columns == 0 else f"({rows}, {'columns' if columns is None else columns})"
        if answer is None:
            raise DataError(
                f"{self.path.name}: {_signature(name)} must return shape {expected}, got None; add a return"
            )
        try:
            # A torch tensor converts too, unless it wants a gradient.
            array = np.array(answer)
            array = array.astype(np.float64, casting="unsafe" if array.dtype.kind in "Ob" else "same_kind")
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"{self.path.name}: {_signature(name)} must return numbers of shape {expected}, "
                f"got {type(answer).__name__} ({_what(error)})"
            ) from error
        if columns != 0 and array.ndim == 1:
            array = array[:, None]
        if columns == 0 and array.shape == (rows, 1):
            array = array[:, 0]
        fits = (
            array.shape == (rows,)
            if columns == 0
            else (
                array.ndim == 2
                and len(array) == rows
                and array.shape[1] == (array.shape[1] if columns is None else columns)
            )
        )
        if not fits or 0 in array.shape:
            raise DataError(
                f"{self.path.name}: {_signature(name)} must return shape {expected}, got {np.shape(answer)}"
            )
        return array


def _run(given: Path, path: Path) -> types.ModuleType:
    if path.suffix != ".py":
        raise DataError(f"task.file must be a Python file (.py) for task=simulator, got {str(given)!r}")
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise DataError(f"{given} is not there{did_you_mean(path.name, near)}")
    try:
        text = path.read_bytes()
    except PermissionError:
        raise closed(given) from None
    module = types.ModuleType(f"inn_user_{path.stem}")
    module.__file__ = str(path)
    # The file may use dataclasses or pickle, which look a module up by its name, and import its neighbours.
    sys.modules[module.__name__] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            exec(compile(text, str(path), "exec"), vars(module))  # the user names this file to run it
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        raise DataError(f"{path.name}{_where(error, path)}: does not run: {_what(error)}") from error
    return module


def _signature(name: str) -> str:
    return f"{name}({', '.join((REQUIRED | OPTIONAL)[name])})"


def _where(error: BaseException, path: Path) -> str:
    """`:12` for the last line of the file that the error passed through, or nothing."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f":{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f":{lines[-1]}" if lines else ""


def _what(error: BaseException) -> str:
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
