"""Several nets of a run's configuration, each trained on all rows of a table but its own part."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from inncli.config import registry
from inncli.data.pairs import Pairs, row_groups
from inncli.errors import RunError
from inncli.experiments.setup import build_setup, new_model, split_pairs, trainer_data
from inncli.inference.trained_model import TrainedModel
from inncli.runs.run_dir import RunDir
from inncli.tasks.measured.base import Rows
from inncli.training.group import alone
from inncli.training.state import Progress
from inncli.types import Int

FOLD = 7  # a stream of random numbers beside those of a task


def train_folds(
    trained: TrainedModel,
    run: RunDir,
    task: Rows,
    count: int,
    most_seconds: float | None = None,
    on_progress: Callable[[str, float], None] = lambda words, share: None,
) -> tuple[Pairs, list[tuple[TrainedModel, Int[np.ndarray, " rows"]]]]:
    """Trains `count` nets as the run was trained, and writes nothing.

    Args:
        trained: the run, opened; says where to compute and what may be imported.
        run: its directory.
        task: its table.
        count: of nets, at least 2.
        most_seconds: after which it is given up: a run directory is untrusted. None goes on.
        on_progress: called with what is being done, in words, and the share that is done.

    Returns: all rows of the table, shuffled, and each net with the numbers of the rows that it has not seen. Equal rows
        are in one part.
    Raises: RunError if it takes longer.
    """
    config = registry.check(run.config(), trained.trust)
    pairs = task.rows
    pairs = pairs.take(np.random.default_rng([config["seed"], FOLD]).permutation(len(pairs)))
    groups = row_groups(pairs)
    part = np.random.default_rng([config["seed"], FOLD, 1]).permutation(groups.max() + 1) % count
    begun, nets = time.monotonic(), []
    for k in range(count):
        own = {**config, "seed": int(np.random.SeedSequence([config["seed"], FOLD, 2, k]).generate_state(1)[0])}
        setup = build_setup(own, alone(trained.device), trained.trust, lambda: task)
        unseen = part[groups] == k
        data = split_pairs(setup, pairs.take(~unseen))
        model = new_model(setup, data)

        def on_step(progress: Progress, loss: float, rate: float, k: int = k) -> None:
            if most_seconds is not None and time.monotonic() - begun > most_seconds:
                raise RunError(
                    f"`folds`: cross-validation of run {run.id} takes longer than {most_seconds:.0f} s; leave it out "
                    "with `folds=0`",
                    "folds",
                )
            share = progress.step / max(progress.planned_steps, 1)
            on_progress(f"training net {k + 1} of {count} on other rows", (k + share) / count)

        with TemporaryDirectory() as folder:
            setup.trainer.fit(
                model,
                setup.objective,
                trainer_data(setup, data, model),
                seed=setup.seed,
                last=Path(folder) / "last.safetensors",
                best=Path(folder) / "best.safetensors",
                meta={},
                group=setup.group,
                on_step=on_step,
            )
        meta = {"config": own}
        net = TrainedModel(model.eval(), meta, run.id, trained.device, trained.trust, setup.relations)
        nets.append((net, np.flatnonzero(unseen)))
    return pairs, nets
