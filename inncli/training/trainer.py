"""The trainer: the settings of a training, and when its loop stops and writes checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from inncli.errors import Interrupted
from inncli.models.base import Model
from inncli.objectives.base import Objective
from inncli.training.checkpoint import Meta
from inncli.training.cuda_graph import is_wanted
from inncli.training.group import Group
from inncli.training.loop import Loop
from inncli.training.precision import Precision
from inncli.training.state import Data, Progress
from inncli.training.stop_signals import StopFlag, StopReason, stop_word
from inncli.types import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, Share

MANY_ROWS = 3_000  # from so many on, training is not cut short


class Trainer:
    """Minibatch training with AdamW, gradient clipping, EMA, one-cycle schedule and validation.

    Every random number is a function of (seed, stream, epoch or step): a run stopped at any
    step and resumed takes the same steps as one never stopped, bit for bit.

    Args:
        max_epochs, max_steps, max_seconds: budgets; the schedule reaches zero where the first
            of them ends. Seconds are turned into steps once, after a short timing.
        default_steps: steps with none of them given, from 3,000 rows on; fewer rows take fewer, see `steps_for`.
        batch_size: pairs a step.
        lr: peak learning rate; the lever of small flows, which are under-trained at 1e-3.
        weight_decay: AdamW's.
        clip: largest norm of the gradient, None for no clipping.
        ema: decay of the exponential moving average of the weights that is validated and
            kept; 0 for none.
        warmup: share of the steps in which the learning rate rises.
        val_fraction: share of the pairs held out to choose the best epoch.
        patience: epochs without a better validation loss before stopping early, None for never; auto is a third of
            the steps where these follow from fewer than 3,000 rows, else never.
        checkpoint_seconds: time between checkpoints; no influence on the result.
        precision, tf32: of matrix products in training steps, see `training.precision`.
        cuda_graph: True replays the step as a CUDA graph, see `training.cuda_graph`; auto does so for small nets,
            where it can.
    """

    def __init__(
        self,
        max_epochs: PositiveInt | None = None,
        max_steps: PositiveInt | None = None,
        max_seconds: PositiveFloat | None = None,
        batch_size: PositiveInt = 256,
        lr: PositiveFloat = 5e-3,
        weight_decay: NonNegativeFloat = 0.0,
        clip: PositiveFloat | None = 1.0,
        ema: Share = 0.999,
        warmup: Share = 0.3,
        val_fraction: Fraction = 0.1,
        patience: PositiveInt | Literal["auto"] | None = "auto",
        checkpoint_seconds: NonNegativeFloat = 5.0,
        default_steps: PositiveInt = 3_000,
        precision: Literal["full", "bf16", "fp16"] = "full",
        tf32: bool = False,
        cuda_graph: bool | Literal["auto"] = "auto",
    ) -> None:
        self.default_steps = default_steps
        self.max_epochs, self.max_steps, self.max_seconds = max_epochs, max_steps, max_seconds
        self.batch_size, self.lr, self.weight_decay, self.clip = batch_size, lr, weight_decay, clip
        self.ema, self.warmup, self.val_fraction, self.patience = ema, warmup, val_fraction, patience
        self.checkpoint_seconds, self.precision, self.tf32 = checkpoint_seconds, precision, tf32
        self.cuda_graph = cuda_graph

    def steps_for(self, rows: int) -> int:
        r"""Steps without a budget: :math:`\sqrt{n / 3000}` of `default_steps` for n rows, a tenth to all.

        Few rows are soon known by heart: of 3,000 steps on 100 rows the last 2,900 only over-fit.
        """
        return max(round(self.default_steps * min(max((rows / MANY_ROWS) ** 0.5, 0.1), 1.0)), 1)

    def patience_in_steps(self, rows: int, planned: int, steps_per_epoch: int) -> int | None:
        """Steps without a better validation loss before a training on n rows stops, None for never."""
        if self.patience == "auto":
            own_budget = self.max_epochs or self.max_steps or self.max_seconds
            return None if own_budget or rows >= MANY_ROWS else max(planned // 3, 1)
        return None if self.patience is None else self.patience * steps_per_epoch

    def check(self, model: Model, objective: Objective, group: Group) -> None:
        """Raises ConfigError if these settings can't train this model there."""
        precision = Precision(self.precision, self.tf32, model, group.device)
        is_wanted(self.cuda_graph, model, objective, group, precision)

    def fit(
        self,
        model: Model,
        objective: Objective,
        data: Data,
        *,
        seed: int,
        last: Path,
        best: Path,
        meta: Meta,
        resume: bool = False,
        group: Group | None = None,
        on_plan: Callable[[Progress, int], None] = lambda progress, steps_per_epoch: None,
        on_step: Callable[[Progress, float, float], None] = lambda progress, loss, lr: None,
        on_epoch: Callable[[dict[str, float]], StopReason | None] = lambda line: None,
        on_checkpoint: Callable[[Progress], None] = lambda progress: None,
    ) -> Progress:
        """Trains `model` in place; on return it holds the best weights.

        Args:
            model: its parameters are trained, its buffers are those of the model as it was started from the data.
            objective: gives the loss; its buffers go into the checkpoints.
            data: training pairs, and held-out ones to choose the best epoch by.
            seed: of the order of rows and of all noise.
            last: checkpoint file of all that resuming needs, the best weights included.
            best: checkpoint file of the best weights alone.
            meta: JSON-ready facts that go into every checkpoint.
            resume: continue from `last`.
            group: the processes that train this model together; only the first writes files. None is one process.
            on_plan: called with the progress and the steps of an epoch, before the first step.
            on_step: called with the progress, the loss and the learning rate, after each step.
            on_epoch: called with a line of metrics after each epoch; a reason that it returns stops the run there, as a
                signal does.
            on_checkpoint: called with the progress after each checkpoint between the first and the last.

        Raises:
            NonFiniteError: a loss or gradient went NaN or infinite; names the layer.
            Interrupted: a stop signal or a reason to stop came; a checkpoint was written first.
        """
        loop = Loop(self, model, objective, data, seed, last, best, meta, group)
        with StopFlag() as stop, loop.group.sharing(), loop.precision.entered():
            if resume:
                loop.load()
            else:
                loop.start()
            on_plan(loop.progress, loop.steps_per_epoch)
            loop.checkpoint()
            saved = time.monotonic()
            while not loop.finished:
                loss, lr = loop.take_step()
                on_step(loop.progress, loss, lr)
                if loop.at_epoch_end:
                    reason = on_epoch(loop.end_epoch())
                    if reason and not loop.finished:
                        stop.raised = reason
                came = loop.group.reason(stop.raised)
                if came:
                    loop.checkpoint()
                    on_checkpoint(loop.progress)
                    where = f"at step {loop.progress.step} of {loop.progress.planned_steps}"
                    raise Interrupted(f"{stop_word(came)} {where}; checkpoint written", came)
                if time.monotonic() - saved >= self.checkpoint_seconds:
                    loop.checkpoint()
                    on_checkpoint(loop.progress)
                    saved = time.monotonic()
            loop.checkpoint()
            loop.use_best()
        return loop.progress
