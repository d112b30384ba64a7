"""Maximum likelihood."""

from __future__ import annotations

import torch
from torch import Tensor

from inncli.models.base import Model
from inncli.objectives.base import Batch, Objective


class NLL(Objective):
    r"""Mean negative log-likelihood, :math:`-\frac1B \sum_i \log p(x_i | y_i)`, in nats."""

    needs_density = True
    graph_capturable_from = 0

    def forward(
        self, model: Model, batch: Batch | None, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss; it is its only term."""
        return model.loss(*batch, generator), {}
