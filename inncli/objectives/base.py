"""The contract of what training minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import nn

from inncli.models.base import Model, Scalar, X, Y
from inncli.tasks.base import Task

Batch = tuple[X, Y]
Terms = dict[str, Scalar]


class Objective(nn.Module, ABC):
    """A scalar to minimise, with the named terms it is made of.

    State that must survive a resume (ramps, multipliers) goes into buffers: the trainer saves
    `state_dict()` with each checkpoint. Randomness comes from `generator` alone, which the
    trainer seeds anew for each step.

    Attributes:
        needs_data: whether it is handed batches of pairs; a model without `needs_data` gets none either.
        needs_density: whether it calls the model's `loss`, which follows from a density unless the model writes one.
        mean_over_rows: whether its loss is a mean over rows, each judged by itself, so that its error can be told.
        graph_capturable_from: the step from which on the loss is the same function of batch and noise, and reads no
            number back from the device, so that a recorded step can be replayed; None for never.
    """

    __call__: Callable[..., tuple[Scalar, Terms]]  # nn.Module's: `forward`, between its hooks

    needs_data: bool = True
    needs_density: bool = False
    mean_over_rows: bool = False
    graph_capturable_from: int | None = None

    def attach(self, model: Model, task: Task) -> None:
        """Called once, after both are built and before the model starts from the data.

        Here an objective takes facts of the task (moments, bounds), and tells the model how it will be trained (a noise
        that its inverse must add). What it sets there goes into the model's buffers, which are saved.

        Raises: ConfigError if the model or the task can't be trained by this objective.
        """

    @abstractmethod
    def forward(self, model: Model, batch: Batch | None, step: int, generator: torch.Generator) -> tuple[Scalar, Terms]:
        """The loss of one batch (x, y), or of none where the model needs no data, and its terms; all are scalars."""

    def report(self, model: Model, generator: torch.Generator) -> dict[str, float]:
        """Final numbers of the trained model, from a large sample, by name; NAME_se is the standard error of NAME.

        They join the run's metrics. The model holds the weights that are kept, in evaluation mode.
        """
        return {}

    def validation_loss(self, model: Model, batch: Batch, step: int, generator: torch.Generator) -> Scalar:
        """What the best epoch is chosen by, a scalar; the loss itself, unless overridden.

        It must mean the same at every step. An objective whose loss grows with a ramp or a multiplier must override
        it: otherwise the untrained state, judged before the ramp, would stay the best for ever.
        """
        return self(model, batch, step, generator)[0]
