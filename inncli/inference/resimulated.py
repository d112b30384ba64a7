"""How well the draws of a run give y back: a few simulations at the end of its training, and what they say later on.

A stranger's simulator can't be run by whoever inverts with the run, so that this is found while it is open anyway.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from inncli.errors import InnError
from inncli.metrics.resimulation import resimulation_error
from inncli.metrics.verdicts import FAR, NOISE_LIMIT, SPREAD_LIMIT
from inncli.models.base import Model, X, Y
from inncli.numerics.statistics import mean_and_variance
from inncli.runtime import generator
from inncli.tasks.base import Task

OBSERVATIONS, DRAWS = 20, 4  # with the true x of each y a hundred simulations
SHARE = 20  # pairs for each simulation at least: where they are dear, few are made
FEWEST = 5  # ys; the median over fewer says little


def resimulated(task: Task, model: Model, x: X, y: Y, pairs: int, seed: int) -> dict[str, float] | None:
    """The resimulation error of draws at held-out ys, beside that of the true x, which is the noise.

    Args:
        task: of the run.
        model: as it was trained.
        x: the held-out xs, (rows, Dx).
        y: their ys, (rows, Dy).
        pairs: how many the run has; where these are few, fewer simulations are made than a hundred.
        seed: of the draws.

    Returns: `error`, the median over ys of the root mean square over draws; `truth`, that of the true x; `spread`, the
        sd of y over the held-out rows; all in the units of y, with the numbers of `observations` and `draws`. None for
        a task that can't simulate, a search, or where draws or simulations fail.
    """
    if y is None or not task.can_simulate or model.is_search:
        return None
    draws = DRAWS if pairs >= SHARE * OBSERVATIONS * (DRAWS + 1) else 1
    n = min(OBSERVATIONS, pairs // (SHARE * (draws + 1)), len(y))
    if n < FEWEST:
        return None
    at = [part[:n].double().cpu().numpy() for part in (x, y)]
    try:
        with torch.no_grad():
            drawn = model.sample(y[:n], draws, generator(y.device, seed, "resimulation")).double().cpu().numpy()
        truth = resimulation_error(task.observe, *at)
        back = task.observe(drawn.reshape(n * draws, -1))  # one call: a simulator may be slow to begin
    except InnError:  # the command that draws or simulates will say what is wrong there
        return None
    with np.errstate(over="ignore"):
        squares = ((back.reshape(n, draws, -1) - at[1][:, None]) ** 2).sum(2).mean(1)
    squares = squares[np.isfinite(squares)]
    if not len(squares) or not np.isfinite(truth):
        return None
    spread = float(np.sqrt(mean_and_variance(y.double().cpu().numpy())[1].sum()))
    return {
        "error": float(np.sqrt(np.median(squares))),
        "truth": truth,
        "spread": spread,
        "observations": n,
        "draws": draws,
    }


def not_reproduced(found: dict[str, Any] | None) -> list[str]:
    """A warning where the resimulation error of a run was many times the noise, else nothing.

    Args:
        found: what `resimulated` found, as run.json holds it; None of a run that has no such numbers.
    """
    values = [(found or {}).get(name) for name in ("error", "truth", "spread", "observations")]
    numbers = [value for value in values if isinstance(value, (int, float))]
    if len(numbers) < len(values):
        return []
    error, truth, spread, n = numbers
    if not error > FAR * max(NOISE_LIMIT * truth, SPREAD_LIMIT * spread):
        return []
    against = (
        f"{error / truth:.1f} times the noise"
        if truth > SPREAD_LIMIT * spread
        else f"{error / spread:.0%} of the sd of y"
    )
    return [
        f"when training ended, draws at {n} held-out ys gave y back with an error of {error:.3g}, {against}: "
        "don't take them for the answer; train longer or on more pairs, and see `inn evaluate`"
    ]
