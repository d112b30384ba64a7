"""The task of a run, and its pairs: those that it saved, and held-out ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from inncli.config import registry
from inncli.config.trust import NOTHING, Trust
from inncli.data.pairs import Pairs, load_pairs, split
from inncli.data.stream import StreamedPairs
from inncli.errors import CheckpointError, RequestError, RunError, UserFileRefused
from inncli.inference.run_table import changed, kept_table
from inncli.io.atomic import file_sha256
from inncli.io.permissions import is_readable
from inncli.runs.run_dir import RunDir
from inncli.tasks.base import SPLIT, TRAIN, Task

PRIOR_DRAWS = 2_000  # that stand for the xs of a simulator whose pairs are not kept


def task_of(run: RunDir, resimulate: bool = False, trust: Trust = NOTHING) -> Task:
    """The run's task, built again from its saved config.

    Args:
        run: the run.
        resimulate: whether a simulator file of the user's may be run.
        trust: the config folders that the command names.

    Raises: UserFileRefused if it would run a file without `resimulate`; RunError if it would read another table than
        the run was trained on.
    """
    config = registry.check(run.config(), trust)
    return make_task(run, config, trust.to_run([config]) if resimulate else trust)


def make_task(run: RunDir, config: dict[str, Any], trust: Trust = NOTHING) -> Task:
    """The task of a run, its rows from where `run_table` finds them. Raises: as `task_of`.

    Args:
        run: the run.
        config: its config, checked.
        trust: config folders, and the simulator file that may be run.
    """
    info = run.info()
    check_named_table(run, info, config["task"])
    task: Task | None = kept_table(run, info, config["task"])
    if task is None:
        moved = {} if run.table is None else {"file": str(run.table)}
        with shut_for(run):
            task = registry.make(config["task"], Task, trust, **moved)
    same_table(run, info, task.fingerprint())
    return task


@contextmanager
def shut_for(run: RunDir) -> Iterator[None]:
    """While entered, a UserFileRefused says of which run the file is."""
    try:
        yield
    except UserFileRefused as shut:
        raise UserFileRefused(shut.file, f"the task of run {run.id} is") from None


def task_to_ask(run: RunDir, resimulate: bool = False, trust: Trust = NOTHING) -> Task | None:
    """The run's task; None if that is a simulator file of the user's and `resimulate` is not given.

    Raises: RequestError for `resimulate` without such a file.
    """
    try:
        task = task_of(run, resimulate, trust)
    except UserFileRefused:
        return None
    if resimulate and task.simulator_sha256 is None:
        raise RequestError(f"`resimulate`: run {run.id} has no simulator file; leave it out", "resimulate")
    return task


def built_in_task_of(run: RunDir, trust: Trust = NOTHING) -> Task | None:
    """The run's task if it needs no file of the user's, else None."""
    return None if "file" in run.config()["task"] else task_of(run, trust=trust)


def training_ys(run: RunDir, trust: Trust = NOTHING) -> np.ndarray | None:
    """The ys that a run was trained on, (n, Dy), at most 50,000 of a table on disk; None for a density p(x).

    Raises: RunError if the run's table has changed.
    """
    if run.pairs.is_file():
        return kept_pairs(run, run.info()).y
    task = task_of(run, trust=trust)
    pairs = task.training_pairs(run.config()["seed"])
    return (pairs.split(0.0)[0] if isinstance(pairs, StreamedPairs) else pairs).y  # of a table on disk: a part


def training_xs(run: RunDir, task: Task | None) -> np.ndarray:
    """The xs that a run was trained on, (n, Dx), or draws of the same law; at most 50,000 of a table on disk.

    Args:
        run: the run.
        task: of `task_to_ask`.

    Raises: CheckpointError if the run's own pairs are damaged.
    """
    if task is None or run.pairs.is_file():
        return kept_pairs(run, run.info()).x
    if not task.is_measured:
        return task.prior(PRIOR_DRAWS, np.random.default_rng([run.config()["seed"], TRAIN]))
    pairs = task.training_pairs(run.config()["seed"])
    return (pairs.split(0.0)[0] if isinstance(pairs, StreamedPairs) else pairs).x


def held_out_pairs(run: RunDir, task: Task | None, seed: int) -> tuple[Pairs, str]:
    """Pairs that the run was not trained on, and in words where they come from.

    A simulator gives new pairs, drawn by `seed`, so that runs of different seeds are compared on the same pairs. A
    table gives its test rows. Without a task they are the run's validation rows: the run was not trained on them, but
    they chose its best epoch.

    Args:
        run: the run.
        task: of `task_to_ask`.
        seed: of new pairs.

    Raises: RunError if the table has changed; CheckpointError if the run's own pairs are damaged.
    """
    config = run.config()
    if task is None:
        rng = np.random.default_rng([config["seed"], SPLIT])
        return split(kept_pairs(run, run.info()), config["trainer"]["val_fraction"], rng)[1], "validation rows"
    if not task.is_measured:
        return task.test_pairs(seed), "new pairs"
    same_table(run, run.info(), task.fingerprint())  # a task that the caller has made may be another one
    # By the seed of the run's own split: another one would give rows that the run was trained on.
    return task.test_pairs(config["seed"]), "test rows of the table"


def kept_pairs(run: RunDir, info: dict[str, Any]) -> Pairs:
    """The pairs that the run saved. Raises: CheckpointError if they are damaged or have changed."""
    pairs = load_pairs(run.pairs)
    before = (info.get("data") or {}).get("pairs_sha256")  # absent if killed just before it was noted
    if before is not None and file_sha256(run.pairs) != before:
        raise CheckpointError(f"{run.pairs} has changed since run {run.id} wrote it; restore it or train again")
    return pairs


def check_named_table(run: RunDir, info: dict[str, Any], task: dict[str, Any]) -> None:
    """Checks that a run which names a table says which one it was, before the table is read.

    A run directory may be a stranger's, and name any table of the user's: a report would publish its values.

    Raises: RunError if run.json has no checksum of it.
    """
    file = task.get("file")
    ours = str(task.get("_target_", "inncli.")).startswith(
        "inncli."
    )  # what a file is to a class of the user's, it knows
    if ours and isinstance(file, str) and not file.endswith(".py") and (info.get("data") or {}).get("sha256") is None:
        raise RunError(
            f"run {run.id} names the table {file} without its checksum, so that it could be any; restore "
            f"{run.info_file} or train again"
        )


def same_table(run: RunDir, info: dict[str, Any], fingerprint: dict[str, Any] | None) -> None:
    """Checks that the table of a run is the one that it was trained on. Raises: RunError if it is not, or none is said.

    Args:
        run: the run.
        info: its run.json.
        fingerprint: of its task: file and checksum of the table; None without one.
    """
    if fingerprint is None:
        return
    check_named_table(run, info, fingerprint)
    if fingerprint["sha256"] != (info.get("data") or {}).get("sha256"):
        raise changed(run, fingerprint["file"])


WENT_ON = "training went on with the pairs that were kept"  # what a changed simulator means for a resumed run


def changed_simulator(
    run: RunDir,
    resimulate: bool,
    means: str = "what it simulates now need not be what the model learned",
) -> list[str]:
    """A warning if the simulator file of a run has changed since it drew the run's pairs, else nothing.

    Older runs don't have the file's checksum: there is no warning.

    Args:
        run: the run.
        resimulate: whether the file was run; if not, its change has no effect.
        means: what follows from the change, in words.
    """
    if not resimulate:
        return []
    before = (run.info().get("data") or {}).get("simulator_sha256")
    file = run.config()["task"].get("file")
    if before is None or not file or not is_readable(file) or file_sha256(Path(file)) == before:
        return []
    return [f"{file} has changed since run {run.id} was trained on it: {means}; restore the file or train again"]
