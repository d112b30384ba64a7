"""Training a forward network y = f(x)."""

from __future__ import annotations

from typing import Literal

import torch

from inncli.errors import ConfigError
from inncli.models.abilities import ForwardNetwork
from inncli.models.base import Model, Scalar
from inncli.objectives.base import Batch, Objective, Terms
from inncli.tasks.base import Task


class Regression(Objective):
    r"""Mean loss of f(x) against y, in sds of y: :math:`\frac1B \sum_i \frac{1}{D_y} \sum_j \ell(f_j(x_i) - y_{ij})`.

    A column of labels counts by its cross-entropy.

    Args:
        loss: of a number: squares (`mse`), absolute values (`l1`), or Huber's. The model's descent uses it too.
    """

    def __init__(self, loss: Literal["mse", "l1", "huber"] = "mse") -> None:
        super().__init__()
        self.kind = loss

    def attach(self, model: Model, task: Task) -> None:
        """Tells the model which loss it is trained by. Raises: ConfigError if it is no network y = f(x)."""
        if not isinstance(model, ForwardNetwork):
            raise ConfigError(
                f"objective=regression trains a network y = f(x), which {type(model).__name__} is not; "
                "choose model=adjoint, or leave the objective out"
            )
        model.train_by(self.kind)

    def forward(self, model: Model, batch: Batch | None, step: int, generator: torch.Generator) -> tuple[Scalar, Terms]:
        """The loss; it is its only term."""
        assert isinstance(model, ForwardNetwork) and batch is not None  # `attach`, `needs_data`
        x, y = batch
        assert y is not None  # `Adjoint` and its like are built for a task with a y
        return model.row_loss(x, y).mean(), {}
