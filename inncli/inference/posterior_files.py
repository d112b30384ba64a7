"""The files of a posterior set: FORMATS has an entry for each suffix; `save` and `load` choose by it.

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
from typing import Any, NamedTuple

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
        read: read(path) gives the set in a file.
        write: write(path, draws) writes a set.
        stream: stream(path, first part, y, n_draws) gives add(obs, draw, part), which writes a part. y (n_obs, Dy) and
            n_draws, the draws of each y, are the whole set's; obs and draw are the numbers of the part's first
            observation and first draw. Parts come in order.
    """

    read: Callable[[Path], PosteriorSet]
    write: Callable[[Path, PosteriorSet], None]
    stream: Callable[[Path, PosteriorSet, np.ndarray, int], AbstractContextManager[Add]]


def save(draws: PosteriorSet, path: str | Path) -> Path:
    """Writes a set, whole or not at all, in the format of the suffix; returns its path.

    Args:
        draws: the set.
        path: the file; its suffix is a key of FORMATS.

    Raises:
        RequestError: an unknown suffix.
        OSError: the file can't be written.
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
        # what was read makes no set: the error names the file
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
    number = np.dtype(np.float64)
    per_draw: tuple[tuple[int, ...], np.dtype] = ((len(y), n_draws), number)
    kinds: dict[str, tuple[tuple[int, ...], np.dtype]] = {
        "x": ((len(y), n_draws, first.x.shape[2]), number),
        **dict.fromkeys(("log_prob", *first.extra), per_draw),
    }
    with npz_writer(path, kinds, _heading(first, y)) as write:
        yield lambda obs, draw, part: write({"x": part.x, "log_prob": part.log_prob, **part.extra})


def _heading(draws: PosteriorSet, y: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of an .npz beside the draws: y, names, meta."""
    return {
        "y": to_outside(y, draws.y_labels),
        # with a type, since an empty tuple would become an array of floats
        "x_names": np.array(draws.x_names, dtype=np.str_),
        "y_names": np.array(draws.y_names, dtype=np.str_),
        "meta": np.array(json.dumps(_meta_outside(draws))),
    }


def _meta_outside(draws: PosteriorSet) -> dict[str, Any]:
    # The codes of y are positions in the labels, so the labels are kept in order. Sets without labels lack the key.
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
    grid = np.divmod(np.arange(rows), s) if rows == n_obs * s else None
    if grid is None or not (np.array_equal(table["obs"], grid[0]) and np.array_equal(table["draw"], grid[1])):
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
    codes = [column_codes(column, entry) for column, entry in zip(y.values(), labels, strict=True)]
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

    The column `draw` separates y from x, so that a file without metadata tells them apart. A name that another column
    has too is written `x.<name>` or `y.<name>`.

    Args:
        draws: the set, or a part of one.
        obs: the number of its first observation in the whole set.
        draw: the number of its first draw in the whole set.
    """
    n_obs, s, dx = draws.x.shape
    names = distinct_columns(("obs", "draw", "log_prob", *draws.extra), y=draws.y_names, x=draws.x_names)
    y = {
        name: np.repeat(column_outside(column, labels), s)
        for name, column, labels in zip(names["y"], draws.y.T, draws.y_labels, strict=True)
    }
    x = dict(zip(names["x"], draws.x.reshape(-1, dx).T, strict=True))
    return {
        "obs": np.repeat(np.arange(obs, obs + n_obs), s),
        **y,
        "draw": np.tile(np.arange(draw, draw + s), n_obs),
        **x,
        "log_prob": draws.log_prob.ravel(),
        **{name: value.ravel() for name, value in draws.extra.items()},
    }


def _note(draws: PosteriorSet) -> dict[str, Any]:
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
