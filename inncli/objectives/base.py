"""The contract of what training minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from inncli.models.base import Model

Batch = tuple[Tensor, Tensor | None]


class Objective(nn.Module, ABC):
    """A scalar to minimise, with the named terms it is made of.

    State that must survive a resume (ramps, multipliers) goes into buffers: the trainer saves
    `state_dict()` with each checkpoint. Randomness comes from `generator` alone, which the
    trainer seeds anew for each step.

    Attributes:
        needs_density: whether it calls the model's `log_prob`, or its `loss`, which follows from it unless the
            model writes its own.
    """

    needs_density: bool = False

    @abstractmethod
    def forward(
        self, model: Model, batch: Batch | None, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one batch (x, y), or of none where the model needs no data, and its terms."""

    def validation_loss(
        self, model: Model, batch: Batch, step: int, generator: torch.Generator
    ) -> Tensor:
        """What the best epoch is chosen by, a scalar; the loss itself, unless overridden.

        It must mean the same at every step. An objective whose loss grows with a ramp or a multiplier
        overrides it; else the untrained state, judged before the ramp, would stay the best for ever.
        """
        return self(model, batch, step, generator)[0]
