"""Mean, sd and quantiles of draws that come in parts, without keeping the draws.

A set that comes in one part is summarised exactly, a larger one by `Column`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inncli.inference.posterior_set import PosteriorSet
from inncli.inference.sample_set import SampleSet
from inncli.numerics import circle
from inncli.numerics.statistics import QUANTILES, mean, name_of_quantile
from inncli.variables import Circle

BINS = 4_000
HOW = "quantiles are read from 4,000 bins of equal mass in the first block, filled with all draws"


class Column:
    r"""Mean, sd and quantiles of numbers that come block by block.

    Mean and sd are exact. The edges of the bins are quantiles of the first block. The share of all numbers below an
    edge is exact and is interpolated between edges, so that a quantile is off by at most 1/4,000 of the mass. If the
    numbers have few values (recorded ones), the edges are these values, and a quantile is one of them.

    On a circle the mean is the mean direction of all numbers. The sd and the quantiles take each number within half a
    period of the mean direction of the first block, which differs from it as little as 100,000 draws scatter.

    Args:
        on: the circle on which the numbers lie; None is a line.

    Reference: Chan, Golub and LeVeque 1979, Updating formulae and a pairwise algorithm for computing sample variances.
    """

    def __init__(self, on: Circle | None = None) -> None:
        self._on = on
        self._n, self._mean, self._square = 0, 0.0, 0.0
        self._start = 0.0  # the mean of the first block, from which the others are counted: no digit is lost far from 0
        self._direction = np.zeros(2)  # sums of cosine and sine
        self._edges: np.ndarray | None = None

    def add(self, values: np.ndarray) -> None:
        """Takes more numbers, (n,)."""
        if self._edges is None:
            self._start = float(mean(values) if self._on is None else circle.mean(values, self._on))
        if self._on is not None:
            angle = circle.embedded(values[:, None], (self._on,))
            self._direction += angle.sum(0)
            values = circle.unrolled(values, self._start, self._on)
        n, middle = len(values), float(mean(values - self._start))
        step = middle - self._mean
        total = self._n + n
        self._square += float(((values - self._start - middle) ** 2).sum()) + step**2 * self._n * n / total
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
        """The mean, the sd, and each quantile by its name (q05, ...)."""
        found = {name_of_quantile(q): self.quantile(q) for q in quantiles}
        square = self._square / self._n
        if self._on is None:
            return {"mean": self._start + self._mean, "sd": float(np.sqrt(square)), **found}
        low, high = self._on
        unit = (high - low) / (2 * np.pi)
        direction = low + unit * np.arctan2(self._direction[1], self._direction[0])
        off = float(circle.unrolled(direction - self._start, 0.0, self._on))  # of the mean direction from the start
        centre = float(circle.turned(np.array(direction), self._on))
        turns = (high - low) * round((centre - off - self._start) / (high - low))  # where it is past the ends
        return {
            "mean": centre,
            "sd": float(np.sqrt(square + (self._mean - off) ** 2)),
            **{name: value + turns for name, value in found.items()},
        }

    def quantile(self, q: float) -> float:
        """The number below which the share q lies; NaN if any was NaN."""
        if np.isnan(self._start + self._mean):
            return float("nan")
        edges = self._edges
        assert edges is not None  # `add` was called
        below = np.cumsum(self._counts)
        j = min(int(np.searchsorted(below, q * self._n)), len(edges) - 1)
        if self._few or j == 0:
            return float(edges[j])
        return float(np.interp(q * self._n, below[j - 1 : j + 1], edges[j - 1 : j + 1]))


class _Columns(dict[str, Column]):
    """Columns by name; one is made when its name first comes."""

    def add(self, parts: Mapping[str, np.ndarray], circles: Mapping[str, Circle | None] | None = None) -> None:
        for name, values in parts.items():
            if name not in self:
                self[name] = Column((circles or {}).get(name))
            self[name].add(values)


@dataclass
class ObservationSummary:
    """The summary of the draws at one y.

    Attributes:
        y: the observation by name, labels as the user writes them.
        x: by unknown mean, sd, q05, q50, q95.
        extra: by name the median and 95 % quantile of each further number of the draws, where any is finite.
        solutions: the distinct solutions of a search, see `solutions_of`.
        converged: the share of draws of a search that converged.
    """

    y: dict[str, float | str]
    x: dict[str, dict[str, float]]
    extra: dict[str, tuple[float, float]]
    solutions: list[dict[str, Any]] | None = None
    converged: float | None = None


class PosteriorSummary:
    """The summary of a posterior set from its parts, which come in order.

    Attributes:
        n_draws: draws of each observation in the whole set.
        observations: one entry each.
        extra: names of the further numbers of each draw.
        how: how quantiles were computed; None if exactly.
    """

    def __init__(self, n_draws: int) -> None:
        self.n_draws = n_draws
        self.observations: list[ObservationSummary] = []
        self.extra: tuple[str, ...] = ()
        self.how: str | None = None
        self._x, self._extra = _Columns(), _Columns()

    def add(self, obs: int, draw: int, part: PosteriorSet) -> None:
        """Takes the next part: all draws of some observations, or some draws of one, from the `draw`-th on."""
        self.extra = tuple(part.extra)
        if part.n_draws == self.n_draws:
            self.observations += _exactly(part)
            return
        self.how = HOW
        if draw == 0:
            self._x, self._extra = _Columns(), _Columns()
        circles = dict(zip(part.x_names, part.circles, strict=True))
        self._x.add(dict(zip(part.x_names, part.x[0].T, strict=True)), circles)
        self._extra.add({name: values[0] for name, values in part.extra.items()})
        if draw + part.n_draws == self.n_draws:
            x = {name: column.summary() for name, column in self._x.items()}
            extra = {name: (column.quantile(0.5), column.quantile(0.95)) for name, column in self._extra.items()}
            self.observations.append(ObservationSummary(part.y_outside(0), x, extra))


def _exactly(part: PosteriorSet) -> list[ObservationSummary]:
    """The summaries of the observations of a part that holds all draws of each."""
    x: list[dict[str, dict[str, float]]] = [{} for _ in range(part.n_obs)]
    for row in part.summary():
        x[row.pop("obs")][row.pop("name")] = row
    found = [ObservationSummary(part.y_outside(obs), x[obs], part.extra_summary(obs)) for obs in range(part.n_obs)]
    for obs, it in enumerate(found if "solution" in part.extra else ()):
        it.solutions, it.converged = solutions_of(part, obs), float(part.extra["converged"][obs].mean())
    return found


def solutions_of(part: PosteriorSet, obs: int) -> list[dict[str, Any]]:
    """The distinct solutions of a search, most draws first: their number, draws, centre, and median loss."""
    which, loss, x = part.extra["solution"][obs], part.extra["loss"][obs], part.x[obs]
    return [
        {
            "solution": number,
            "draws": int((which == number).sum()),
            "centre": dict(zip(part.x_names, _centre(x[which == number], part.circles), strict=True)),
            "loss": float(np.median(loss[which == number])),
        }
        for number in range(int(which.max()) + 1)
    ]


def _centre(x: np.ndarray, circles: tuple[Circle | None, ...]) -> list[float]:
    """The mean of each column, on its circle where it has one. Shape: x (n, Dx)."""
    columns = zip(x.T, circles, strict=True)
    return [float(mean(column) if on is None else circle.mean(column, on)) for column, on in columns]


class SampleSummary:
    """The summary of draws without an observation from their parts.

    Attributes:
        columns: by column of numbers mean, sd, q05, q50, q95; a column of labels has none.
    """

    def __init__(self, n: int) -> None:
        self.columns: dict[str, dict[str, float]] = {}
        self._n = n
        self._columns = _Columns()

    def add(self, obs: int, draw: int, part: SampleSet) -> None:
        """Takes the next part, from the `draw`-th draw on."""
        if len(part.x) == self._n:
            self.columns = part.summary()
            return
        self._columns.add(part.numbers(), part.circle_by_name)
        if draw + len(part.x) == self._n:
            self.columns = {name: column.summary() for name, column in self._columns.items()}
