"""What a config builds for a training, and the pairs that a run saves.

config --build_setup--> Setup --task.training_pairs--> pairs --split_pairs--> SplitData --new_model--> a model to train
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from inncli import runtime
from inncli.config import registry
from inncli.config.trust import NOTHING, Trust
from inncli.data.pairs import Pairs, save_pairs, split
from inncli.data.relations import Relations
from inncli.data.stream import StreamedPairs
from inncli.errors import CheckpointError, ConfigError, DataError, RunError, TrainingError
from inncli.inference.opening import build_model
from inncli.inference.run_task import kept_pairs, same_table
from inncli.io.atomic import atomic_write, file_sha256
from inncli.io.capacity import check_memory
from inncli.loggers.base import Logger
from inncli.metrics.out_of_distribution import training_statistics
from inncli.models.base import Model
from inncli.objectives.base import Batch, Objective
from inncli.runs.run_dir import RunDir
from inncli.tasks.base import SPLIT, Task
from inncli.tasks.measured.base import MIN_ROWS
from inncli.training.group import Group
from inncli.training.state import Data
from inncli.training.trainer import Trainer
from inncli.variables import Variables

PAIR_COPIES = 3  # in memory at once, while pairs are drawn, split and moved to the device
MOST_AGAIN = 10_000_000  # pairs at most that are drawn because a run directory, which may be a stranger's, says so
FRESH_VALIDATION = 4_000  # validation pairs of a run that trains on fresh ones, at most a quarter of its first pairs


@dataclass(frozen=True)
class Setup:
    """What a config builds before there are pairs, in one process of `group`."""

    config: dict[str, Any]
    group: Group
    device: torch.device
    dtype: torch.dtype
    threads: int
    seed: int
    trainer: Trainer
    logger: Logger
    objective: Objective
    task: Task
    trust: Trust = NOTHING
    relations: Relations | None = None  # between columns of x: the model has the free ones alone


@dataclass(frozen=True)
class SplitData:
    """The pairs of a run, split and on the device.

    Args:
        pairs: those from which the model's first weights follow. It also learns from them, unless the task draws fresh
            ones or the pairs stay on disk.
        training: the same, as tensors on the device.
        validation: the held-out pairs, as tensors on the device.
        streamed: all pairs, if they stay on disk; else None.
    """

    pairs: Pairs
    training: Batch
    validation: Batch
    streamed: StreamedPairs | None = None

    def y_statistics(self, variables: Variables | None) -> dict[str, Any] | None:
        """What a checkpoint holds of the training ys, see `training_statistics`; None for a density p(x).

        Args:
            variables: the columns of y.
        """
        if self.pairs.y is None or variables is None:
            return None
        ends = {} if self.streamed is None else {"low": self.streamed.low, "high": self.streamed.high}
        return {**training_statistics(self.pairs.y, variables), **ends}


def build_setup(
    config: dict[str, Any], group: Group, trust: Trust = NOTHING, make_task: Callable[[], Task] | None = None
) -> Setup:
    """Builds all but the model, and sets this process's threads and determinism as the config says.

    Args:
        config: checked.
        group: the processes that train together.
        trust: what may be imported and run.
        make_task: makes the task of a run that there is; None builds a new one.

    Raises: ConfigError for an object that can't be built.
    """
    dtype = runtime.resolve_dtype(config["dtype"])
    threads = runtime.set_threads(config["threads"])
    runtime.set_deterministic()
    task = make_task() if make_task is not None else registry.make(config["task"], Task, trust)
    return Setup(
        config,
        group,
        group.device,
        dtype,
        threads,
        config["seed"],
        trainer=registry.make(config["trainer"], Trainer, trust),
        logger=registry.make(config["logger"], Logger, trust) if group.first else Logger(),
        objective=registry.make(config["objective"], Objective, trust).to(group.device),
        task=task,
        trust=trust,
        relations=task.relations,
    )


def new_pairs(setup: Setup) -> Pairs | StreamedPairs:
    """The pairs that the task draws or reads. Raises: RequestError if the memory can't hold so many."""
    task = setup.task
    if not task.is_measured:
        columns = task.x.dim + (0 if task.y is None else task.y.dim)
        check_memory(task.budget, 8 * columns * PAIR_COPIES, "pairs", "task.n_train")
    return task.training_pairs(setup.seed)


