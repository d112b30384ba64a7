"""What a config builds for a training, and the pairs that a run keeps.

config --task--> pairs --split--> training and validation --model.initialise--> a model to train
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from inncli import runtime
from inncli.config import registry
from inncli.config.trust import NOTHING, Trust
from inncli.data.pairs import Pairs, save_pairs, split
from inncli.data.stream import StreamedPairs
from inncli.errors import CheckpointError, ConfigError, TrainingError
from inncli.inference.opening import build_model
from inncli.inference.run_task import kept_pairs, same_table
from inncli.io.atomic import file_sha256
from inncli.loggers.base import Logger
from inncli.metrics.out_of_distribution import training_statistics
from inncli.models.base import Model
from inncli.objectives.base import Objective
from inncli.runs.run_dir import RunDir
from inncli.tasks.base import SPLIT, Task
from inncli.training.distributed import Group
from inncli.training.state import Data
from inncli.training.trainer import Trainer
from inncli.variables import Variables

FRESH_VALIDATION = 4_000  # pairs that validate a run on fresh ones, at most a quarter of those it starts from


class Parts:
    """What a config builds: task, trainer, objective, model; and the split pairs on the device."""

    def __init__(self, config: dict, group: Group, trust: Trust = NOTHING) -> None:
        self.trust = trust
        self.config, self.group, self.device = config, group, group.device
        self.dtype = runtime.resolve_dtype(config["dtype"])
        self.threads = runtime.set_threads(config["threads"])
        runtime.set_deterministic()
        self.seed = config["seed"]
        self.trainer: Trainer = registry.make(config["trainer"], Trainer, trust)
        self.logger: Logger = registry.make(config["logger"], Logger, trust) if group.first else Logger()
        self.objective: Objective = registry.make(config["objective"], Objective, trust).to(self.device)
        self.task: Task = registry.make(config["task"], Task, trust)

    def prepare(self, pairs: Pairs | StreamedPairs) -> None:
        """Splits off the validation pairs and moves all of them to the device; of pairs on disk those that start the model."""
        self.streamed = pairs if isinstance(pairs, StreamedPairs) else None
        if self.streamed is not None:
            self.pairs, held_out = self.streamed.split(self.trainer.val_fraction)
            self.training, self.validation = self._tensors(self.pairs), self._tensors(held_out)
            return
        rng = np.random.default_rng([self.seed, SPLIT])
        fraction = self.trainer.val_fraction
        if self.task.fresh:
            # These pairs only start and validate the model. A small validation set picks lucky epochs.
            fraction = max(fraction, min(FRESH_VALIDATION / len(pairs), 0.25))
        self.pairs, held_out = split(pairs, fraction, rng, self.task.groups(pairs))
        self.training, self.validation = self._tensors(self.pairs), self._tensors(held_out)

    def saved_pairs(self, run: RunDir, info: dict) -> Pairs | StreamedPairs:
        """The pairs that the run was started with; drawn again if it was killed before they were kept."""
        fingerprint = self.task.fingerprint()
        if fingerprint is None and (run.pairs.is_file() or run.last.is_file()):
            pairs = kept_pairs(run, info)
            for letter, part, known in (("x", pairs.x, self.task.x), ("y", pairs.y, self.task.y)):
                if (part is None) != (known is None) or known is not None and part.shape[1] != known.dim:
                    raise CheckpointError(
                        f"{run.pairs} has other columns of {letter} than the task; restore it or train again"
                    )
            return pairs
        same_table(run, info, fingerprint)
        return self.task.training_pairs(self.seed)

    def new_model(self, bound: AbstractContextManager = nullcontext()) -> Model:
        """The model with its first weights, started from the training pairs; `bound` holds while it is built."""
        model = build_model(self.config, self.task.x, self.task.y, self.device, bound, self.trust)
        if self.objective.needs_density and not model.has_density and type(model).loss is Model.loss:
            names = self.config["names"]
            raise ConfigError(
                f"objective={names.get('objective')} needs a density, which model={names.get('model')} "
                "has not; choose another objective"
            )
        if self.objective.needs_data and model.needs_data and not self.task.has_data:
            names = self.config["names"]
            raise ConfigError(
                f"task={names.get('task')} gives moments and no pairs to learn from, "
                f"objective={names.get('objective')} needs pairs; use objective=maxent"
            )
        self.objective.attach(model, self.task)
        model.initialise(*self.training, runtime.generator(self.device, self.seed, "start"))
        self.trainer.check(model, self.objective, self.group)
        self._same_everywhere(model)
        return model

    def seen(self, variables: Variables | None) -> dict | None:
        """What is kept of the training ys."""
        if self.pairs.y is None:
            return None
        ends = {} if self.streamed is None else {"low": self.streamed.low, "high": self.streamed.high}
        return {**training_statistics(self.pairs.y, variables), **ends}

    def _same_everywhere(self, model: Model) -> None:
        """Raises TrainingError if another process starts from other weights or pairs than this one."""
        starts = self.group.each([float(t.double().nan_to_num(0, 0, 0).sum()) for t in model.state_dict().values()])
        # Another machine, or another kind of device, may round the data's mean differently.
        if not np.allclose(starts, starts[0], rtol=1e-5, atol=1e-5):
            raise TrainingError(
                "the processes of this run don't start from the same pairs; is the task's file "
                "the same everywhere, and does the simulator draw from its rng alone?"
            )

    def data(self, model: Model) -> Data:
        """What the trainer asks for."""
        if not (model.needs_data and self.objective.needs_data):
            return Data(len(self.pairs), None, None)

        if (streamed := self.streamed) is not None:
            return Data(
                streamed.rows,
                None,
                self.validation,
                batches=lambda epoch, size, first: (
                    self._tensors(pairs) for pairs in streamed.batches(epoch, size, first)
                ),
            )

        def fresh(epoch: int):
            return self._tensors(self.task.fresh_pairs(self.seed, epoch))

        rows = self.task.budget if self.task.fresh else len(self.pairs)
        return Data(rows, fresh if self.task.fresh else lambda epoch: self.training, self.validation)

    def _tensors(self, pairs: Pairs):
        x = torch.as_tensor(pairs.x, device=self.device)
        return x, None if pairs.y is None else torch.as_tensor(pairs.y, device=self.device)


def keep_pairs(run: RunDir, task: Task, pairs: Pairs | StreamedPairs) -> None:
    """Keeps drawn pairs and the checksum of the file that simulated them, or the checksum of the table they came from."""
    facts = task.fingerprint()
    if facts is None:
        if run.pairs.is_file() and "pairs_sha256" in (run.info().get("data") or {}):
            return  # a run that goes on has them, and its simulator file may be another by now
        save_pairs(run.pairs, pairs)
        facts = {"pairs_sha256": file_sha256(run.pairs)}
        if task.simulator_sha256 is not None:
            facts["simulator_sha256"] = task.simulator_sha256
    run.update_info(data={"pairs": len(pairs), "failed": task.failed, "dropped": task.dropped, **facts})
