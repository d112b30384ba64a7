"""Whether an epoch is better than the start, told from few held-out rows; and what was kept of a training, in words."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import torch

from inncli.models.base import Model
from inncli.objectives.base import Batch, Objective
from inncli.runtime import generator

FEW = 300  # held-out rows; of more the error of a mean is next to nothing
FEWEST = 5  # by fewer nothing is told: a start that is fitted to the data stays
PARTS = 10  # groups of them, from whose differences that error follows
OVERFIT = 0.1  # nats that the last epoch is worse than the best: more than the noise of a validation set


def losses(model: Model, objective: Objective, held_out: Batch, step: int, seed: int) -> list[float] | None:
    """The validation loss on each of ten groups of few held-out rows; None of many rows, or if one is not finite.

    Args:
        model: in evaluation mode.
        objective: whose loss is a mean over rows.
        held_out: the rows (x, y).
        step: of the training.
        seed: of the noise, which is the same at every step.
    """
    x, y = held_out
    if len(x) >= FEW:
        return None
    found = []
    for k, rows in enumerate(torch.arange(len(x), device=x.device).tensor_split(min(PARTS, len(x)))):
        part = x[rows], None if y is None else y[rows]
        found.append(float(objective.validation_loss(model, part, step, generator(x.device, seed, "parts", k))))
    return found if all(map(math.isfinite, found)) else None


def is_better(before: list[float], after: list[float] | None) -> bool:
    """Whether the losses have become less, by more than twice the error of their mean difference.

    Twice, since the epoch is the best of many: of epochs that gained one to two errors on the rows held out most had
    lost on others (iris, wine, diabetes).

    Args:
        before: of each group of rows.
        after: the same; None where one is infinite.
    """
    if after is None or len(before) < FEWEST:
        return False
    gain = [a - b for a, b in zip(before, after, strict=True)]
    return fmean(gain) > 2 * stdev(gain) / len(gain) ** 0.5


def kept_words(model: Model, best_epoch: int, val_losses: list[float], start_loss: float | None) -> str | None:
    """What was kept of a training and why, where that is not its end; None where it is, or no rows are held out.

    Args:
        model: with the weights that were kept.
        best_epoch: their epoch, 0 for the start.
        val_losses: the validation loss of each epoch.
        start_loss: that of the start.
    """
    if not val_losses or start_loss is None:
        return None
    if best_epoch == 0:
        within = min(val_losses) < start_loss
        why = f"no epoch did better on the rows held out{', beyond their error' if within else ''}"
        if model.start_ignores_y:
            return f"nothing was learned: this is the marginal, the same whatever y; {why}; more rows, or other columns"
        return f"kept the start, {model.start or 'the untrained net'}: {why}; more rows, or fewer unknowns"
    if val_losses[-1] > min(val_losses) + OVERFIT:
        return f"kept epoch {best_epoch:,}: from there on it over-fits, val_loss ends at {val_losses[-1]:.4f}"
    return None
