"""What `inn sample` and `inn density` write: draws without an observation, and points with log densities."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inncli.io.streams import npz_writer, table_writer
from inncli.io.tables import (
    Labels,
    check_suffix,
    column_outside,
    distinct_columns,
    labels_of,
    matrix,
    names_of,
    to_outside,
    write_npz,
    write_table,
)
from inncli.numerics.statistics import statistics
from inncli.variables import Circle

SUFFIXES = (".npz", ".csv", ".parquet")


@dataclass
class SampleSet:
    """Draws from p(x), or pairs: y from the training ys and x from p(x|y).

    Shape: x (n, Dx); y (n, Dy) or None, a categorical column in codes; `circles`, those of the columns of x, tell the
    summary.
    """

    x: np.ndarray
    y: np.ndarray | None
    x_names: tuple[str, ...]
    y_names: tuple[str, ...] = ()
    y_labels: Labels = ()
    circles: tuple[Circle | None, ...] = ()

    def __post_init__(self) -> None:
        self.x = matrix("x", self.x, (None, None), "(n, Dx)")
        self.x_names = names_of("x", self.x_names, self.x.shape[1])
        if self.y is not None:
            self.y = matrix("y", self.y, (len(self.x), None), f"({len(self.x)}, Dy), one row a draw")
            self.y_names = names_of("y", self.y_names, self.y.shape[1])
            self.y_labels = labels_of(self.y_labels, self.y)

    def save(self, path: str | Path) -> Path:
        """Writes .npz (x, y, x_names, y_names), .csv or .parquet (columns of y, then of x)."""
        path = Path(path)
        if check_suffix(path, SUFFIXES) == ".npz":
            write_npz(path, {**self.arrays(), **self.names()})
        else:
            write_table(path, _columns(self), {})
        return path

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers of an .npz: x and, if there is one, y."""
        return {"x": self.x} if self.y is None else {"x": self.x, "y": to_outside(self.y, self.y_labels)}

    def names(self) -> dict[str, np.ndarray]:
        """The names of an .npz: x_names and, if there is a y, y_names."""
        y = {} if self.y is None else {"y_names": np.array(self.y_names, dtype=np.str_)}
        return {"x_names": np.array(self.x_names, dtype=np.str_), **y}

    def numbers(self) -> dict[str, np.ndarray]:
        """The columns of numbers by name: those of x, and those of y without labels."""
        y = () if self.y is None else zip(self.y_names, self.y.T, self.y_labels, strict=True)
        columns = dict(zip(self.x_names, self.x.T, strict=True))
        return {**columns, **{name: column for name, column, labels in y if labels is None and name not in columns}}

    @property
    def circle_by_name(self) -> dict[str, Circle | None]:
        """The circle of each column of x, by its name."""
        return dict(zip(self.x_names, self.circles, strict=False))  # none are given where no column has one

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, sd, q05, q50 and q95 of each column of numbers; a column of labels has none."""
        circles = self.circle_by_name
        return {
            name: {key: float(value) for key, value in statistics(column, on=circles.get(name)).items()}
            for name, column in self.numbers().items()
        }


@contextlib.contextmanager
def stream(path: Path, first: SampleSet, n: int) -> Iterator[Callable[[int, int, SampleSet], None]]:
    """Gives add(obs, draw, part), which writes a part of a set; parts come in order.

    The file appears whole or not at all.

    Args:
        path: the file.
        first: the first part; its names are written.
        n: draws in the whole set.
    """
    if path.suffix.lower() != ".npz":
        with table_writer(path, {}) as write:
            yield lambda obs, draw, part: write(_columns(part))
        return
    # As in a set written at once, all of y is text if a column has labels; 24 letters hold any number.
    widest = max((len(label) for entry in first.y_labels for label in entry or ()), default=0)
    text = np.dtype(f"U{max(widest, 24)}") if widest else np.dtype(np.float64)
    kinds: dict[str, tuple[tuple[int, ...], np.dtype]] = {
        name: ((n, value.shape[1]), text if name == "y" else np.dtype(np.float64))
        for name, value in first.arrays().items()
    }
    with npz_writer(path, kinds, first.names()) as write:
        yield lambda obs, draw, part: write(part.arrays())


@dataclass
class DensitySet:
    """Points and the log density of each in the user's units, given y where the model has one.

    Shape: x (n, Dx); log_prob (n,); y (n, Dy) or None, a categorical column in codes.
    """

    x: np.ndarray
    log_prob: np.ndarray
    x_names: tuple[str, ...]
    y: np.ndarray | None = None
    y_names: tuple[str, ...] = ()
    y_labels: Labels = ()

    def __post_init__(self) -> None:
        pairs = SampleSet(self.x, self.y, self.x_names, self.y_names, self.y_labels)
        self.x, self.y, self.x_names, self.y_names, self.y_labels = (
            pairs.x,
            pairs.y,
            pairs.x_names,
            pairs.y_names,
            pairs.y_labels,
        )
        self.log_prob = matrix("log_prob", self.log_prob, (len(self.x),), f"({len(self.x)},), one a point")

    def save(self, path: str | Path) -> Path:
        """Writes .npz (x, log_prob, x_names, and y, y_names), .csv or .parquet (y.., x.., log_prob)."""
        path = Path(path)
        if check_suffix(path, SUFFIXES) == ".npz":
            arrays = {"x": self.x, "log_prob": self.log_prob, "x_names": np.array(self.x_names, dtype=np.str_)}
            if self.y is not None:
                arrays |= {"y": to_outside(self.y, self.y_labels), "y_names": np.array(self.y_names, dtype=np.str_)}
            write_npz(path, arrays)
        else:
            write_table(path, {**_columns(self, "log_prob"), "log_prob": self.log_prob}, {})
        return path


def _columns(draws: SampleSet | DensitySet, *reserved: str) -> dict[str, np.ndarray]:
    """The columns of y, then of x, by name; labels as the user writes them."""
    names = distinct_columns(reserved, y=draws.y_names, x=draws.x_names)
    y = [] if draws.y is None else [column_outside(*pair) for pair in zip(draws.y.T, draws.y_labels, strict=True)]
    # Without y there are no columns of y, whatever names are given.
    return {**dict(zip(names["y"], y, strict=False)), **dict(zip(names["x"], draws.x.T, strict=True))}
