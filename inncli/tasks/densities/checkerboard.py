"""The checkerboard: eight squares of even density and nothing between them, without an observation."""

from __future__ import annotations

import numpy as np

from inncli.tasks.base import Task
from inncli.variables import Variables

SIDE = 2.0
ENTROPY = np.log(32)  # nats: eight squares of area 4


class Checkerboard(Task):
    r"""Uniform on the black squares of a board of 4 x 4.

    .. math:: p(x) = 1/32 \text{ where } |x_1|, |x_2| \le 4 \text{ and } \lfloor x_1/2 \rfloor + \lfloor x_2/2 \rfloor
        \text{ is even, else } 0

    Args:
        n_train, fresh: see `Task`.

    Reference: Grathwohl et al. 2019, FFJORD, arXiv:1810.01367 (its toy data).
    """

    x = Variables.numbered("x", 2)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        column = rng.integers(-2, 2, n)
        row = 2 * rng.integers(-1, 1, n) + column % 2  # column + row is even
        return SIDE * (np.column_stack([column, row]) + rng.random((n, 2)))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        square = np.floor(np.asarray(x) / SIDE)
        black = ((square >= -2) & (square < 2)).all(1) & (square.sum(1) % 2 == 0)
        return np.where(black, -ENTROPY, -np.inf)

    def describe(self) -> list[str]:
        return [*super().describe(), f"entropy: ln 32 = {ENTROPY:.5f} nats"]
