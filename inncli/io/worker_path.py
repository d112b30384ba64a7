"""Processes that inn starts import nothing that lies in the working folder, which may be a stranger's.

Python puts the working folder first on the import path of `python -m` and `python -c`, and that is how joblib,
submitit, ray and multiprocessing start their workers: a `torch.py` that lies there would be run. Since Python 3.11 an
environment variable turns that off. Before, and with ray, which adds the folder itself, `find_shadowing` helps.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inncli.errors import RequestError

VARIABLE, OURS = "PYTHONSAFEPATH", "inn"
# What workers import beside all that this process has imported already.
OF_WORKERS = ("hydra_plugins", "joblib", "loky", "multiprocessing", "ray", "runpy", "submitit")


@contextmanager
def safe_path() -> Iterator[None]:
    """Python processes that start meanwhile don't look for modules in the working folder.

    Raises: RequestError for a module there that they would import, before Python 3.11, which can't be told.
    """
    if sys.version_info < (3, 11):
        check_folder(Path.cwd())
    if os.environ.get(VARIABLE):  # the user's own
        yield
        return
    os.environ[VARIABLE] = OURS
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)


def leave_safe_path() -> None:
    """For a worker, once it runs: what a simulator of the user's starts in turn is not our affair."""
    if os.environ.get(VARIABLE) == OURS:
        os.environ.pop(VARIABLE, None)


def spawning() -> multiprocessing.context.SpawnContext:
    """What starts processes anew, in a worker of joblib too: that hands down a way which only joblib knows."""
    if multiprocessing.get_start_method(allow_none=True) not in (None, *multiprocessing.get_all_start_methods()):
        multiprocessing.set_start_method("spawn", force=True)
    return multiprocessing.get_context("spawn")


def check_folder(folder: Path) -> None:
    """Checks a working folder. Raises: RequestError for a module that a worker could import in place of its own."""
    shadowing = find_shadowing(folder)
    if shadowing is not None:
        raise RequestError(
            f"{shadowing.name} lies in the working folder, {folder}, where a worker process could import it in place "
            "of its own; start from another folder"
        )


def find_shadowing(folder: Path) -> Path | None:
    """A module in a folder that a worker started there could import in place of the one that this process has."""
    for path in sorted(folder.iterdir()):
        name = path.name.partition(".")[0]
        is_module = path.suffix in (".py", ".pyc", ".so") or (path / "__init__.py").exists()
        if not is_module or name not in sys.modules and name not in OF_WORKERS:
            continue
        own = getattr(sys.modules.get(name), "__file__", None)
        if own is None or not Path(own).resolve().is_relative_to(folder.resolve()):
            return path
    return None
