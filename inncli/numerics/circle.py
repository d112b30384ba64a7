"""Values on a circle, whose two ends (low, high) are one point: a phase, an angle, the hour of a day."""

from __future__ import annotations

import numpy as np

from inncli.variables import Circle


def turned(values: np.ndarray, on: Circle) -> np.ndarray:
    """Values moved by whole periods into [low, high); those that lie there stay to the bit. Shape: that of values."""
    low, high = on
    inside = low + np.mod(values - low, high - low)
    inside = np.where(inside < high, inside, low)  # a hair below low rounds to high
    return np.where((values >= low) & (values < high), values, inside)


def mean(values: np.ndarray, on: Circle, axis: int = 0, keepdims: bool = False) -> np.ndarray:
    r"""The mean direction, in [low, high).

    .. math:: l + \frac{P}{2 \pi} \mathrm{atan2}(\mathrm{mean} \sin a, \mathrm{mean} \cos a), \qquad
        a = \frac{2 \pi}{P} (x - l)

    Of values that are spread evenly over the circle it is any point. Shape: that of values without the axis.
    Reference: Mardia and Jupp 2000, Directional statistics, section 2.2.
    """
    low, high = on
    unit = (high - low) / (2 * np.pi)
    angle = (np.asarray(values) - low) / unit
    middle = np.arctan2(np.sin(angle).mean(axis, keepdims=keepdims), np.cos(angle).mean(axis, keepdims=keepdims))
    return turned(low + unit * middle, on)


def unrolled(values: np.ndarray, around: np.ndarray | float, on: Circle) -> np.ndarray:
    """Values moved by whole periods to within half a period of `around`, which broadcasts. Shape: that of values."""
    period = on[1] - on[0]
    return values - period * np.round((values - around) / period)


def cut(values: np.ndarray, on: Circle) -> tuple[np.ndarray, Circle]:
    """Values unrolled around their mean direction, and the ends of the period that then holds them. Shape: (n,)."""
    centre, half = float(mean(values, on)), (on[1] - on[0]) / 2
    return unrolled(values, centre, on), (centre - half, centre + half)


def embedded(values: np.ndarray, circles: tuple[Circle | None, ...]) -> np.ndarray:
    """Columns of which each on a circle becomes two, a point of the plane: the distance knows no cut.

    Shape: values (..., D), out (..., D + number of circles). Units: those of the values.
    """
    if not any(circles):
        return values
    parts = []
    for i, on in enumerate(circles):
        column = values[..., i]
        if on is None:
            parts.append(column)
        else:
            unit = (on[1] - on[0]) / (2 * np.pi)
            parts += [unit * np.cos((column - on[0]) / unit), unit * np.sin((column - on[0]) / unit)]
    return np.stack(parts, -1)
