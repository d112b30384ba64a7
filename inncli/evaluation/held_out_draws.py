"""Draws at the held-out ys, made once for all steps of an evaluation that ask for them."""

from __future__ import annotations

import numpy as np

from inncli.evaluation.answers import Answers
from inncli.evaluation.progress import Tell
from inncli.inference.trained_model import CHUNK

ROWS = 1_000  # held-out ys at most
DRAWS = 100  # at each; the number of rows limits what the tests detect
SEARCH_DRAWS = 20  # of a model that solves an optimisation for each draw
RANKS = 4  # a stream of random numbers


class HeldOutDraws:
    """Draws at the first held-out ys.

    Args:
        answers: at held-out pairs with a y.
        seed: of the draws.
    """

    def __init__(self, answers: Answers, seed: int) -> None:
        self.answers, self._seed = answers.first_rows(ROWS), seed
        self.pairs = self.answers.pairs
        self.n = SEARCH_DRAWS if answers.first.model.is_search else DRAWS
        self._drawn: np.ndarray | None = None

    def get(self, on_progress: Tell = lambda words, share: None, part: float = 1.0) -> np.ndarray:
        """The draws, (n_obs, n, Dx), in chunks of rows; each chunk has a seed of its own.

        Args:
            on_progress: called with what is being done, in words, and the share of this that is done.
            part: of the asking step, which the draws take.
        """
        if self._drawn is None:
            count = len(self.pairs)
            rows, parts = max(CHUNK // self.n, 1), []
            for k, start in enumerate(range(0, count, rows)):
                on_progress(f"draws at {start:,} of {count:,} held-out ys", part * start / count)
                seed = int(np.random.SeedSequence([self._seed, RANKS, k]).generate_state(1)[0])
                some = np.arange(start, min(start + rows, count))
                parts.append(self.answers.sample(some, self.n, seed))
            self._drawn = np.concatenate(parts)
        return self._drawn
