"""PosteriorSet: the draws of x for each observation, and its files.

Files (the suffix decides): `.npz` holds the arrays as they are; `.csv` and `.parquet` are in long form, a
row a draw; `.nc` is NetCDF in ArviZ's layout. All but CSV give back exactly what was saved; CSV has no
place for `meta` and keeps names, numbers and labels only. A set whose meta has no `format` is of format 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from inncli.errors import DataError, ShapeError
from inncli.io.tables import (
    Labels,
    check_suffix,
    column_codes,
    column_outside,
    distinct_columns,
    labels_of,
    matrix,
    names_of,
    read_npz,
    read_table,
    to_codes,
    to_outside,
    unreadable,
    write_npz,
    write_table,
)
from inncli.io.untrusted import parse_json

SUFFIXES = (".npz", ".csv", ".parquet", ".nc")
WHAT = "posterior set"
FORMAT = 1
_KEYS = ("x", "log_prob", "y", "x_names", "y_names", "meta")
_TAKEN = (*_KEYS, "obs", "draw", "chain", "lp")  # what an extra can't be called


@dataclass
class PosteriorSet:
    """S draws of x for each of n_obs observations.

    Args:
        x: the draws.
        log_prob: log p(x|y) of each draw in the user's units; NaN (or None) without a density.
        y: the observations; a categorical column holds codes 0, 1, ...
        x_names, y_names: one name a column.
        y_labels: the labels of a categorical column of y, None for a number; empty: all numbers.
        meta: run id, model, seed, versions: anything JSON can hold.
        extra: further numbers a draw, by name (an optimiser's loss, say).

    Shape: x (n_obs, S, Dx); log_prob (n_obs, S); y (n_obs, Dy); each extra (n_obs, S).

    Raises:
        ShapeError, DataError: the parts don't fit each other.
    """

    x: np.ndarray
    log_prob: np.ndarray | None
    y: np.ndarray
    x_names: tuple[str, ...]
    y_names: tuple[str, ...]
    y_labels: Labels = ()
    meta: dict = field(default_factory=dict)
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

    @property
    def n_obs(self) -> int:
        """Number of observations."""
        return self.x.shape[0]

    @property
    def n_draws(self) -> int:
        """Draws per observation, S."""
        return self.x.shape[1]

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
            for name, value, labels in zip(self.y_names, self.y[obs], self.y_labels)
        }

    def summary(self) -> list[dict]:
        """A row an observation and unknown: obs, name, mean, sd (of the draws), q05, q50, q95."""
        mean, sd = self.x.mean(axis=1), self.x.std(axis=1)
        q05, q50, q95 = np.quantile(self.x, (0.05, 0.5, 0.95), axis=1)
        return [
            {
                "obs": obs,
                "name": name,
                "mean": float(mean[obs, i]),
                "sd": float(sd[obs, i]),
                "q05": float(q05[obs, i]),
                "q50": float(q50[obs, i]),
                "q95": float(q95[obs, i]),
            }
            for obs in range(self.n_obs)
            for i, name in enumerate(self.x_names)
        ]

    def extra_summary(self, obs: int) -> dict[str, tuple[float, float]]:
        """Median and 95 % quantile of each further number a draw, where any is finite."""
        return {
            name: tuple(np.nanquantile(value[obs], (0.5, 0.95)).tolist())
            for name, value in self.extra.items()
            if np.isfinite(value[obs]).any()
        }

    # ---- files -----------------------------------------------------------------------------------
    def save(self, path: str | Path) -> Path:
        """Writes the set, whole or not at all, in the format of the suffix (.npz .csv .parquet .nc)."""
        path = Path(path)
        suffix = check_suffix(path, SUFFIXES)
        if suffix == ".npz":
            write_npz(path, {"x": self.x, "log_prob": self.log_prob, **self.heading(), **self.extra})
        elif suffix == ".nc":
            from inncli.inference import netcdf

            netcdf.write(path, self)
        else:
            self._save_long(path)
        return path

    @classmethod
    def load(cls, path: str | Path) -> PosteriorSet:
        """Reads a set that `save` wrote.

        Raises:
            DataError: the file is not there, damaged, or not a posterior set.
        """
        path = Path(path)
        suffix = check_suffix(path, SUFFIXES)
        try:
            if suffix == ".npz":
                return cls._load_npz(path)
            if suffix == ".nc":
                from inncli.inference import netcdf

                return netcdf.read(path)
            return cls._load_long(path)
        except (ShapeError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            # what was read doesn't make a set: say which file
            raise unreadable(path, WHAT, error) from None

    def heading(self) -> dict[str, np.ndarray]:
        """What an .npz says of the draws: y, names, meta."""
        return {
            "y": to_outside(self.y, self.y_labels),
            "x_names": _text(self.x_names),
            "y_names": _text(self.y_names),
            "meta": np.array(json.dumps(self._meta_outside())),
        }

    def note(self) -> dict:
        """What the metadata of a Parquet file says of the draws."""
        return {"x_names": self.x_names, "y_names": self.y_names, "meta": self._meta_outside()}

    def _meta_outside(self) -> dict:
        # The codes of y need their labels in order, and only those who have labels see the key.
        labels = {"y_labels": self.y_labels} if any(self.y_labels) else {}
        return {**self.meta, **labels}

    @classmethod
    def _load_npz(cls, path: Path) -> PosteriorSet:
        arrays = read_npz(path, WHAT, _KEYS)
        meta = known_format(path, parse_json(str(arrays["meta"])))
        labels = labels_of(meta.pop("y_labels", ()), np.empty((0, len(arrays["y_names"]))))
        return cls(
            arrays["x"],
            arrays["log_prob"],
            to_codes(arrays["y"], labels),
            arrays["x_names"].tolist(),
            arrays["y_names"].tolist(),
            labels,
            meta,
            {name: value for name, value in arrays.items() if name not in _KEYS},
        )

    def columns(self, obs: int = 0, draw: int = 0) -> dict[str, np.ndarray]:
        """Long form: obs, the columns of y, draw, the columns of x, log_prob, extras.

        Args:
            obs, draw: the numbers of the first ones, where this set is a part of a larger one.

        `draw` stands between y and x, so that a file without metadata says which is which. A name in
        use elsewhere in the table is written `x.<name>` or `y.<name>`.
        """
        n_obs, s, dx = self.x.shape
        names = distinct_columns(("obs", "draw", "log_prob", *self.extra), y=self.y_names, x=self.x_names)
        y = {
            name: np.repeat(column_outside(column, labels), s)
            for name, column, labels in zip(names["y"], self.y.T, self.y_labels)
        }
        x = dict(zip(names["x"], self.x.reshape(-1, dx).T))
        return {
            "obs": np.repeat(np.arange(obs, obs + n_obs), s),
            **y,
            "draw": np.tile(np.arange(draw, draw + s), n_obs),
            **x,
            "log_prob": self.log_prob.ravel(),
            **{name: v.ravel() for name, v in self.extra.items()},
        }

    def _save_long(self, path: Path) -> None:
        write_table(path, self.columns(), self.note())

    @classmethod
    def _load_long(cls, path: Path) -> PosteriorSet:
        table, note = read_table(path, WHAT)
        order = list(table)
        if not {"obs", "draw", "log_prob"} <= set(order) or order[0] != "obs":
            raise DataError(
                f"expected a {WHAT} with the columns obs, y.., draw, x.., log_prob, "
                f"got {path} with {', '.join(order[:8])}; is it another kind of file?"
            )
        at_draw, at_log_prob = order.index("draw"), order.index("log_prob")
        y_columns, x_columns = order[1:at_draw], order[at_draw + 1 : at_log_prob]
        n_obs, s = int(table["obs"][-1]) + 1, int(table["draw"][-1]) + 1
        rows = len(table["obs"])  # before anything of the size that they claim is made
        grid = np.divmod(np.arange(rows), s) if rows == n_obs * s else (None, None)
        if not (np.array_equal(table["obs"], grid[0]) and np.array_equal(table["draw"], grid[1])):
            raise DataError(
                f"expected {n_obs} x {s} rows in order of obs and draw, got {path} with "
                f"{rows}; rows were taken out or moved"
            )
        y = {name: table[name][::s] for name in y_columns}
        meta = known_format(path, note.get("meta", {}))
        found = meta.pop("y_labels", None) or [  # CSV: the labels that occur
            sorted(set(column.tolist())) if column.dtype.kind == "U" else None for column in y.values()
        ]
        labels = tuple(None if entry is None else tuple(entry) for entry in found)
        codes = [column_codes(column, entry) for column, entry in zip(y.values(), labels)]
        return cls(
            np.stack([table[name] for name in x_columns], axis=-1).reshape(n_obs, s, len(x_columns)),
            table["log_prob"].reshape(n_obs, s),
            np.array(codes).T.reshape(n_obs, len(y)),
            note.get("x_names", x_columns),
            note.get("y_names", y_columns),
            labels,
            meta,
            {name: table[name].reshape(n_obs, s) for name in order[at_log_prob + 1 :]},
        )


def known_format(path: Path, meta: dict) -> dict:
    """`meta` of a set in a format that is ours. Raises: DataError for a newer one."""
    if not isinstance(meta, dict):
        raise ValueError("its meta is no mapping")
    version = meta.pop("format", FORMAT)
    if version != FORMAT:
        raise DataError(f"{path} is a {WHAT} of format {version!r}, this inn reads {FORMAT}; upgrade inn")
    return meta


def _text(names: tuple[str, ...]) -> np.ndarray:
    # an empty tuple would become an array of floats
    return np.array(names, dtype=np.str_)
