"""What a run trains on, and where it stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from inncli.objectives.base import Batch


@dataclass
class Data:
    """What a run trains on.

    Args:
        rows: pairs an epoch; the number of steps an epoch follows from it.
        epoch_pairs: the pairs (x, y) of a given epoch, or None where the model needs no data.
        validation: held-out pairs that choose the best epoch, or None.
        batches: where the pairs stay on disk, `batches(epoch, batch_size, first)`: the batches of an epoch in its
            own order, from the first-th on; the same ones whatever `first` is. `epoch_pairs` is None then.
    """

    rows: int
    epoch_pairs: Callable[[int], Batch] | None
    validation: Batch | None
    batches: Callable[[int, int, int], Iterator[Batch]] | None = None


@dataclass
class Progress:
    """Where a run stands. All of it is saved, and follows from seed and config."""

    step: int = 0
    planned_steps: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0
    start_loss: float | None = None
    start_parts: list[float] | None = None  # the same of groups of few held-out rows, see `Loop.end_epoch`
    sums: dict[str, float] = field(default_factory=dict)  # of the loss and its terms, this epoch
