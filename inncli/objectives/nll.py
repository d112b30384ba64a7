"""Maximum likelihood."""

from __future__ import annotations

import torch

from inncli.models.base import Model, Scalar
from inncli.objectives.base import Batch, Objective, Terms


class NLL(Objective):
    r"""Mean negative log-likelihood, :math:`-\frac1B \sum_i \log p(x_i | y_i)`, in nats."""

    needs_density = True
    mean_over_rows = True
    graph_capturable_from = 0

    def forward(self, model: Model, batch: Batch | None, step: int, generator: torch.Generator) -> tuple[Scalar, Terms]:
        """The loss; it is its only term."""
        assert batch is not None  # `needs_data`
        return model.loss(*batch, generator), {}
