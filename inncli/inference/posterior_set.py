"""PosteriorSet: the draws of x for each observation, by name. Its files are read and written by `posterior_files`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from inncli.errors import DataError, ShapeError
from inncli.io.tables import Labels, labels_of, matrix, names_of
from inncli.numerics.statistics import statistics
from inncli.variables import Circle

WHAT = "posterior set"  # as messages call it
BYTES = 24  # of memory that a draw takes for each number of x, y and the density, copies on the way included
FORMAT = 1  # of its files; a set whose meta has no `format` is of format 1
# What an extra can't be called: the arrays and columns that the files hold beside it.
_TAKEN = ("x", "log_prob", "y", "x_names", "y_names", "meta", "obs", "draw", "chain", "lp")


@dataclass
class PosteriorSet:
    """S draws of x for each of n_obs observations.

    Args:
        x: the draws.
        log_prob: log p(x|y) of each draw in the user's units; NaN without a density (None is taken for NaN).
        y: the observations; a categorical column holds codes 0, 1, ...
        x_names: one name for each column of x.
        y_names: one name for each column of y.
        y_labels: the labels of a categorical column of y, None for a number; empty: all numbers.
        meta: run id, model, seed, versions: anything JSON can hold. Its `periodic`, name to [low, high], says which
            columns of x lie on a circle.
        extra: further numbers of each draw, by name (an optimiser's loss, say).

    Shape: x (n_obs, S, Dx); log_prob (n_obs, S); y (n_obs, Dy); each extra (n_obs, S).

    Raises:
        ShapeError, DataError: the parts don't fit each other.
    """

    x: np.ndarray
    log_prob: np.ndarray
    y: np.ndarray
    x_names: tuple[str, ...]
    y_names: tuple[str, ...]
    y_labels: Labels = ()
    meta: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.x = matrix("x", self.x, (None, None, None), "(n_obs, S, Dx)")
        n_obs, s, dx = self.x.shape
        if 0 in self.x.shape:
            raise ShapeError(f"x: expected at least one observation, draw and unknown, got {self.x.shape}")
        per_draw = f"({n_obs}, {s}), one number a draw"
        if self.log_prob is None:
            self.log_prob = np.full((n_obs, s), np.nan)
        self.log_prob = matrix("log_prob", self.log_prob, (n_obs, s), per_draw)
        self.y = matrix("y", self.y, (n_obs, None), f"({n_obs}, Dy), one row an observation")
        self.x_names = names_of("x", self.x_names, dx)
        self.y_names = names_of("y", self.y_names, self.y.shape[1])
        self.y_labels = labels_of(self.y_labels, self.y)
        # as it will read back: numpy scalars as numbers, tuples as lists
        self.meta = json.loads(json.dumps(self.meta, default=lambda value: value.tolist()))
        for name in self.extra:
            if name in _TAKEN or "/" in name:
                raise ShapeError(f"extra: {name!r} is taken or has a /; pick another name")
        self.extra = {name: matrix(name, value, (n_obs, s), per_draw) for name, value in self.extra.items()}
        self.circles = circles_of(self.x_names, self.meta)

    @property
    def n_obs(self) -> int:
        """Number of observations."""
        return len(self.x)

    @property
    def n_draws(self) -> int:
        """Draws per observation, S."""
        return int(self.x.shape[1])

    def first(self, n: int) -> PosteriorSet:
        """The first n draws of each observation."""
        return replace(
            self,
            x=self.x[:, :n],
            log_prob=self.log_prob[:, :n],
            extra={name: value[:, :n] for name, value in self.extra.items()},
        )

    def y_outside(self, obs: int) -> dict[str, float | str]:
        """Observation `obs` by name, labels as the user writes them."""
        return {
            name: float(value) if labels is None else labels[int(value)]
            for name, value, labels in zip(self.y_names, self.y[obs], self.y_labels, strict=True)
        }

    def summary(self) -> list[dict[str, Any]]:
        """A dict for each observation and unknown: obs, name, mean, sd (of the draws), q05, q50, q95.

        Of an unknown on a circle they are relative to the mean direction, see `numerics.statistics.statistics`.
        """
        found = statistics(self.x, axis=1)
        for i, on in enumerate(self.circles):
            for key, values in (statistics(self.x[..., i], axis=1, on=on) if on else {}).items():
                found[key][:, i] = values
        return [
            {"obs": obs, "name": name, **{key: float(value[obs, i]) for key, value in found.items()}}
            for obs in range(self.n_obs)
            for i, name in enumerate(self.x_names)
        ]

    def extra_summary(self, obs: int) -> dict[str, tuple[float, float]]:
        """Median and 95 % quantile of each entry of `extra` at observation `obs`, if any number of it is finite."""
        return {
            name: tuple(np.nanquantile(value[obs], (0.5, 0.95)).tolist())
            for name, value in self.extra.items()
            if np.isfinite(value[obs]).any()
        }


def circles_of(names: tuple[str, ...], meta: dict[str, Any]) -> tuple[Circle | None, ...]:
    """The circle of each column of x that `meta["periodic"]` names, None for the others.

    Raises: ShapeError for what is no circle: the file of a set is untrusted.
    """
    periodic = meta.get("periodic", {})
    try:
        ends = {name: (float(low), float(high)) for name, (low, high) in periodic.items()}
        # A width that overflows, or that the ends are too large to tell, is no period.
        if not all(1e-200 + 1e-12 * max(abs(low), abs(high)) < high - low < 1e200 for low, high in ends.values()):
            raise ValueError
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise ShapeError(f"meta: expected periodic as name: [low, high], got {str(periodic)[:60]!r}") from None
    return tuple(map(ends.get, names))


def known_format(path: Path, meta: dict[str, Any]) -> dict[str, Any]:
    """The `meta` of a set, without its format. Raises: DataError for a format that this inn does not read."""
    if not isinstance(meta, dict):
        raise ValueError("its meta is no mapping")
    version = meta.pop("format", FORMAT)
    if version != FORMAT:
        raise DataError(f"{path} is a {WHAT} of format {version!r}, this inn reads {FORMAT}; upgrade inn")
    return meta
