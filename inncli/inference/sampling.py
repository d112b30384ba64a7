"""Draws without an observation: x ~ p(x), or pairs of y from the training ys and x given each y."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inncli.inference.sample_set import SampleSet
from inncli.inference.trained_model import BLOCK, TrainedModel


def sample_blocks(
    trained: TrainedModel, ys: np.ndarray | None, n: int, seed: int
) -> Iterator[tuple[int, int, SampleSet]]:
    """N draws without an observation in parts of at most 100,000; the draws of a search are one part.

    Args:
        trained: the run.
        ys: the training ys from which y is drawn, (n_ys, Dy); None for a density p(x).
        n: draws in all.
        seed: of all draws.

    Yields: 0, the number of the part's first draw, and the part, as `TrainedModel.posterior_blocks` does.
    """
    names, labels = ((), ()) if trained.y is None else (trained.y.names, trained.y.labels)
    size = BLOCK if trained.in_blocks(1, n) else n
    for start in range(0, n, size):
        # Each block is drawn whole: the last draws of a generator depend on how many it makes.
        x, y = sample_block(trained, ys, size, seed, start)
        left = n - start
        some_y = None if y is None else y[:left]
        yield 0, start, SampleSet(x[:left], some_y, trained.x.names, names, labels, trained.x.circles)


def sample_block(
    trained: TrainedModel, ys: np.ndarray | None, n: int, seed: int, start: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """N draws, numbered from `start`: x (n, Dx) and the training y of each, (n, Dy), or None.

    Arguments as in `sample_blocks`.
    """
    if ys is None:
        return trained.sample(None, n, seed, start)[0], None
    y = ys[np.random.default_rng([seed, start] if start else seed).integers(len(ys), size=n)]
    return trained.sample(y, 1, seed, start)[:, 0], y
