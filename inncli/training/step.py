"""One step of the optimizer: loss, gradient, clipping, update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inncli.errors import NonFiniteError
from inncli.models.base import Model
from inncli.objectives.base import Batch, Objective
from inncli.training.group import Group
from inncli.training.nonfinite import LOSS_ITSELF, NORM, non_finite_layer
from inncli.training.precision import Precision


class Step:
    """A step on a batch.

    Args:
        clip: largest norm of the gradient, None for no clipping.
        noise: `noise(step)` seeds the step's random streams and returns its own generator; a given one is seeded.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        parameters: Sequence[Tensor],
        optimizer: torch.optim.Optimizer,
        clip: float | None,
        noise: Callable[..., torch.Generator],
        group: Group,
        precision: Precision,
    ) -> None:
        self.model, self.objective, self.parameters, self.optimizer = model, objective, parameters, optimizer
        self.limit = math.inf if clip is None else clip
        self.noise, self.group, self.precision = noise, group, precision
        self.lr = 0.0

    def set_lr(self, lr: float) -> None:
        """The learning rate of the next step."""
        self.lr = lr
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def __call__(self, batch: Batch | None, step: int) -> tuple[float, dict[str, Tensor]]:
        """Takes the step; returns its loss and terms.

        Raises: NonFiniteError, before the weights change, if the loss or the gradient is not finite.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss, terms = self.loss(batch, step)
        value = float(loss.detach())
        finite = math.isfinite(value)
        if finite:
            norm = self.gradient(loss)
            finite = math.isfinite(float(norm)) or self.precision.skips
        if not finite:
            self.refuse(value, batch, step)
        self.precision.update(self.optimizer)
        return value, terms

    def loss(self, batch: Batch | None, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of the batch, the joined one of all processes, and its terms."""
        with self.precision.subnets():
            return self.objective(self.model, batch, step, self.noise(step))

    def gradient(self, loss: Tensor) -> Tensor:
        """Leaves the clipped gradient in the parameters; returns its norm before."""
        # Every process differentiates its share of the same loss: see `inncli.nn.sharding`.
        self.precision.scaled(loss if self.group.size == 1 else loss / self.group.size).backward()
        self.group.sum_gradients(self.parameters)
        self.precision.unscale(self.optimizer)
        return torch.nn.utils.clip_grad_norm_(self.parameters, self.limit, foreach=True)

    def refuse(self, value: float, batch: Batch | None, step: int) -> None:
        """Names the place that is not finite, whichever process has its rows."""
        found = self.group.each(non_finite_layer(self.model, lambda: self.loss(batch, step)))
        where = min(found, key=lambda name: name == LOSS_ITSELF)
        if where == LOSS_ITSELF and math.isfinite(value):
            where = NORM
        raise NonFiniteError(
            f"step {step}: {where} is not finite (loss {value}); the last good checkpoint is kept, "
            "lower trainer.lr or look for outliers in the data"
        )
