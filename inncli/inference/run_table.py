"""Where the rows of a run's table come from: the table where it was, one that the command names, or the run's own copy.

1. the table that the command names (`table='FILE'`), by its checksum that of the training
2. the copy that the run keeps, unless the table is where it was and has changed
3. the table where it was
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from inncli.data import table_copy
from inncli.errors import RunError
from inncli.io.atomic import file_sha256
from inncli.io.permissions import is_readable
from inncli.runs.run_dir import RunDir
from inncli.tasks.measured.kept_table import KeptTable


def at_tables(runs: Sequence[RunDir], tables: Iterable[str | Path]) -> None:
    """Tells runs where their tables lie now; each run takes the one with the checksum of its own.

    Args:
        runs: the runs.
        tables: files; one may be the copy that a run keeps.

    Raises: RunError for a file that is not there, or belongs to none of the runs.
    """
    for file in tables:
        path = Path(file).expanduser().absolute()
        if not path.is_file():
            raise RunError(
                f"`table`: {file} is not there, or no file; name the table that the run was trained on", "table"
            )
        sha256 = file_sha256(path)
        fits = [run for run in runs if sha256 in _checksums(run)]
        if not fits and not any(map(_checksums, runs)):
            named = f"run {runs[0].id} was" if len(runs) == 1 else "the runs were"
            raise RunError(f"`table`: {named} trained on no table; leave it out", "table")
        if not fits:
            named = f"run {runs[0].id} was" if len(runs) == 1 else "any of these runs was"
            raise RunError(
                f"`table`: {file} is not the table that {named} trained on, its checksum is another; name that one, "
                "or train again",
                "table",
            )
        for run in fits:
            run.table = path


def kept_table(run: RunDir, info: dict[str, Any], task: dict[str, Any]) -> KeptTable | None:
    """The run's task from a copy of its rows; None where its table is to be read, or it has none.

    Args:
        run: the run.
        info: its run.json.
        task: the node of its task.

    Raises: RunError if the table is gone and there is no copy, or if it has changed; CheckpointError if the copy is
        damaged.
    """
    data, file = info.get("data") or {}, Path(str(task.get("file"))).expanduser()
    if data.get("sha256") is None:
        return None
    copy = copy_of(run, info)
    if run.table is not None:
        if data["sha256"] == file_sha256(run.table):
            return None
        copy = run.table
    elif is_readable(file):
        if copy is not None and file_sha256(file) != data["sha256"]:
            raise changed(run, file, copy)
    elif copy is None:
        raise RunError(
            f"the table of run {run.id}, {file}, is not there or can't be read; say where it is with `table='FILE'`",
            "table",
        )
    return None if copy is None else _opened(copy, data["copy_sha256"], task)


def copy_of(run: RunDir, info: dict[str, Any]) -> Path | None:
    """The copy of its table that a run keeps, None where there is none. Its content is not looked at."""
    sha256 = (info.get("data") or {}).get("copy_sha256")
    if not isinstance(sha256, str) or not sha256.isalnum():  # it becomes part of a name
        return None
    found = (path for path in run.table_copies(sha256) if path.is_file() and not path.is_symlink())
    return next((path for path in found if not path.parent.is_symlink()), None)


def table_sha256(run: RunDir) -> str | None:
    """Checksum of the table that the run's rows come from, if they don't come from the file that its config names."""
    info = run.info()
    file = run.config()["task"].get("file")
    if not isinstance(file, str) or (run.table is None and (is_readable(file) or copy_of(run, info) is None)):
        return None
    found: str | None = (info.get("data") or {}).get("sha256")
    return found


def changed(run: RunDir, file: str | Path, copy: Path | None = None) -> RunError:
    """The error for a table that is no longer that of the training."""
    if copy is None:
        return RunError(f"{file} has changed since run {run.id} was trained on it; restore the table or train again")
    return RunError(
        f"{file} has changed since run {run.id} was trained on it; restore the table, train again, or take the rows "
        f"that the run keeps with `table={str(copy)!r}`",
        "table",
    )


def _checksums(run: RunDir) -> set[str]:
    data = run.info().get("data") or {}
    return {data[key] for key in ("sha256", "copy_sha256") if data.get(key) is not None}


def _opened(path: Path, sha256: str, task: dict[str, Any]) -> KeptTable:
    from inncli.training import verify  # here: with torch, for which numbers that are cached don't wait

    pairs, facts = table_copy.read(path)
    if file_sha256(path) != sha256:
        raise table_copy.damaged(path, "its checksum is another")
    x, y = verify.variables(path, facts)
    try:
        copy = table_copy.TableCopy(
            pairs, x, y, **{key: facts[key] for key in ("read_rows", "dropped", "file", "sha256")}
        )
    except ValueError as error:
        raise table_copy.damaged(path, error) from error
    return KeptTable(copy, task.get("test_fraction", 0.1), task.get("n_train"), task.get("relations", True))
