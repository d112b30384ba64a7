"""What a user's file, and then the draws of its prior, say of the columns of x."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from inncli.data import columns
from inncli.errors import DataError, did_you_mean
from inncli.tasks.user.module import UserFile
from inncli.variables import Bound, Variables


def x_variables(file: UserFile, names: tuple[str, ...]) -> Variables:
    """The columns of x with their bounds and circles, `x_bounds` and `x_periodic` of the file.

    Raises: DataError for what is no bound or no circle, or where the two contradict each other.
    """
    bounds = list(_bounds(file, names) or ((None, None),) * len(names))
    periods: list[float | None] = [None] * len(names)
    for name, pair in _by_name(file, "x_periodic", names).items():
        try:
            low, high = (float(end) for end in pair)
        except (TypeError, ValueError):
            low, high = np.nan, np.nan
        if not -np.inf < low < high < np.inf:
            raise DataError(f"{file.path.name}: x_periodic of {name} must be (low, high) with low < high, got {pair!r}")
        i = names.index(name)
        if bounds[i] not in ((None, None), (low, high)):
            raise DataError(
                f"{file.path.name}: x_bounds of {name} are {bounds[i]}, x_periodic says {(low, high)}; "
                "leave it in one of them"
            )
        bounds[i], periods[i] = (low, high), high - low
    return Variables(names, bounds=tuple(bounds), periods=tuple(periods))


def steps(file: UserFile, names: tuple[str, ...]) -> dict[str, float]:
    """The step between the values of the unknowns that `x_steps` names, 0 for a continuous one.

    Raises: DataError for what is no step.
    """
    found = {}
    for name, step in _by_name(file, "x_steps", names).items():
        number = isinstance(step, (int, float, np.number)) and not isinstance(step, bool)
        if not (number and 0 <= step < np.inf):
            raise DataError(
                f"{file.path.name}: x_steps of {name} must be 0 (continuous) or a step above it, got {step!r}"
            )
        found[name] = float(step)
    return found


def found_in(x: Variables, steps: dict[str, float], draws: np.ndarray) -> Variables:
    """The columns of x with what draws of them show: the step between values, point masses, the ends of a range.

    As in a table, a column of whole numbers has step 1, and a value that many draws share is a point mass. The ends of
    the range of a column with a step are its bounds where the file has none, see `columns.ends`. On a circle there are
    no point masses.

    Args:
        x: what the file says of the columns.
        steps: those that the file says.
        draws: of the prior, (n, Dx).
    """
    bounds, grid, heaps = [], [], []
    for name, values, bound, on in zip(x.names, draws.T, x.bounds, x.circles, strict=True):
        step = steps.get(name)
        if step is None:
            step = columns.circle_step(values, on) if on else columns.draws_step(values)
        bounds.append(columns.ends(values) if step and bound == (None, None) else bound)
        grid.append(step)
        heaps.append(columns.heaps(values) if step and not on else ())
    return replace(x, bounds=tuple(bounds), steps=tuple(grid), heaps=tuple(heaps))


def _by_name(file: UserFile, fact: str, names: tuple[str, ...]) -> dict[str, Any]:
    """A variable of the file that says something of some unknowns; empty where the file has none."""
    given = file.fact(fact)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise DataError(f"{file.path.name}: {fact} must be a dict from names of unknowns, got {given!r}")
    for name in given:
        if name not in names:
            near = did_you_mean(str(name), names)
            raise DataError(f"{file.path.name}: {fact} names {name!r}, which is not in x ({', '.join(names)}){near}")
    return given


def _bounds(file: UserFile, names: tuple[str, ...]) -> tuple[Bound, ...]:
    given = file.fact("x_bounds")
    if given is None:
        return ()
    where = file.path.name
    if isinstance(given, (str, dict)) or not hasattr(given, "__len__") or len(given) != len(names):
        raise DataError(f"{where}: x_bounds must be {len(names)} pairs (low, high), None where open, got {given!r}")
    bounds = []
    for name, pair in zip(names, given, strict=True):
        try:
            low, high = (_end(end, open_end) for end, open_end in zip(pair, (-np.inf, np.inf), strict=True))
        except (TypeError, ValueError):
            raise DataError(f"{where}: x_bounds of {name} must be (low, high), None where open, got {pair!r}") from None
        if low is not None and high is not None and not low < high:
            raise DataError(f"{where}: x_bounds of {name} must have low < high, got {pair!r}")
        bounds.append((low, high))
    return tuple(bounds)


def _end(value: float | None, open_end: float) -> float | None:
    """One end of a bound; None and the matching infinity are open."""
    if value is None or float(value) == open_end:
        return None
    if not np.isfinite(float(value)):
        raise ValueError
    return float(value)
