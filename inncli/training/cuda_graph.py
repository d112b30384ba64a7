"""The training step of a small net as a CUDA graph: recorded once, then replayed by one launch.

A step of a small flow launches some hundred kernels, each shorter than its launch. What is recorded is a step as it stands:
its shapes, its places in memory and every number that the host put in. So the batch, the learning rate and the seeds are
written into fixed places before each replay, and what else the host decides (the first steps' ramp, the average of the
weights, whether a loss is finite) stays outside.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import torch
from torch import Tensor

from inncli.errors import ConfigError
from inncli.models.base import Model
from inncli.objectives.base import Batch, Objective
from inncli.training.distributed import Group
from inncli.training.precision import Precision
from inncli.training.step import Step

SMALL = 2_000_000  # weights: beyond it a step's kernels are longer than their launches
WARM = 3  # steps before the recording: libraries allocate and choose their kernels in their first ones


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
        if self.given_up or step < self.objective.graph_capturable_from:
            return super().__call__(batch, step)
        if self.warm < WARM:
            self.warm += 1
            return self._aside(lambda: Step.__call__(self, batch, step))
        if self.replay is None and not self._prepare(batch, step):
            return super().__call__(batch, step)
        for place, value in zip(self.places, batch or ()):
            if place is not None:
                place.copy_(value)
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

    def _prepare(self, batch: Batch | None, step: int) -> bool:
        """Sets up the fixed places and records; whether that went well."""
        self.places = tuple(None if part is None else part.clone() for part in batch) if batch else ()
        self.generator = torch.Generator(self.parameters[0].device)
        self.lr_place = torch.tensor(self.lr, dtype=torch.float32, device=self.generator.device)
        group = self.optimizer.param_groups[0]
        before = {key: group[key] for key in ("lr", "capturable")}
        group.update(lr=self.lr_place, capturable=self.generator.device.type == "cuda")
        self.noise(step, self.generator)
        self.optimizer.zero_grad(set_to_none=True)  # so that the gradients are born in the graph's memory
        try:
            self.replay = self._record(lambda: self._whole(step))
        except RuntimeError as error:
            if self.insist:
                raise
            group.update(before)
            self.given_up = True
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            logging.getLogger(__name__).warning("no CUDA graph of the step (%s); it goes on without", first)
        return self.replay is not None

    def _whole(self, step: int) -> None:
        """The step on the fixed places; reads no number back."""
        self.optimizer.zero_grad(set_to_none=True)
        with self.precision.subnets():
            loss, terms = self.objective(self.model, self.places or None, step, self.generator)
        norm = self.gradient(loss)
        # A fused optimizer leaves the weights alone where this is 1.
        self.optimizer.found_inf = (~(loss.detach().isfinite() & norm.isfinite())).float()
        self.optimizer.step()
        self.out = loss.detach(), norm, terms

    def _record(self, whole: Callable[[], None]) -> Callable[[], None]:
        """Records `whole` without running it; what replays it."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)  # a replay then draws by the generator's seed of that moment
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            whole()
        return graph.replay

    def _aside(self, call: Callable[[], tuple]) -> tuple:
        """On a stream of its own, as a step is to be warmed up for its recording."""
        if self.parameters[0].device.type != "cuda":
            return call()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            out = call()
        torch.cuda.current_stream().wait_stream(aside)
        return out
