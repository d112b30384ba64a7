"""What one command lets in: the config folders that it names, and the user's Python files that it may run.

    arguments of a command -> Trust -> plan, check, make, open_run, a worker process ...

A `Trust` is a value. A command makes it from its own arguments and passes it on. Nothing adds to it later, no process
has one of its own, and no file of a run or of a sweep can bring one. A function that is given none trusts only what inn
ships.

The gate is `ask_to_run`: whatever loads a Python file of the user's calls it first. It refuses the file, unless
`registry.instantiate` is building an object with a Trust that holds the file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inncli.errors import ConfigError, UserFileRefused
from inncli.io.paths import user_path

NESTED = 4  # how deep below the folder of a sweep a folder still counts as the sweep's


@dataclass(frozen=True)
class Trust:
    """What a command was told to let in.

    Args:
        folders: config folders of the user's: their yamls, their targets, and the modules that lie in them.
        files: absolute paths of Python files that may be run.
        recipes: folders of sweeps and runs, whose recipes are composed as data; see `inncli.config.recipes`.
    """

    folders: tuple[Path, ...] = ()
    files: frozenset[str] = frozenset()
    recipes: tuple[Path, ...] = ()

    @classmethod
    def of(cls, config_dir: str | Path | None) -> Trust:
        """The trust in a config folder; in nothing for None. Raises: ConfigError if it is no folder.

        The folder of a sweep or a run, and what lies in one, may be a stranger's: its recipes are data.
        """
        if config_dir is None:
            return cls()
        path = user_path(config_dir).resolve()
        if not path.is_dir():
            raise ConfigError(
                f"`config_dir`: expected a folder, got {config_dir}, which is none; it holds e.g. model/mine.yaml and "
                "mine.py",
                "config_dir",
            )
        around = (path, *path.parents)[:NESTED]
        kept = any((folder / name).exists() for folder in around for name in ("sweep.json", "run.json"))
        return cls(recipes=(path,)) if kept else cls((path,))

    def to_run(self, configs: Iterable[dict[str, Any]]) -> Trust:
        """This trust, and the files that the tasks of these configs name."""
        tasks = [config.get("task") or {} for config in configs]
        named = {_absolute(file) for task in tasks for file in (*python_files(task), task.get("file")) if file}
        return replace(self, files=self.files | named)

    def enter_path(self) -> None:
        """Puts the folders on the import path. They stay there: the user's code in them may import more later."""
        for folder in self.folders:
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))


NOTHING = Trust()
_now: ContextVar[Trust] = ContextVar("trust", default=NOTHING)


@contextmanager
def gate(trust: Trust) -> Iterator[None]:
    """While entered, the files that `trust` holds may be run by this thread."""
    before = _now.set(trust)
    try:
        yield
    finally:
        _now.reset(before)


def ask_to_run(file: str | Path) -> Trust:
    """Checks that a Python file of the user's may be run now. No other function decides this.

    Returns: the trust in this file alone, for the worker processes that run it.
    Raises: UserFileRefused if this command was not told to run it.
    """
    path = _absolute(file)
    if os.path.realpath(path) not in {os.path.realpath(known) for known in _now.get().files}:
        raise UserFileRefused(str(file))
    return Trust(files=frozenset({path}))


def _absolute(file: str | Path) -> str:
    return os.path.abspath(user_path(file))


def python_files(node: object) -> Iterator[str]:
    """The Python files that a task's node, or a list of its values, names."""
    if isinstance(node, str) and node.endswith(".py"):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from python_files(value)
