"""Draws and densities of a distribution that is cut off at the bounds of a box."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from inncli.errors import ConvergenceError
from inncli.models.base import PerRow, X, Y
from inncli.types import Bool

Draw = Callable[[Y, int, torch.Generator], X]  # so many rows, one for each y where there are ys
Outside = Callable[[X], Bool[Tensor, " rows"]]


def redraw_outside(draw: Draw, outside: Outside, x: X, y: Y, generator: torch.Generator) -> X:
    """Draws those rows of x again that lie outside, until none does.

    Raises: ConvergenceError after 1,000 rounds.
    """
    bad = outside(x)
    for _ in range(1000):
        rows = bad.nonzero().squeeze(1)
        if len(rows) == 0:
            return x
        x[rows] = draw(None if y is None else y[rows], len(rows), generator)
        bad[rows] = outside(x[rows])
    raise ConvergenceError(
        f"{int(bad.sum())} of {len(x)} draws fell outside x_bounds 1,000 times over; train with model.bounds=auto"
    )


@torch.no_grad()
def log_mass_inside(draw: Draw, outside: Outside, y: Y, x: X, n: int = 2000) -> PerRow:
    """Monte Carlo estimate of log P(x in box | y) for each row of x, with a fixed seed.

    n draws a distinct y, then n more, up to 100 times, until 400 of them are inside: a relative error
    of a twentieth, unless less than 1/500 of the mass is inside.

    Raises: ConvergenceError if none is.
    """
    zeros = x.new_zeros
    if y is None:
        distinct, where = None, zeros(len(x), dtype=torch.long)
    else:
        distinct, where = torch.unique(y, dim=0, return_inverse=True)
    n_obs = 1 if distinct is None else len(distinct)
    generator = torch.Generator(x.device).manual_seed(0)
    hits, drawn = zeros(n_obs, dtype=torch.float64), zeros(n_obs, dtype=torch.float64)
    for _ in range(100):
        few = (hits < 400).nonzero().squeeze(1)
        if len(few) == 0:
            break
        repeated = None if distinct is None else distinct[few].repeat_interleave(n, 0)
        inside = ~outside(draw(repeated, len(few) * n, generator))
        hits[few] += inside.reshape(len(few), n).sum(1)
        drawn[few] += n
    if (hits == 0).any():
        raise ConvergenceError(
            f"none of {int(drawn.max()):,} draws fell inside x_bounds, so that the density can't be "
            "renormalised; train with model.bounds=auto"
        )
    return (hits / drawn).log()[where]
