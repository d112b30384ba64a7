"""The training step of a small net as a CUDA graph: recorded once, then replayed by one launch.

A step of a small flow launches some hundred kernels, each shorter than its launch. A recording holds a step as it
stands: its shapes, its places in memory and every number that the host put in. So the batch, the learning rate and the
seeds are written into fixed places before each replay. The host's other decisions (the first steps' ramp, the average
of the weights, whether a loss is finite) stay outside.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from inncli.errors import ConfigError
from inncli.models.base import Model
from inncli.objectives.base import Batch, Objective
from inncli.training.group import Group
from inncli.training.precision import Precision
from inncli.training.step import Step

SMALL = 2_000_000  # weights: beyond it a step's kernels are longer than their launches
WARM = 3  # steps before the recording: libraries allocate and choose their kernels in their first ones
T = TypeVar("T")


def is_wanted(asked: bool | str, model: Model, objective: Objective, group: Group, precision: Precision) -> bool:
    """Whether to try and record the step: wherever it can be where that is asked for, of small nets for "auto".

    Raises: ConfigError if it is asked for and can't be.
    """
    against = _reason_against(model, objective, group, precision)
    if asked is True and against:
        raise ConfigError(f"trainer.cuda_graph=true: {against}; leave it at auto")
    small = sum(p.numel() for p in model.parameters()) <= SMALL
    return not against and (asked is True or (asked == "auto" and small))


def _reason_against(model: Model, objective: Objective, group: Group, precision: Precision) -> str | None:
    """Why the step can't be recorded, in words."""
    if group.device.type != "cuda":
        return f"this run computes on {group.device}, and CUDA graphs are for NVIDIA GPUs"
    if group.size > 1:
        return "several processes train this run, and their exchanges are not recorded"
    if precision.skips:
        return "precision=fp16 decides after each gradient whether to take the step"
    if not model.graph_capturable or objective.graph_capturable_from is None:
        part = objective if model.graph_capturable else model
        return f"{type(part).__name__} does not say that its loss is the same at every step (`graph_capturable`)"
    return None


class GraphedStep(Step):
    """A step that becomes a replay of itself once the loss is graph_capturable and the device warm.

    The weights take the update only where the gradient is finite, as in a plain step.
    """

    def __init__(self, plain: Step, insist: bool) -> None:
        vars(self).update(vars(plain))
        self.insist = insist
        self.warm = 0
        self.replay: Callable[[], None] | None = None
        self.given_up = False

    def __call__(self, batch: Batch | None, step: int) -> tuple[float, dict[str, Tensor]]:
        """Takes the step; see `Step`."""
        start = self.objective.graph_capturable_from
        assert start is not None  # see `_reason_against`
        if self.given_up or step < start:
            return super().__call__(batch, step)
        if self.warm < WARM:
            self.warm += 1
            return self._aside(lambda: Step.__call__(self, batch, step))
        if self.replay is None:
            self.replay = self._prepare(batch, step)
        if self.replay is None:
            return super().__call__(batch, step)
        for place, part in zip(self.places or (), batch or (), strict=True):
            if place is not None and part is not None:
                place.copy_(part)
        self.lr_place.fill_(self.lr)
        self.noise(step, self.generator)
        self.replay()
        value = float(self.out[0])
        if not (math.isfinite(value) and math.isfinite(float(self.out[1]))):
            self.refuse(value, batch, step)
        return value, self.out[2]

    def set_lr(self, lr: float) -> None:
        """The learning rate of the next step."""
        self.lr = lr
        if self.replay is None:
            super().set_lr(lr)

    def _prepare(self, batch: Batch | None, step: int) -> Callable[[], None] | None:
        """Sets up the fixed places and records; returns the replay, or None where it could not be recorded."""
        self.places: Batch | None = None
        if batch is not None:
            x, y = batch
            self.places = x.clone(), None if y is None else y.clone()
        self.generator = torch.Generator(self.parameters[0].device)
        self.lr_place = torch.tensor(self.lr, dtype=torch.float32, device=self.generator.device)
        group = self.optimizer.param_groups[0]
        before = {key: group[key] for key in ("lr", "capturable")}
        group.update(lr=self.lr_place, capturable=self.generator.device.type == "cuda")
        self.noise(step, self.generator)
        self.optimizer.zero_grad(set_to_none=True)  # so that the gradients are born in the graph's memory
        try:
            return self._record(lambda: self._whole(step))
        except RuntimeError as error:
            if self.insist:
                raise
            group.update(before)
            self.given_up = True
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            logging.getLogger(__name__).warning("no CUDA graph of the step (%s); it goes on without", first)
            return None

    def _whole(self, step: int) -> None:
        """The step on the fixed places; reads no number back."""
        self.optimizer.zero_grad(set_to_none=True)
        with self.precision.subnets():
            loss, terms = self.objective(self.model, self.places, step, self.generator)
        norm = self.gradient(loss)
        # A fused optimizer looks for `found_inf`, which no stub names, and leaves the weights alone where it is 1.
        self.optimizer.found_inf = (~(loss.detach().isfinite() & norm.isfinite())).float()  # type: ignore[attr-defined]
        self.optimizer.step()
        self.out = loss.detach(), norm, terms

    def _record(self, whole: Callable[[], None]) -> Callable[[], None]:
        """Records `whole` without running it; what replays it."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)  # a replay then draws by the generator's seed of that moment
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            whole()
        return graph.replay

    def _aside(self, call: Callable[[], T]) -> T:
        """On a stream of its own, as a step is to be warmed up for its recording."""
        if self.parameters[0].device.type != "cuda":
            return call()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            out = call()
        torch.cuda.current_stream().wait_stream(aside)
        return out
