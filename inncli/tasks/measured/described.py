"""What the columns of a table say of themselves, and what a config says of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inncli.data import columns
from inncli.data.cells import is_number, not_a_number, odd_cells
from inncli.data.observations import label_text
from inncli.data.tables import RawTable
from inncli.errors import ConfigError, DataError, did_you_mean
from inncli.tasks.measured.roles import Source
from inncli.variables import Bound, Circle, Variables

LARGEST = 1e30  # squares of larger numbers overflow a 32-bit float
MANY_LABELS = 20
FEW_ODD = 0.1  # share of cells of text below which a column counts as one of numbers


def as_numbers(raw: Source, letter: str, name: str, column: np.ndarray, advice: str = "") -> np.ndarray:
    """A column as float64, (n,). Raises: DataError for text, and for numbers too large to be squared.

    Args:
        raw: the table, for an error.
        letter: x or y, for an error.
        name: the column's name.
        column: its values, (n,).
        advice: what else the user can do about text, where there may be some.
    """
    if column.dtype == object:
        row = next(iter(odd_cells(column)), 0)
        kind, mend = not_a_number(column[row])
        raise DataError(
            f"{letter} column {name!r} of {raw.path.name} holds {kind} ({column[row]!r} in row {row + 1} of "
            f"those used), a number was expected; {mend} or {advice}"
        )
    values = column.astype(np.float64)
    if np.abs(values).max() > LARGEST:
        raise DataError(
            f"{letter} column {name!r} of {raw.path.name} reaches {np.abs(values).max():g}, beyond "
            f"{LARGEST:g}; give it in a larger unit, or name it in task.missing_values if it stands for none"
        )
    return values


def x_variables(
    raw: Source,
    names: tuple[str, ...],
    values: Sequence[np.ndarray],
    margin: float,
    x_bounds: dict[str, list[float | None]],
    steps: dict[str, float],
    circles: dict[str, Circle],
) -> Variables:
    """What is known of the columns of x: bounds, resolution, point masses, circles.

    Args:
        raw: the table, for an error.
        names: its columns of x.
        values: of each, (n,).
        margin: how far beyond the range of its values the bounds of a column reach, in widths of that range.
        x_bounds: name -> (low, high) instead.
        steps: name -> resolution instead of the one found.
        circles: name -> the two ends that are one point.

    Raises: ConfigError for a name that is not in x, or an odd setting; DataError for values outside.
    """
    for key, given in (("x_bounds", x_bounds), ("steps", steps), ("periodic", circles)):
        for name in given:
            if name not in names:
                raise ConfigError(f"task.{key} names {name!r}, which is not in x{did_you_mean(name, names)}")
    for name, step in steps.items():
        if not 0 <= step < np.inf:
            raise ConfigError(f"task.steps.{name} must be 0 (continuous) or a step above it, got {step}")
    bounds: list[Bound] = []
    grid, heaps = [], []
    for name, column in zip(names, values, strict=True):
        on = circles.get(name)
        step = float(steps.get(name, columns.circle_step(column, on) if on else columns.recording_step(column)))
        grid.append(step)
        # A column that the user calls continuous (step 0) has no cells that a heap could fill.
        heaps.append(columns.heaps(column) if step and not on else ())
        if on:
            bounds.append(_given_box(raw, name, column, on, "periodic"))
        elif name in x_bounds:
            bounds.append(_given_box(raw, name, column, x_bounds[name]))
        else:
            bounds.append(columns.box(column, margin, step))
    periods = [circles[name][1] - circles[name][0] if name in circles else None for name in names]
    return Variables(names, tuple(bounds), tuple(grid), tuple(heaps), periods=tuple(periods))


def circles_of(x_bounds: dict[str, list[float | None]], periodic: dict[str, list[float]]) -> dict[str, Circle]:
    """The circles that a config names. Raises: ConfigError for what is none, or has other bounds."""
    for name, ends in periodic.items():
        if len(ends) != 2 or not -np.inf < ends[0] < ends[1] < np.inf:
            raise ConfigError(f"task.periodic.{name} must be [low, high] with low < high, got {ends}")
        if list(x_bounds.get(name, ends)) != list(ends):
            raise ConfigError(
                f"task.x_bounds.{name} is {x_bounds[name]}, task.periodic.{name} is {ends}; leave it in one of them"
            )
    return {name: (float(ends[0]), float(ends[1])) for name, ends in periodic.items()}


def _given_box(
    raw: Source, name: str, column: np.ndarray, given: Sequence[float | None], key: str = "x_bounds"
) -> Bound:
    if len(given) != 2:
        raise ConfigError(f"task.x_bounds.{name} must be [low, high], null where open, got {given}")
    low, high = given
    if low is not None and high is not None and not low < high:
        raise ConfigError(f"task.x_bounds.{name} must have low < high, got {given}")
    outside = int(((column < (-np.inf if low is None else low)) | (column > (np.inf if high is None else high))).sum())
    if outside:
        count = f"{outside:,}" if isinstance(raw, RawTable) else "some"  # of a table on disk only a sample is here
        mend = "widen it" if key == "x_bounds" else "name the ends between which it lies, or turn it modulo the period"
        raise DataError(f"{count} rows of {raw.path.name} have {name!r} outside task.{key}.{name}={given}; {mend}")
    return low, high


def y_variables(
    raw: RawTable, names: tuple[str, ...], by_name: dict[str, np.ndarray], y_kind: str
) -> tuple[Variables | None, np.ndarray | None]:
    """What is known of y, and its columns, (n, Dy): numbers, or the codes of labels."""
    if not names:
        return None, None
    labels: list[tuple[str, ...] | None] = []
    values = []
    for name in names:
        column = by_name[name]
        if y_kind == "number" or (y_kind == "auto" and column.dtype.kind == "f"):
            labels.append(None)
            values.append(as_numbers(raw, "y", name, column, "leave task.y_kind at auto"))
        else:
            found, codes = np.unique(column.astype(str) if column.dtype == object else column, return_inverse=True)
            numbers = y_kind == "auto" and column.dtype == object and sum(map(is_number, column)) > len(column) / 2
            if len(found) > max(0 if numbers else MANY_LABELS, len(column) / 2):
                if column.dtype == object and 0 < len(odd_cells(column)) < FEW_ODD * len(column):
                    as_numbers(raw, "y", name, column, "empty it and pass task.on_invalid=drop")
                raise DataError(
                    f"y column {name!r} of {raw.path.name} has {len(found):,} different labels in "
                    f"{len(column):,} rows; a class needs several rows a label, is it a name or a number?"
                )
            labels.append(tuple(label_text(value) for value in found.tolist()))
            values.append(codes.reshape(-1).astype(np.float64))
    return Variables(names, labels=tuple(labels)), np.column_stack(values)
