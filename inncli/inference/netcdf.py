"""A posterior set as NetCDF in ArviZ's layout: `arviz.from_netcdf(path)` reads it.

    posterior       one variable an unknown, (chain, draw), or (chain, draw, obs) of several observations
    sample_stats    lp = log_prob, and extras, of the same shape
    observed_data   one variable a column of y, (obs,); labels as text

The draws are independent, hence one chain. Reference: Kumar et al. 2019, ArviZ, a unified library for
exploratory analysis of Bayesian models in Python, JOSS 4(33), 1143.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import h5netcdf
import h5py
import numpy as np

from inncli.inference.posterior_set import WHAT, PosteriorSet, known_format
from inncli.io.hdf5_sink import Hdf5Sink
from inncli.io.streams import whole
from inncli.io.tables import absent, column_codes, column_outside, distinct_columns, labels_of, unreadable
from inncli.io.untrusted import check_regular, parse_json
from inncli.io.untrusted_hdf5 import check_plain, read_texts

_AXES = ("chain", "draw", "obs")


def write(path: Path, draws: PosteriorSet) -> None:
    """Writes `draws` to `path`, whole or not at all."""
    with stream(path, draws, draws.y, draws.n_draws) as add:
        add(0, 0, draws)


@contextlib.contextmanager
def stream(
    path: Path, first: PosteriorSet, y: np.ndarray, n_draws: int
) -> Iterator[Callable[[int, int, PosteriorSet], None]]:
    """Gives add(obs, draw, part), which writes a part of a set to its place; the file appears whole or not at all.

    Args:
        path: the file.
        first: any part of the set; its names and meta are written.
        y: the observations of the whole set, (n_obs, Dy).
        n_draws: draws of each observation in the whole set.
    """
    names = _variables(first.x_names, first.y_names)
    note = {"x_names": first.x_names, "y_names": first.y_names, "y_labels": first.y_labels, "meta": first.meta}
    with whole(path) as tmp, _written(tmp) as (file, sink):
        file.attrs["inn"] = json.dumps(note)
        posterior = _group(file, "posterior", len(y), n_draws)
        for name in names["x"]:
            _create(posterior, name)
        stats = _group(file, "sample_stats", len(y), n_draws)
        for name in ("lp", *first.extra):
            _create(stats, name)
        observed = _group(file, "observed_data", len(y), n_draws, axes=("obs",))
        for name, column, labels in zip(names["y"], y.T, first.y_labels, strict=True):
            outside = column_outside(column, labels)
            if labels is None:
                observed.create_variable(name, ("obs",), data=outside)
            else:
                text = observed.create_variable(name, ("obs",), dtype=h5py.string_dtype())
                text[...] = outside.astype(object)

        def add(obs: int, draw: int, part: PosteriorSet) -> None:
            for i, name in enumerate(names["x"]):
                _draws(posterior, name, obs, draw, part.x[..., i])
            for name, value in {"lp": part.log_prob, **part.extra}.items():
                _draws(stats, name, obs, draw, value)
            sink.check()

        yield add


@contextlib.contextmanager
def _written(tmp: Path) -> Iterator[tuple[h5netcdf.File, Hdf5Sink]]:
    """A new file, and what HDF5 writes it to. Raises: OSError if not all of it could be written."""
    with Hdf5Sink(tmp) as sink:
        with h5netcdf.File(sink, "w") as file:
            yield file, sink
        sink.check()


def read(path: Path) -> PosteriorSet:
    """The set that `write` wrote.

    Raises: DataError if the file is missing, or damaged; ValueError if it is not a posterior set.
    """
    try:
        check_regular(path)
        with h5py.File(path, "r") as raw, h5netcdf.File(raw, "r") as file:
            check_plain(raw)
            note = parse_json(file.attrs["inn"])
            known_format(path, note["meta"])
            posterior, stats = file.groups["posterior"], file.groups["sample_stats"]
            names = _variables(note["x_names"], note["y_names"])
            x = np.stack([_read(posterior[name]) for name in names["x"]], axis=-1)
            labels = labels_of(note["y_labels"], np.empty((0, len(note["y_names"]))))
            y = [
                column_codes(_read_y(raw["observed_data"][name]), entry)
                for name, entry in zip(names["y"], labels, strict=True)
            ]
            extra = {name: _read(stats[name]) for name in stats.variables if name not in ("lp", *_AXES)}
            return PosteriorSet(
                x,
                _read(stats["lp"]),
                np.array(y).T.reshape(len(x), len(y)),
                note["x_names"],
                note["y_names"],
                labels,
                note["meta"],
                extra,
            )
    except FileNotFoundError:
        raise absent(path, WHAT) from None
    except (OSError, KeyError, RuntimeError) as error:  # HDF5 raises all three for damage
        raise unreadable(path, WHAT, error) from None


def _variables(x_names: tuple[str, ...], y_names: tuple[str, ...]) -> dict[str, list[str]]:
    # A variable with the name of an axis would be its coordinate.
    return {
        letter: distinct_columns(_AXES, **{letter: [_plain(name) for name in names]})[letter]
        for letter, names in (("x", x_names), ("y", y_names))
    }


def _plain(name: str) -> str:
    """A name that a variable may have: a "/" would make a group, and a "." alone is the group that it is in."""
    return "_" if name == "." else name.replace("/", "_")


def _group(file: h5netcdf.File, name: str, n_obs: int, n_draws: int, axes: tuple[str, ...] = _AXES) -> h5netcdf.Group:
    """A new group with its axes and their coordinates 0, 1, ..."""
    sizes = {"chain": 1, "draw": n_draws, "obs": n_obs}
    if axes == _AXES and n_obs == 1:
        axes = ("chain", "draw")
    group = file.create_group(name)
    group.attrs["inference_library"] = "inn"
    group.dimensions = {axis: sizes[axis] for axis in axes}
    for axis in axes:
        numbers = group.create_variable(axis, (axis,), dtype="i8")
        for start in range(0, sizes[axis], 1 << 20):
            numbers[start : start + (1 << 20)] = np.arange(start, min(start + (1 << 20), sizes[axis]))
    return group


def _create(group: h5netcdf.Group, name: str) -> None:
    axes = _AXES if "obs" in group.dimensions else _AXES[:2]
    group.create_variable(name, axes, dtype="f8", fletcher32=True)  # a checksum a chunk


def _draws(group: h5netcdf.Group, name: str, obs: int, draw: int, values: np.ndarray) -> None:
    """Writes values (n_obs, S) to their place in a variable (chain, draw[, obs])."""
    draws = slice(draw, draw + values.shape[1])
    if "obs" in group.dimensions:
        group[name][0, draws, obs : obs + len(values)] = values.T
    else:
        group[name][0, draws] = values[0]


def _read(variable: h5netcdf.Variable) -> np.ndarray:
    """Values (chain, draw[, obs]) as (n_obs, S)."""
    values: np.ndarray = variable[...]
    return values if values.ndim == 2 else values[0].T


def _read_y(column: h5py.Dataset) -> np.ndarray:
    """A column of y: numbers as they are, labels as text."""
    if h5py.check_string_dtype(column.dtype) is not None:
        return read_texts(column)
    values: np.ndarray = column[...]
    return values