def saved_pairs(setup: Setup, run: RunDir, info: dict[str, Any]) -> Pairs | StreamedPairs:
    """The pairs of a run that is resumed; drawn again if it was killed before it saved them.

    Args:
        setup: what its config builds.
        run: the run.
        info: its run.json.

    Raises: CheckpointError if the file of the pairs is missing, damaged or another task's; RunError if the table has
        changed, or more pairs would be drawn than a run directory may ask for.
    """
    task = setup.task
    fingerprint = task.fingerprint()
    if fingerprint is None and (run.pairs.is_file() or run.last.is_file()):
        pairs = kept_pairs(run, info)
        for letter, part, known in (("x", pairs.x, task.x), ("y", pairs.y, task.y)):
            there = None if part is None else part.shape[1]
            if there != (None if known is None else known.dim):
                raise CheckpointError(
                    f"{run.pairs} has other columns of {letter} than the task; restore it or train again"
                )
        return pairs
    same_table(run, info, fingerprint)
    if fingerprint is None and task.budget > MOST_AGAIN:
        raise RunError(
            f"run {run.id} keeps no pairs, and its config asks for {task.budget:,} to be simulated again; more than "
            f"{MOST_AGAIN:,} are not drawn for a run that there is: start a new one with `inn train`"
        )
    return new_pairs(setup)


def split_pairs(setup: Setup, pairs: Pairs | StreamedPairs) -> SplitData:
    """Splits off the validation pairs and moves both parts to the device.

    Of pairs on disk only those are moved from which the model's first weights follow.

    Raises: DataError for fewer pairs than tell of any relation.
    """
    if setup.objective.needs_data and isinstance(pairs, Pairs) and len(pairs) < MIN_ROWS:
        raise DataError(
            f"{len(pairs)} pairs are too few to learn from, at least {MIN_ROWS} are needed; raise task.n_train"
        )
    task, fraction, device = setup.task, setup.trainer.val_fraction, setup.device
    streamed = None
    if isinstance(pairs, StreamedPairs):
        streamed = pairs
        kept, held_out = streamed.split(fraction)
    else:
        if task.fresh:
            # These pairs give the first weights and validate the model. A small validation set would pick lucky epochs.
            fraction = max(fraction, min(FRESH_VALIDATION / len(pairs), 0.25))
        rng = np.random.default_rng([setup.seed, SPLIT])
        kept, held_out = split(pairs, fraction, rng, task.groups(pairs))
    training, validation = (_tensors(part, device, setup.relations) for part in (kept, held_out))
    return SplitData(kept, training, validation, streamed)


def new_model(
    setup: Setup,
    data: SplitData,
    bound: Callable[[], AbstractContextManager[None]] = nullcontext,
    columns: tuple[Variables, Variables | None] | None = None,
) -> Model:
    """The model with its first weights, which follow from the seed and the training pairs.

    Args:
        setup: what the config builds.
        data: its pairs.
        bound: gives what is entered while a model is built, see `no_larger_than`.
        columns: those of x and y as a checkpoint has them; None chooses by the training pairs.

    Raises: ConfigError if model, objective, task and trainer don't go together; TrainingError if another process of the
        group starts from another model or other pairs.
    """
    task, objective, names = setup.task, setup.objective, setup.config.get("names") or {}
    x, y = columns or task.columns_of(data.pairs)
    if columns is None and setup.relations is not None:
        x = setup.relations.free_columns
    model = build_model(setup.config, x, y, setup.device, bound(), setup.trust)
    if objective.needs_density and not model.has_loss:
        raise ConfigError(
            f"objective={names.get('objective')} needs a density, which model={names.get('model')} "
            "has not; choose another objective"
        )
    if objective.needs_data and model.needs_data and not task.has_data:
        raise ConfigError(
            f"task={names.get('task')} gives moments and no pairs to learn from, "
            f"objective={names.get('objective')} needs pairs; use objective=maxent"
        )
    if columns is None and objective.needs_data:
        found = model.columns_for(*data.training)
        if found != (x, y):
            model = build_model(setup.config, *found, setup.device, bound(), setup.trust)
    objective.attach(model, task)
    model.initialise(*data.training, runtime.generator(setup.device, setup.seed, "start"))
    setup.trainer.check(model, objective, setup.group)
    _check_same_everywhere(model, setup.group)
    return model


