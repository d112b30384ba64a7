"""What is said of draws that come block by block: mean, sd and quantiles of each unknown, without keeping the draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inncli.inference.posterior_set import PosteriorSet

BINS = 4_000
QUANTILES = (0.05, 0.5, 0.95)
HOW = "quantiles are read from 4,000 bins of equal mass in the first block, filled with all draws"


class Column:
    r"""Mean, sd and quantiles of numbers that come block by block.

    Mean and sd are exact. The edges of the bins are quantiles of the first block; the share of all numbers below an edge is
    exact, between two edges it is interpolated, so that a quantile is off by 1/4,000 of the mass at most. Of numbers
    with few values (recorded ones) the edges are the values, and the quantile is one of them.

    Reference: Chan, Golub and LeVeque 1979, Updating formulae and a pairwise algorithm for computing sample variances.
    """

    def __init__(self) -> None:
        self._n, self._mean, self._square = 0, 0.0, 0.0
        self._edges: np.ndarray | None = None

    def add(self, values: np.ndarray) -> None:
        """Takes more numbers, (n,)."""
        n, mean = len(values), float(values.mean())
        step = mean - self._mean
        total = self._n + n
        self._square += float(((values - mean) ** 2).sum()) + step**2 * self._n * n / total
        self._mean += step * n / total
        self._n = total
        if self._edges is None:
            self._edges = np.unique(values)
            self._few = len(self._edges) <= min(BINS, n / 2)
            if not self._few:
                self._edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
            self._counts = np.zeros(len(self._edges) + 1, dtype=np.int64)
        # the number in bin j lies above edge j - 1, and not above edge j
        bins = np.searchsorted(self._edges, values, side="left")
        self._counts += np.bincount(bins, minlength=len(self._counts))

    def summary(self, quantiles: Sequence[float] = QUANTILES) -> dict[str, float]:
        """mean, sd, and q05 and the like."""
        return {
            "mean": self._mean,
            "sd": float(np.sqrt(self._square / self._n)),
            **{f"q{100 * q:02.0f}": self.quantile(q) for q in quantiles},
        }

    def quantile(self, q: float) -> float:
        """The number below which the share q lies; NaN if any was NaN."""
        if np.isnan(self._mean):
            return float("nan")
        below = np.cumsum(self._counts)
        j = min(int(np.searchsorted(below, q * self._n)), len(self._edges) - 1)
        if self._few or j == 0:
            return float(self._edges[j])
        return float(np.interp(q * self._n, below[j - 1 : j + 1], self._edges[j - 1 : j + 1]))


class StreamedSummary:
    """The summary of a posterior set that is too large to be kept: to a report it looks like the set itself.

    Args:
        n_obs, n_draws: the size of the whole set.
    """

    def __init__(self, n_obs: int, n_draws: int) -> None:
        self.n_obs, self.n_draws = n_obs, n_draws
        self.extra: dict[str, None] = {}  # their names
        self.how: str | None = None  # how quantiles were found, where not exactly
        self._rows: list[dict] = []
        self._y: list[dict] = []
        self._extras: list[dict[str, tuple[float, float]]] = []
        self._x: dict[str, Column] = {}
        self._extra: dict[str, Column] = {}

    def add(self, part: PosteriorSet, draw: int) -> None:
        """Takes the next part: all draws of some observations, or some draws of one, from the `draw`-th on."""
        self.extra = dict.fromkeys(part.extra)
        if draw == 0:
            self._y += [part.y_outside(obs) for obs in range(part.n_obs)]
        if part.n_draws == self.n_draws:
            self._rows += [{**row, "obs": len(self._extras) + row["obs"]} for row in part.summary()]
            self._extras += [part.extra_summary(obs) for obs in range(part.n_obs)]
            return
        self.how = HOW
        if draw == 0:
            self._x = {name: Column() for name in part.x_names}
            self._extra = {name: Column() for name in part.extra}
        for column, values in zip(self._x.values(), part.x[0].T):
            column.add(values)
        for name, values in part.extra.items():
            self._extra[name].add(values[0])
        if draw + part.n_draws == self.n_draws:
            obs = len(self._extras)
            self._rows += [{"obs": obs, "name": name, **column.summary()} for name, column in self._x.items()]
            self._extras.append(
                {name: (column.quantile(0.5), column.quantile(0.95)) for name, column in self._extra.items()}
            )

    def summary(self) -> list[dict]:
        """As `PosteriorSet.summary`."""
        return self._rows

    def y_outside(self, obs: int) -> dict[str, float | str]:
        """As `PosteriorSet.y_outside`."""
        return self._y[obs]

    def extra_summary(self, obs: int) -> dict[str, tuple[float, float]]:
        """As `PosteriorSet.extra_summary`."""
        return self._extras[obs]
