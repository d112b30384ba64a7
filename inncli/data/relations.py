r"""Columns of x that follow from others exactly: shares that sum to one, a copy, another unit.

.. math:: x_j = c_j + \sum_{i \in \text{free}} w_{ji} x_i \quad \text{in every row, up to the rounding of the record}

Such a column has no density beside the others. A model learns the free columns; draws are completed by the relations,
so that they satisfy them, and a density is that of the free columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from inncli.data.columns import more_than_32_bits, off_grid
from inncli.variables import Variables

MOST_COLUMNS = 500
SAMPLED = 5_000  # rows by which relations are found; all rows must satisfy them
Found = tuple[float, np.ndarray, float]  # constant, weights (Dx,), slack
_LOOSE = 0.1  # of a column's sd: the most that rounding may take
_DECIMALS = 9


@dataclass(frozen=True)
class Relations:
    """The dependent columns of x.

    Args:
        columns: all columns of x, in the user's order.
        dependent: their positions.
        constants: c of each.
        weights: w of each, one number for each free column, in order.
        slack: how far from its relation a recorded value may lie, in the column's unit.
    """

    columns: Variables
    dependent: tuple[int, ...]
    constants: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    slack: tuple[float, ...]

    def __post_init__(self) -> None:
        r, d = len(self.dependent), self.columns.dim
        numbers = [*self.constants, *self.slack, *(w for row in self.weights for w in row)]
        if not (
            len(self.constants) == len(self.weights) == len(self.slack) == r
            and all(len(row) == d - r for row in self.weights)
            and len(set(self.dependent)) == r < d
            and all(type(j) is int and 0 <= j < d for j in self.dependent)
            and all(type(n) in (int, float) and np.isfinite(n) for n in numbers)
        ):
            raise ValueError("relations that don't fit the columns of x")

    @property
    def free(self) -> tuple[int, ...]:
        """Positions of the free columns."""
        return tuple(i for i in range(self.columns.dim) if i not in self.dependent)

    @property
    def free_columns(self) -> Variables:
        """What is known of the free columns."""
        whole = {field.name: getattr(self.columns, field.name) for field in fields(Variables)}
        parts: dict[str, Any] = {
            key: tuple(value[i] for i in self.free)
            for key, value in whole.items()
            if isinstance(value, tuple) and len(value) == self.columns.dim
        }
        return replace(self.columns, **parts)

    def take(self, x: np.ndarray) -> np.ndarray:
        """The free columns of rows. Shape: (..., Dx) to (..., free)."""
        return x[..., self.free]

    def complete(self, free: np.ndarray) -> np.ndarray:
        """Rows with their dependent columns, rounded as they were recorded. Shape: (..., free) to (..., Dx)."""
        x = np.empty((*free.shape[:-1], self.columns.dim))
        x[..., self.free] = free
        for j, values, row in zip(self.dependent, self._values(free), self.weights, strict=True):
            x[..., j] = self._recorded(j, values, row) + 0.0  # -0.0 becomes 0.0
        return x

    def _recorded(self, j: int, values: np.ndarray, row: Sequence[float]) -> np.ndarray:
        """The values as they are recorded: rounded, where all columns that they follow from are."""
        step = self.columns.steps[j]
        if not step or not all(self.columns.steps[i] for i, weight in zip(self.free, row, strict=True) if weight):
            return values
        per_unit = round(1 / step)
        if abs(per_unit * step - 1) < 1e-9:  # .3, not 3 * .1
            return np.round(values * per_unit) / per_unit
        return np.round(values / step) * step

    def outside(self, x: np.ndarray) -> np.ndarray:
        """Rows in which a dependent column lies beyond its bounds. Shape: (..., Dx) to (...,) bool."""
        bad = np.zeros(x.shape[:-1], dtype=bool)
        for j in self.dependent:
            low, high = self.columns.cells[j]
            bad |= (x[..., j] < (-np.inf if low is None else low)) | (x[..., j] > (np.inf if high is None else high))
        return bad

    def broken(self, x: np.ndarray) -> np.ndarray:
        """Rows that don't satisfy the relations, up to the cells of all columns. Shape: (..., Dx) to (...,) bool."""
        bad = np.zeros(x.shape[:-1], dtype=bool)
        steps = np.array(self.columns.steps)[list(self.free)]
        for j, values, row, slack in zip(
            self.dependent, self._values(self.take(x)), self.weights, self.slack, strict=True
        ):
            cell = self.columns.steps[j] / 2 + np.abs(row) @ steps / 2
            bad |= ~(np.abs(x[..., j] - values) <= slack + cell)
        return bad

    def _values(self, free: np.ndarray) -> list[np.ndarray]:
        return [free @ np.array(row) + c for c, row in zip(self.constants, self.weights, strict=True)]

    def describe(self) -> list[str]:
        """Each relation as a formula: d = 100 - a - b - c."""
        names = [self.columns.names[i] for i in self.free]
        return [
            f"{self.columns.names[j]} = {_formula(c, dict(zip(names, row, strict=True)))}"
            for j, c, row in zip(self.dependent, self.constants, self.weights, strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; `from_dict` reads it back."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"columns": self.columns.to_dict()}

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Relations:
        """The inverse of `to_dict`, after a trip through JSON. Raises: ValueError, KeyError or TypeError."""
        weights = tuple(tuple(row) for row in d["weights"])
        dependent, constants, slack = (tuple(d[key]) for key in ("dependent", "constants", "slack"))
        return cls(Variables.from_dict(d["columns"]), dependent, constants, weights, slack)


def _formula(constant: float, weights: dict[str, float]) -> str:
    terms = [
        (weight < 0, name if abs(weight) == 1 else f"{abs(weight):.6g} {name}")
        for name, weight in weights.items()
        if weight
    ]
    if constant or not terms:
        terms.insert(0, (constant < 0, f"{abs(constant):.6g}"))
    first, *rest = terms
    return ("-" if first[0] else "") + first[1] + "".join(f" {'-' if minus else '+'} {term}" for minus, term in rest)


def find_relations(columns: Variables, x: np.ndarray) -> Relations | None:
    """The relations that all rows satisfy; None if there is none.

    Of the columns in a relation the last that the others give to within its own resolution is the dependent one, one
    on a circle only if all are: the model would not know that another goes round with it.

    Args:
        columns: what is known of the columns.
        x: rows, (n, Dx), finite, no column constant.

    Reference: Golub and Van Loan 2013, Matrix computations, section 5.5, on rank by orthogonal factors.
    """
    n, d = x.shape
    if d < 2 or d > MOST_COLUMNS or n < 2 * d + 5:
        return None
    mean, sd = x.mean(0), x.std(0)
    sample = (x[:: max(n // SAMPLED, 1)] - mean) / sd
    triangle = np.linalg.qr(sample, mode="r") / np.sqrt(len(sample))  # has the column's inner products
    _, size, axes = np.linalg.svd(triangle)
    near = axes[size < _LOOSE]
    if not len(near):
        return None
    part = np.abs(near).max(0) > 1e-3
    steps = np.array([_resolution(column, step) for column, step in zip(x.T, columns.steps, strict=True)])
    eps = [np.finfo(float if more_than_32_bits(column).any() else np.float32).eps for column in x.T]
    rounding = 4 * np.array(eps) * np.abs(x).max(0)  # of numbers with so many bits
    found: dict[int, Found] = {}
    for j in sorted(np.flatnonzero(part), key=lambda j: (columns.circles[j] is not None, -j)):
        others = [i for i in range(d) if i != j and i not in found]
        relation = _relation(x, int(j), others, triangle, sd, steps, rounding)
        if relation is not None:
            found[int(j)] = relation
    if not found:
        return None
    dependent = tuple(sorted(found))
    free = [i for i in range(d) if i not in found]
    weights = tuple(tuple(_eliminated(found, j)[1][free].tolist()) for j in dependent)
    constants = tuple(float(_eliminated(found, j)[0]) for j in dependent)
    return Relations(columns, dependent, constants, weights, tuple(float(found[j][2]) for j in dependent))


def _eliminated(found: dict[int, Found], j: int) -> tuple[float, np.ndarray]:
    """Constant and weights, (Dx,), of a relation in the free columns alone: others may have become dependent later."""
    constant, weights, _ = found[j]
    weights = weights.copy()
    while used := [i for i in found if weights[i]]:
        for i in used:
            constant += weights[i] * found[i][0]
            weights = weights + weights[i] * found[i][1] - weights[i] * np.eye(len(weights))[i]
    return constant, weights


def _resolution(values: np.ndarray, step: float) -> float:
    """The step at which a column was recorded or printed, 0 if there is none. Shape: values (n,)."""
    if step:
        return step
    some = values[:SAMPLED]
    return next(
        (10.0**-k for k in range(_DECIMALS + 1) if not off_grid(some, k).any() and not off_grid(values, k).any()), 0.0
    )


def _relation(
    x: np.ndarray,
    j: int,
    others: Sequence[int],
    triangle: np.ndarray,
    sd: np.ndarray,
    steps: np.ndarray,
    rounding: np.ndarray,
) -> Found | None:
    """(constant, weights (Dx,), slack) by which the others give column j in every row; None if they don't."""
    scaled = np.linalg.lstsq(triangle[:, others], triangle[:, j], rcond=1e-10)[0]
    used = [i for i, w in zip(others, scaled, strict=True) if abs(w) > 1e-3]
    if not used or len(x) < 2 * len(used) + 5:
        return None
    fit = np.linalg.lstsq(triangle[:, used], triangle[:, j], rcond=1e-10)[0] * sd[j] / sd[used]
    rest = x[:, j] - x[:, used] @ fit
    for unit in (rounding, np.maximum(rounding, 0.505 * steps)):  # half a step, and a little
        slack = min(unit[j] + unit[used] @ np.abs(fit), max(rounding[j], unit[j]) * (1 + len(used)))
        if slack > _LOOSE * sd[j] or np.ptp(rest) > 4 * slack:
            continue
        simple = _simplest(x[:, j], x[:, used], fit, slack)
        if simple is not None:
            weights = np.zeros(x.shape[1])
            weights[used] = simple[1]
            return simple[0], weights, float(slack)
    return None


def _simplest(column: np.ndarray, others: np.ndarray, fit: np.ndarray, slack: float) -> tuple[float, np.ndarray] | None:
    """The constant and weights with the fewest decimals by which all rows hold. Shape: (n,), (n, k), (k,)."""
    for weights in (*(np.round(fit, k) for k in range(_DECIMALS + 1)), fit):
        rest = column - others @ weights
        middle = float(rest.max() + rest.min()) / 2
        if weights.all() and np.abs(rest - middle).max() <= slack:
            rounded = (round(middle, k) for k in range(_DECIMALS + 1))
            return next((c for c in rounded if np.abs(rest - c).max() <= slack), middle), weights
    return None