def trainer_data(setup: Setup, data: SplitData, model: Model) -> Data:
    """What the trainer asks for: the batches of each epoch, and the validation pairs."""
    task, streamed = setup.task, data.streamed
    if not (model.needs_data and setup.objective.needs_data):
        return Data(len(data.pairs), None, None)
    if streamed is not None:
        return Data(
            streamed.rows,
            None,
            data.validation,
            batches=lambda epoch, size, first: (
                _tensors(pairs, setup.device, setup.relations) for pairs in streamed.batches(epoch, size, first)
            ),
        )
    if task.fresh:
        return Data(
            task.budget,
            lambda epoch: _tensors(task.fresh_pairs(setup.seed, epoch), setup.device, setup.relations),
            data.validation,
        )
    return Data(len(data.pairs), lambda epoch: data.training, data.validation)


def _check_same_everywhere(model: Model, group: Group) -> None:
    starts = group.each([float(t.double().nan_to_num(0, 0, 0).sum()) for t in model.state_dict().values()])
    # Another machine, or another kind of device, may round the data's mean differently.
    if not np.allclose(starts, starts[0], rtol=1e-5, atol=1e-5):
        raise TrainingError(
            "the processes of this run don't start from the same pairs; is the task's file "
            "the same everywhere, and does the simulator draw from its rng alone?"
        )


def _tensors(pairs: Pairs, device: torch.device, relations: Relations | None) -> Batch:
    """The pairs as the model takes them: of related columns of x the free ones."""
    x = torch.as_tensor(pairs.x if relations is None else relations.take(pairs.x), device=device)
    return x, None if pairs.y is None else torch.as_tensor(pairs.y, device=device)


def keep_pairs(run: RunDir, task: Task, pairs: Pairs | StreamedPairs) -> None:
    """Saves drawn pairs with the checksum of the file that simulated them; of a table its checksum, and a copy.

    The jobs of a sweep share a copy, which lies beside them.

    Args:
        run: the run.
        task: its task.
        pairs: the task's training pairs.
    """
    facts = task.fingerprint()
    if facts is None:
        if run.pairs.is_file() and "pairs_sha256" in (run.info().get("data") or {}):
            return  # a resumed run has them, and its simulator file may have changed since
        assert isinstance(pairs, Pairs)  # pairs on disk are a table's, which has a fingerprint
        save_pairs(run.pairs, pairs)
        facts = {"pairs_sha256": file_sha256(run.pairs)}
        if task.simulator_sha256 is not None:
            facts["simulator_sha256"] = task.simulator_sha256
    elif (rows := task.rows_to_keep()) is not None:
        written = rows.to_bytes()
        facts["copy_sha256"] = hashlib.sha256(written).hexdigest()
        alone, shared = run.table_copies(facts["copy_sha256"])
        copy = shared if (run.path.parent / "sweep.json").is_file() else alone
        if not copy.is_file():
            atomic_write(copy, written)
    run.update_info(data={"pairs": len(pairs), "failed": task.failed, "dropped": task.dropped, **facts})
