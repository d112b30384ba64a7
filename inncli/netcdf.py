"""A posterior set as NetCDF in ArviZ's layout: `arviz.from_netcdf(path)` reads it.

    posterior       one variable an unknown, (chain, draw), or (chain, draw, obs) of several observations
    sample_stats    lp = log_prob, and extras, of the same shape
    observed_data   one variable a column of y, (obs,); labels as text

The draws are independent, hence one chain. Reference: Kumar et al. 2019, ArviZ, a unified library for
exploratory analysis of Bayesian models in Python, JOSS 4(33), 1143.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inncli.arrays import absent, column_codes, column_outside, distinct_columns, labels_of, unreadable
from inncli.files import atomic_path

if TYPE_CHECKING:
    from inncli.posterior import PosteriorSet

MOST, RATIO = 256 * 2**20, 100  # bytes that a variable may unpack to, or so many times the file
_AXES = ("chain", "draw", "obs")


def write(path: Path, draws: PosteriorSet) -> None:
    """Writes `draws` to `path`, whole or not at all."""
    import h5netcdf

    names = _variables(draws.x_names, draws.y_names)
    note = {"x_names": draws.x_names, "y_names": draws.y_names, "y_labels": draws.y_labels,
            "meta": draws.meta}
    image = io.BytesIO()  # in memory first: HDF5 ends the process with a segmentation fault on a full disk
    with h5netcdf.File(image, "w") as file:
        file.attrs["inn"] = json.dumps(note)
        posterior = _group(file, "posterior", draws)
        for i, name in enumerate(names["x"]):
            _draws(posterior, name, draws.x[..., i])
        stats = _group(file, "sample_stats", draws)
        for name, value in {"lp": draws.log_prob, **draws.extra}.items():
            _draws(stats, name, value)
        observed = _group(file, "observed_data", draws, axes=("obs",))
        for name, column, labels in zip(names["y"], draws.y.T, draws.y_labels):
            outside = column_outside(column, labels)
            if labels is None:
                observed.create_variable(name, ("obs",), data=outside)
            else:
                import h5py
                text = observed.create_variable(name, ("obs",), dtype=h5py.string_dtype())
                text[...] = outside.astype(object)
    with atomic_path(path) as tmp, open(tmp, "wb") as out:
        out.write(image.getbuffer())


def read(path: Path) -> PosteriorSet:
    """The set that `write` wrote."""
    import h5netcdf

    from inncli.posterior import WHAT, PosteriorSet, known_format

    try:
        with h5netcdf.File(path, "r") as file:
            _check_plain(file)
            note = json.loads(file.attrs["inn"])
            known_format(path, note["meta"])
            posterior, stats = file.groups["posterior"], file.groups["sample_stats"]
            observed = file.groups["observed_data"]
            names = _variables(note["x_names"], note["y_names"])
            x = np.stack([_read(posterior[name]) for name in names["x"]], axis=-1)
            labels = labels_of(note["y_labels"], np.empty((0, len(note["y_names"]))))
            y = [column_codes(_text(observed[name]), entry) for name, entry in zip(names["y"], labels)]
            extra = {name: _read(stats[name]) for name in stats.variables if name not in ("lp", *_AXES)}
            return PosteriorSet(x, _read(stats["lp"]), np.array(y).T.reshape(len(x), len(y)),
                                note["x_names"], note["y_names"], labels, note["meta"], extra)
    except FileNotFoundError:
        raise absent(path, WHAT) from None
    except (OSError, KeyError) as error:
        raise unreadable(path, WHAT, error) from None


def _check_plain(file) -> None:
    """Raises ValueError for an HDF5 file that leads to other files, or declares more than it holds."""
    import h5py

    size = Path(file.filename).stat().st_size

    def visit(group: h5py.Group, depth: int = 0) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name} is a link")
            if depth > 3:  # a group may hold itself
                raise ValueError(f"{name} lies too deep")
            entry = group[name]
            if isinstance(entry, h5py.Group):
                visit(entry, depth + 1)
            elif entry.external or entry.is_virtual or entry.nbytes > max(MOST, RATIO * size):
                raise ValueError(f"{name} lies in another file, or declares {entry.nbytes:,} bytes of {size:,}")

    visit(file._h5file)


def _variables(x_names: tuple[str, ...], y_names: tuple[str, ...]) -> dict[str, list[str]]:
    # "/" would make a group; a variable named as an axis would be taken for its coordinate
    return {letter: distinct_columns(_AXES, **{letter: [name.replace("/", "_") for name in names]})[letter]
            for letter, names in (("x", x_names), ("y", y_names))}


def _group(file, name: str, draws: PosteriorSet, axes: tuple[str, ...] = _AXES):
    sizes = {"chain": 1, "draw": draws.n_draws, "obs": draws.n_obs}
    if axes == _AXES and draws.n_obs == 1:
        axes = ("chain", "draw")
    group = file.create_group(name)
    group.attrs["inference_library"] = "inn"
    group.dimensions = {axis: sizes[axis] for axis in axes}
    for axis in axes:
        group.create_variable(axis, (axis,), data=np.arange(sizes[axis]))
    return group


def _draws(group, name: str, values: np.ndarray) -> None:
    """values (n_obs, S) as (chain, draw[, obs])."""
    if "obs" in group.dimensions:
        group.create_variable(name, _AXES, data=values.T[None], fletcher32=True)  # a checksum a chunk
    else:
        group.create_variable(name, ("chain", "draw"), data=values, fletcher32=True)


def _read(variable) -> np.ndarray:
    values = variable[...]
    return values if values.ndim == 2 else values[0].T


def _text(variable) -> np.ndarray:
    values = variable[...]
    return values if values.dtype.kind == "f" else \
        np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values.ravel()], dtype=np.str_)
