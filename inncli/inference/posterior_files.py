"""The files of a posterior set: one entry of FORMATS a suffix, and `save` and `load`, which choose by it.

`.npz` holds the arrays as they are; `.csv` and `.parquet` are in long form, a row a draw; `.nc` is NetCDF in ArviZ's
layout. All but CSV give back exactly what was saved; CSV has no place for `meta` and keeps names, numbers and labels
only. A set appears whole or not at all, also where it is written part by part.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inncli.errors import DataError, ShapeError
from inncli.inference import netcdf
from inncli.inference.posterior_set import WHAT, PosteriorSet, known_format
from inncli.io.streams import npz_writer, table_writer
from inncli.io.tables import (
    check_suffix,
    column_codes,
    column_outside,
    distinct_columns,
    labels_of,
    read_npz,
    read_table,
    to_codes,
    to_outside,
    unreadable,
    write_npz,
    write_table,
)
from inncli.io.untrusted import parse_json

Add = Callable[[int, int, PosteriorSet], None]

_ARRAYS = ("x", "log_prob", "y", "x_names", "y_names", "meta")  # of an .npz; whatever else it holds is an extra


class Format(NamedTuple):
    """How a set is read, written at once, and written in parts.

    Attributes:
        read: the set in the file of this path.
        write: writes a set to this path.
        stream: of path, first part, y (n_obs, Dy) and draws of each y: gives add(obs, draw, part), where obs and draw
            are the numbers of the part's first ones. Parts come in order.
    """

    read: Callable[[Path], PosteriorSet]
    write: Callable[[Path, PosteriorSet], None]
    stream: Callable[[Path, PosteriorSet, np.ndarray, int], AbstractContextManager[Add]]


def save(draws: PosteriorSet, path: str | Path) -> Path:
    """Writes the set, whole or not at all, in the format of the suffix; returns its path.

    Raises:
        RequestError: an unknown suffix.
    """
    path = Path(path)
    FORMATS[check_suffix(path, SUFFIXES)].write(path, draws)
    return path


def load(path: str | Path) -> PosteriorSet:
    """Reads a set that `save` wrote.

    Raises:
        RequestError: an unknown suffix.
        DataError: the file is not there, damaged, or not a posterior set.
    """
    path = Path(path)
    read = FORMATS[check_suffix(path, SUFFIXES)].read
    try:
        return read(path)
    except (ShapeError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        # what was read doesn't make a set: say which file
        raise unreadable(path, WHAT, error) from None


# ---- npz ---------------------------------------------------------------------------------------------
def _read_npz(path: Path) -> PosteriorSet:
    arrays = read_npz(path, WHAT, _ARRAYS)
    meta = known_format(path, parse_json(str(arrays["meta"])))
    labels = labels_of(meta.pop("y_labels", ()), np.empty((0, len(arrays["y_names"]))))
    return PosteriorSet(
        arrays["x"],
        arrays["log_prob"],
        to_codes(arrays["y"], labels),
        arrays["x_names"].tolist(),
        arrays["y_names"].tolist(),
        labels,
        meta,
        {name: value for name, value in arrays.items() if name not in _ARRAYS},
    )


def _write_npz(path: Path, draws: PosteriorSet) -> None:
    write_npz(path, {"x": draws.x, "log_prob": draws.log_prob, **_heading(draws, draws.y), **draws.extra})


@contextlib.contextmanager
def _stream_npz(path: Path, first: PosteriorSet, y: np.ndarray, n_draws: int) -> Iterator[Add]:
    per_draw = ((len(y), n_draws), np.float64)
    kinds = {
        "x": ((len(y), n_draws, first.x.shape[2]), np.float64),
        **dict.fromkeys(("log_prob", *first.extra), per_draw),
    }
    with npz_writer(path, kinds, _heading(first, y)) as write:
        yield lambda obs, draw, part: write({"x": part.x, "log_prob": part.log_prob, **part.extra})


def _heading(draws: PosteriorSet, y: np.ndarray) -> dict[str, np.ndarray]:
    """What an .npz says of the draws at the rows of y: y, names, meta."""
    return {
        "y": to_outside(y, draws.y_labels),
        # with a type, since an empty tuple would become an array of floats
        "x_names": np.array(draws.x_names, dtype=np.str_),
        "y_names": np.array(draws.y_names, dtype=np.str_),
        "meta": np.array(json.dumps(_meta_outside(draws))),
    }


def _meta_outside(draws: PosteriorSet) -> dict:
    # The codes of y need their labels in order, and only those who have labels see the key.
    labels = {"y_labels": draws.y_labels} if any(draws.y_labels) else {}
    return {**draws.meta, **labels}


# ---- CSV and Parquet ---------------------------------------------------------------------------------
def _read_table(path: Path) -> PosteriorSet:
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
    return PosteriorSet(
        np.stack([table[name] for name in x_columns], axis=-1).reshape(n_obs, s, len(x_columns)),
        table["log_prob"].reshape(n_obs, s),
        np.array(codes).T.reshape(n_obs, len(y)),
        note.get("x_names", x_columns),
        note.get("y_names", y_columns),
        labels,
        meta,
        {name: table[name].reshape(n_obs, s) for name in order[at_log_prob + 1 :]},
    )


def _write_table(path: Path, draws: PosteriorSet) -> None:
    write_table(path, _columns(draws), _note(draws))


@contextlib.contextmanager
def _stream_table(path: Path, first: PosteriorSet, y: np.ndarray, n_draws: int) -> Iterator[Add]:
    with table_writer(path, _note(first)) as write:
        yield lambda obs, draw, part: write(_columns(part, obs, draw))


def _columns(draws: PosteriorSet, obs: int = 0, draw: int = 0) -> dict[str, np.ndarray]:
    """Long form: obs, the columns of y, draw, the columns of x, log_prob, extras.

    `draw` stands between y and x, so that a file without metadata says which is which. A name in
    use elsewhere in the table is written `x.<name>` or `y.<name>`.

    Args:
        obs, draw: the numbers of the first ones, where this set is a part of a larger one.
    """
    n_obs, s, dx = draws.x.shape
    names = distinct_columns(("obs", "draw", "log_prob", *draws.extra), y=draws.y_names, x=draws.x_names)
    y = {
        name: np.repeat(column_outside(column, labels), s)
        for name, column, labels in zip(names["y"], draws.y.T, draws.y_labels)
    }
    x = dict(zip(names["x"], draws.x.reshape(-1, dx).T))
    return {
        "obs": np.repeat(np.arange(obs, obs + n_obs), s),
        **y,
        "draw": np.tile(np.arange(draw, draw + s), n_obs),
        **x,
        "log_prob": draws.log_prob.ravel(),
        **{name: value.ravel() for name, value in draws.extra.items()},
    }


def _note(draws: PosteriorSet) -> dict:
    """What the metadata of a Parquet file says of the draws."""
    return {"x_names": draws.x_names, "y_names": draws.y_names, "meta": _meta_outside(draws)}


_TABLE = Format(_read_table, _write_table, _stream_table)
FORMATS = {
    ".npz": Format(_read_npz, _write_npz, _stream_npz),
    ".csv": _TABLE,
    ".parquet": _TABLE,
    ".nc": Format(netcdf.read, netcdf.write, netcdf.stream),
}
SUFFIXES = tuple(FORMATS)
