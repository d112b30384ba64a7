"""Measured rows as a task: nothing is drawn, and some rows are set aside for testing."""

from __future__ import annotations

import numpy as np

from inncli.data.pairs import Pairs, row_groups, split_index
from inncli.data.stream import StreamedPairs
from inncli.errors import ConfigError, DataError
from inncli.tasks.base import SPLIT, SUBSET, Task

MIN_ROWS = 10


class Rows(Task):
    """A fixed set of pairs. `training_pairs` takes rows at random, `test_pairs` the rows set aside before.

    Exact duplicates of a row always stay on one side. Which rows are for testing depends on the seed.

    Args:
        pairs: all rows.
        source: the name of the data, for an error.
        test_fraction: share of the rows set aside for `test_pairs`.
        n_train: rows to train and validate on, at random; None is all but the test rows.

    Raises: DataError for too few rows, ConfigError for sizes that don't fit them.
    """

    is_measured = True

    def __init__(self, pairs: Pairs, source: str, test_fraction: float, n_train: int | None) -> None:
        super().__init__(n_train, fresh=False)
        self._pairs = pairs
        self._groups = row_groups(pairs)
        self.test_fraction = test_fraction
        rows, distinct = len(pairs), len(np.unique(self._groups))
        if distinct < MIN_ROWS:
            raise DataError(
                f"{source} has {distinct} different row{'' if distinct == 1 else 's'} to learn from, "
                f"at least {MIN_ROWS} are needed"
            )
        self._check_sizes(rows, source)

    def _check_sizes(self, rows: int, source: str) -> None:
        """Raises: ConfigError if no rows are left to train on, or fewer than n_train."""
        test_fraction, n_train = self.test_fraction, self.n_train
        # The seed decides which rows are for testing, and with duplicates their number varies a little.
        room = rows - max(round(test_fraction * rows), 1)
        if room < 2:
            raise ConfigError(
                f"task.test_fraction={test_fraction:g} leaves {room} of {rows:,} rows to train on; lower it"
            )
        if n_train is not None and n_train > room:
            raise ConfigError(
                f"task.n_train={n_train:,} is more than the {room:,} rows that {source} has "
                "beside its test rows; lower it, or leave it out to use all"
            )
        self._room = room

    @property
    def rows(self) -> Pairs:
        """All rows, those for testing included."""
        return self._pairs

    @property
    def budget(self) -> int:
        """Rows that `training_pairs` takes: n_train, else all but the test rows."""
        return self._room if self.n_train is None else self.n_train

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N rows of x, drawn with replacement: the rows are all that is known of p(x). Shape: (n, Dx)."""
        return self._pairs.x[rng.integers(len(self._pairs), size=n)]

    def training_pairs(self, seed: int) -> Pairs | StreamedPairs:
        rows = self._split(seed)[0]
        if self.n_train is not None:
            # Groups can make the test side a little larger than asked for, which leaves fewer rows here.
            size = min(self.n_train, len(rows))
            rows = np.sort(np.random.default_rng([seed, SUBSET]).choice(rows, size, replace=False))
        return self._pairs.take(rows)

    def fresh_pairs(self, seed: int, epoch: int) -> Pairs:
        raise ConfigError("task.fresh=true needs a simulator, a table has only its rows")

    def test_pairs(self, seed: int, n: int | None = None) -> Pairs:
        """The first n rows of the test side, or as many as it has; None for all."""
        return self._pairs.take(self._split(seed)[1][:n])

    def groups(self, pairs: Pairs) -> np.ndarray:
        return row_groups(pairs)

    def _split(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([seed, SPLIT])
        return split_index(len(self._pairs), self.test_fraction, rng, self._groups)
