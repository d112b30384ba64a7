"""One training under way: its steps, epochs and validations, and the checkpoints that it goes on from."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from inncli.errors import NonFiniteError
from inncli.models.base import Model
from inncli.objectives.base import Batch, Objective
from inncli.runtime import generator, stream_seed
from inncli.training import few_rows
from inncli.training.checkpoint import Meta, load_checkpoint, prefixed, save_checkpoint, under
from inncli.training.cuda_graph import GraphedStep, is_wanted
from inncli.training.group import Group, alone
from inncli.training.nonfinite import non_finite_layer
from inncli.training.precision import Precision
from inncli.training.schedule import one_cycle
from inncli.training.state import Data, Progress
from inncli.training.step import Step

if TYPE_CHECKING:  # a loop belongs to a trainer, which makes it
    from inncli.training.trainer import Trainer


MOST_STEPS = 2**62  # that run.json can hold: no budget of epochs or seconds is ever spent so far


class Loop:
    """One run of `Trainer.fit`: the state that changes from step to step."""

    def __init__(
        self,
        trainer: Trainer,
        model: Model,
        objective: Objective,
        data: Data,
        seed: int,
        last: Path,
        best: Path,
        meta: Meta,
        group: Group | None = None,
    ) -> None:
        self.trainer, self.model, self.objective, self.data = trainer, model, objective, data
        self.seed, self.last, self.best, self.meta = seed, last, best, meta
        self.parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        self.group = group or alone(self.device)
        self.precision = Precision(trainer.precision, trainer.tf32, model, self.device)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=trainer.lr, weight_decay=trainer.weight_decay, fused=True
        )
        self.averaged = [p.detach().clone() for p in self.parameters]
        self.best_weights = self._weights()
        self.batch_size = min(trainer.batch_size, data.rows)
        self.steps_per_epoch = max(data.rows // self.batch_size, 1)
        self.progress = Progress()
        self._epoch: tuple[int, Batch, Tensor] | None = None
        self._batches: Iterator[Batch] | None = None
        self.step = Step(
            model, objective, self.parameters, self.optimizer, trainer.clip, self._noise, self.group, self.precision
        )
        if is_wanted(trainer.cuda_graph, model, objective, self.group, self.precision):
            self.step = GraphedStep(self.step, insist=trainer.cuda_graph is True)

    # where the run stands

    @property
    def finished(self) -> bool:
        """Whether the budget is spent or patience is lost."""
        progress = self.progress
        since_best = progress.step - progress.best_epoch * self.steps_per_epoch
        patience = self.trainer.patience_in_steps(self.data.rows, progress.planned_steps, self.steps_per_epoch)
        impatient = (
            patience is not None and self.data.validation is not None and self.at_epoch_end and since_best >= patience
        )
        return impatient or progress.step >= progress.planned_steps

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step ended an epoch; the last step of all always does."""
        step = self.progress.step
        return step > 0 and (step % self.steps_per_epoch == 0 or step == self.progress.planned_steps)

    # one step

    def take_step(self) -> tuple[float, float]:
        """One step of the optimizer; returns the loss and the learning rate."""
        step, trainer = self.progress.step, self.trainer
        lr = trainer.lr * one_cycle(step, self.progress.planned_steps, trainer.warmup)
        self.step.set_lr(lr)
        batch = self._batch(step)
        value, terms = self.step(batch, step)
        decay = min(trainer.ema, (1 + step) / (10 + step))  # the average forgets the start
        with torch.no_grad():  # else the average would hold on to the graph of every step
            torch._foreach_lerp_(self.averaged, self.parameters, 1 - decay)
        for name, term in {"loss": value, **{k: float(v) for k, v in terms.items()}}.items():
            self.progress.sums[name] = self.progress.sums.get(name, 0.0) + term
        self.progress.step += 1
        return value, lr

    def _noise(self, step: int, own: torch.Generator | None = None) -> torch.Generator:
        """The step's own generator. Dropout and the like draw from torch's global one: it is seeded too."""
        seed = stream_seed(self.seed, "layers", step)
        # torch.manual_seed looks for every kind of device first: .2 ms a step
        torch.default_generator.manual_seed(seed) if self.device.type == "cpu" else torch.manual_seed(seed)
        own = torch.Generator(self.device) if own is None else own
        return own.manual_seed(stream_seed(self.seed, "step", step))

    def _batch(self, step: int) -> Batch | None:
        epoch, k = divmod(step, self.steps_per_epoch)
        if self.data.batches is not None:
            if self._batches is None or k == 0:
                self._batches = self.data.batches(epoch, self.batch_size, k)
            return next(self._batches)
        if self.data.epoch_pairs is None:
            return None
        if self._epoch is None or self._epoch[0] != epoch:
            pairs = self.data.epoch_pairs(epoch)
            order = torch.randperm(len(pairs[0]), generator=generator("cpu", self.seed, "order", epoch))
            self._epoch = (epoch, pairs, order.to(self.device))
        _, (x, y), order = self._epoch
        rows = order[k * self.batch_size : (k + 1) * self.batch_size]
        return x[rows], None if y is None else y[rows]

    # epochs and validation

    def end_epoch(self) -> dict[str, float]:
        """Validates the averaged weights and keeps them if they are the best; returns a line of metrics.

        Where few rows are held out, the first that is better than a fitted start has to be so beyond twice the error of
        the difference: the least of many losses on three rows is an accident.
        """
        progress = self.progress
        epoch = math.ceil(progress.step / self.steps_per_epoch)
        count = progress.step - (epoch - 1) * self.steps_per_epoch
        line: dict[str, float] = {"epoch": epoch, "step": progress.step}
        line |= {name: total / count for name, total in progress.sums.items()}
        line["lr"] = self.step.lr
        progress.sums = {}
        val_loss = self.validate()
        if val_loss is not None:
            line["val_loss"] = val_loss
        if val_loss is None or (val_loss < progress.best_loss and self._beats_start()):
            progress.best_epoch = epoch
            progress.best_loss = line["loss"] if val_loss is None else val_loss
            with self._averaged_weights():
                self.best_weights = self._weights()
        return line

    @torch.no_grad()
    def validate(self) -> float | None:
        """The objective on the held-out pairs under the averaged weights, None without such pairs."""
        if self.data.validation is None:
            return None
        x, y = self.data.validation
        total = 0.0
        with self._averaged_weights(), self._evaluating():
            for k, start in enumerate(range(0, len(x), 4096)):
                rows = slice(start, start + 4096)
                part = x[rows], None if y is None else y[rows]
                noise = generator(self.device, self.seed, "validation", k)
                loss = self.objective.validation_loss(self.model, part, self.progress.step, noise)
                total += float(loss) * len(part[0])
        value = self.group.same(total / len(x))
        return value if math.isfinite(value) else math.inf

    @torch.no_grad()
    def _parts(self) -> list[float] | None:
        """The loss on each group of few held-out rows, see `few_rows`."""
        if self.data.validation is None or not self.objective.mean_over_rows or self.model.start is None:
            return None
        with self._averaged_weights(), self._evaluating():
            return few_rows.losses(self.model, self.objective, self.data.validation, self.progress.step, self.seed)

    def _beats_start(self) -> bool:
        """Whether the averaged weights are better than the start on few held-out rows, beyond the error of that."""
        start = self.progress.start_parts
        if start is None or self.progress.best_epoch > 0:
            return True
        return bool(self.group.same(few_rows.is_better(start, self._parts())))

    @contextlib.contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        # As a run is used later on: without dropout, and batch norms don't learn from held-out rows.
        self.model.eval()
        self.objective.eval()
        try:
            yield
        finally:
            self.model.train()
            self.objective.train()

    def _swap(self) -> None:
        for parameter, averaged in zip(self.parameters, self.averaged, strict=True):
            parameter.data, averaged.data = averaged.data, parameter.data

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def use_best(self) -> None:
        """Leaves the model with the best weights."""
        self.model.load_state_dict(self.best_weights)

    # start, budget, checkpoints

    def start(self) -> None:
        """Plans the steps; the untrained state is the first candidate for the best.

        Raises: NonFiniteError if it has no finite validation loss: then no epoch could be told from another.
        """
        loss = self.validate()
        if loss is not None and not math.isfinite(loss):
            where = non_finite_layer(self.model, self.validate)
            raise NonFiniteError(
                f"before the first step: {where} is not finite (validation loss {loss}); look for outliers in the data"
            )
        if loss is not None:
            self.progress.start_loss = self.progress.best_loss = loss
            self.progress.start_parts = self._parts()
        self.progress.planned_steps = self._plan()

    def _plan(self) -> int:
        trainer = self.trainer
        budgets = []
        if trainer.max_epochs is not None:
            budgets.append(trainer.max_epochs * self.steps_per_epoch)
        if trainer.max_steps is not None:
            budgets.append(trainer.max_steps)
        if trainer.max_seconds is not None:
            budgets.append(self._steps_in(trainer.max_seconds))
        return max(min(*budgets, MOST_STEPS) if budgets else trainer.steps_for(self.data.rows), 1)

    def _steps_in(self, seconds: float) -> int:
        """Steps that fit into `seconds`, timed on a copy that is thrown away."""
        begun = time.monotonic()
        trial = copy.deepcopy(self)
        trial.progress.planned_steps = 10**9
        trial.take_step()  # the first step allocates
        started, taken = time.monotonic(), 0
        # The first process decides: the others take each of its steps.
        while taken < 200 and (taken < 5 or self.group.same(time.monotonic() - started < min(0.05 * seconds, 2.0))):
            trial.take_step()
            taken += 1
        step_seconds = (time.monotonic() - started) / taken
        started = time.monotonic()
        trial.validate()
        epoch_seconds = time.monotonic() - started
        left = 0.97 * (seconds - (time.monotonic() - begun))  # a little for the checkpoints
        return self.group.same(int(left / (step_seconds + epoch_seconds / self.steps_per_epoch)))

    def checkpoint(self) -> None:
        """Writes `last`, and `best` beside it; of several processes the first."""
        if not self.group.first:
            return
        p = self.progress
        state = {
            "step": p.step,
            "planned_steps": p.planned_steps,
            "best_epoch": p.best_epoch,
            # JSON has no infinity: None stands for "no best yet".
            "best_loss": p.best_loss if math.isfinite(p.best_loss) else None,
            "start_loss": p.start_loss,
            "sums": p.sums,
            **({} if p.start_parts is None else {"start_parts": p.start_parts}),
            # Epochs that have their line of metrics: the last step of all ends one, however short.
            "epoch": (math.ceil if self.at_epoch_end else math.floor)(p.step / self.steps_per_epoch),
            **self.precision.state(),
        }
        names = [name for name, q in self.model.named_parameters() if q.requires_grad]
        moments = {
            f"{name}.{key}": value
            for name, q in zip(names, self.parameters, strict=True)
            for key, value in self.optimizer.state.get(q, {}).items()
        }
        tensors = {
            **prefixed("model", self.model.state_dict()),
            **prefixed("averaged", dict(zip(names, self.averaged, strict=True))),
            **prefixed("optimizer", moments),
            **prefixed("objective", self.objective.state_dict()),
            **prefixed("best", self.best_weights),
        }
        save_checkpoint(self.last, tensors, {**self.meta, "training": state})
        best = {key: state[key] for key in ("best_epoch", "best_loss", "planned_steps")}
        save_checkpoint(self.best, prefixed("model", self.best_weights), {**self.meta, "training": best})

    def load(self) -> None:
        """Continues from `last`."""
        tensors, meta = load_checkpoint(self.last)
        state = meta["training"]
        best_loss = math.inf if state["best_loss"] is None else state["best_loss"]
        self.progress = Progress(
            step=state["step"],
            planned_steps=state["planned_steps"],
            best_loss=best_loss,
            best_epoch=state["best_epoch"],
            start_loss=state["start_loss"],
            start_parts=state.get("start_parts"),  # 0.4 judged without an error, and goes on so
            sums=dict(state["sums"]),
        )
        self.precision.load(state)
        self.model.load_state_dict(under("model", tensors))
        self.objective.load_state_dict(under("objective", tensors))
        self.best_weights = {k: v.to(self.device) for k, v in under("best", tensors).items()}
        averaged, moments = under("averaged", tensors), under("optimizer", tensors)
        names = [name for name, q in self.model.named_parameters() if q.requires_grad]
        for name, parameter, mean in zip(names, self.parameters, self.averaged, strict=True):
            mean.copy_(averaged[name])
            state = under(name, moments)
            if state:
                # "step" too: a fused optimizer counts on the parameter's device.
                self.optimizer.state[parameter] = {key: value.to(self.device) for key, value in state.items()}
