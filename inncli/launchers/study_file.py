"""The SQLite file of a study, looked at before Optuna opens it: the directory of a search may be a stranger's.

SQL runs nothing but SQL. But a view or a trigger can compute for ever, a journal that a killed process left can make
SQLite delete any file that it names, and one of Optuna's samplers keeps its state as a pickle.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
from pathlib import Path

from inncli.errors import CheckpointError

log = logging.getLogger(__name__)
LARGEST = 2**30  # bytes: a million trials
BESIDE = ("-journal", "-wal")  # what SQLite goes on from after a kill
NAMES_A_FILE = bytes.fromhex("d9d505f920a163d7")  # how a journal of several databases ends
PICKLES = "%cma%:optimizer%"  # keys under which optuna.samplers.CmaEsSampler keeps them


def copied(file: Path, folder: Path) -> Path:
    """Copies a study to a folder, checked: a study's tables, no code of its own, and no other file named.

    Args:
        file: the study, which is not changed.
        folder: an empty folder.

    Raises: CheckpointError otherwise, and if it is damaged.
    """
    copy = folder / file.name
    for suffix in ("", *BESIDE):
        part = file.with_name(file.name + suffix)
        if suffix and not part.exists():
            continue
        if (size := part.stat().st_size) > LARGEST:
            raise _refused(file, f"{part.name} has {size:,} bytes, more than {LARGEST:,}")
        if suffix == "-journal" and _end(part) == NAMES_A_FILE:
            raise _refused(file, f"{part.name} names another file")
        shutil.copyfile(part, copy.with_name(part.name))
    try:
        with contextlib.closing(sqlite3.connect(copy)) as base:
            base.execute("PRAGMA trusted_schema = OFF")
            _check_schema(file, base)
    except sqlite3.Error as error:
        raise CheckpointError(f"{file} is damaged ({error}); restore it, or start a new search") from None
    return copy


def forget_pickles(file: Path) -> None:
    """Removes the pickled state of a sampler from a study: it would be run. That sampler then begins anew."""
    with contextlib.closing(sqlite3.connect(file)) as base, base:
        has = base.execute("SELECT 1 FROM sqlite_master WHERE name = 'trial_system_attributes'").fetchone()
        found = base.execute("DELETE FROM trial_system_attributes WHERE key LIKE ?", (PICKLES,)).rowcount if has else 0
    if found:
        log.info("the sampler's own state is kept as a pickle, which is not read: it begins anew from the trials")


def _check_schema(file: Path, base: sqlite3.Connection) -> None:
    for kind, name, sql in base.execute("SELECT type, name, sql FROM sqlite_master").fetchall():
        words = str(sql).upper().split()[:2]
        if kind not in ("table", "index") or kind == "table" and words != ["CREATE", "TABLE"]:
            raise _refused(file, f"it holds a {words[1].lower() if kind == 'table' else kind}, {name}")
        # A column that is computed, and an index of something else than columns, run an expression.
        hidden = [row[6] for row in base.execute("SELECT * FROM pragma_table_xinfo(?)", (name,))]
        columns = [row[1] for row in base.execute("SELECT * FROM pragma_index_xinfo(?)", (name,))]
        if any(hidden) or any(column == -2 for column in columns):
            raise _refused(file, f"{kind} {name} computes its values")


def _end(file: Path) -> bytes:
    with open(file, "rb") as opened:
        opened.seek(max(os.fstat(opened.fileno()).st_size - len(NAMES_A_FILE), 0))
        return opened.read()


def _refused(file: Path, why: str) -> CheckpointError:
    return CheckpointError(f"{file} is no study of a search ({why}); start a new search")
