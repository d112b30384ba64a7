"""Whether an observation looks like those that training saw: a flow extrapolates silently."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from inncli.data.columns import recording_step
from inncli.io.digits import shown
from inncli.numerics.statistics import mean, sd
from inncli.types import Float, Real
from inncli.variables import Variables

LEVEL = 0.01  # share of ordinary ys that is called unfamiliar
NEIGHBOURS = 5
REFERENCE, NUMBERS, CALIBRATION = 500, 5_000, 10_000  # the most ys kept, numbers in them, ys to calibrate on
FEWEST = 10  # ys: fewer tell nothing
SPLIT_FROM = 1_000  # ys; with fewer, a half for calibration would not resolve a hundredth
OTHER_LABEL = 3.0  # how far apart two labels are
Statistics = dict[str, Any]  # JSON-ready, see `training_statistics`


def training_statistics(y: Float[np.ndarray, "rows dim_y"], variables: Variables) -> Statistics:
    r"""What is kept of the training ys: their ranges, some of them, and how far others lie from those.

    The distance of a y is that to its fifth nearest kept y, in the coordinates

    .. math:: u = \mathrm{asinh}((y - \mathrm{median}) W),

    where W turns to the principal axes and divides by the scale of the quartiles along each, and asinh draws in heavy
    tails. Two labels that differ are 3 apart. Recorded values are spread over their cells, so that a y between two of
    them is no stranger.

    The distance is calibrated on ys that had no part in the above (a half of them; of fewer than 1,000 each y is held
    against the others, and W leaves the axes where it would over-fit). So a new y of the same distribution, whatever
    that is, is called unfamiliar with probability `LEVEL`, but not below 1/(n + 1) with n ys.

    Shape: y (n, Dy).
    Returns: a JSON-ready dict, without `reference` where all columns are labels, or where there are fewer than 10 rows.
    Reference: Vovk, Gammerman and Shafer 2005, Algorithmic learning in a random world (conformal prediction).
    """
    numeric = [i for i, labels in enumerate(variables.labels) if labels is None]
    seen: Statistics = {"low": y.min(0).tolist(), "high": y.max(0).tolist(), "columns": numeric}
    if not numeric:
        return seen
    seen["centre"] = mean(y[:, numeric]).tolist()
    if len(y) < FEWEST:
        return seen
    rng = np.random.default_rng(0)
    y = rng.permutation(y)
    for i in numeric:
        y[:, i] += recording_step(y[:, i]) * (rng.random(len(y)) - 0.5)
    few = len(y) < SPLIT_FROM
    fitted = y if few else y[: len(y) // 2]
    median, axes = _coordinates_of(fitted[:, numeric], axes=len(fitted) >= (50 if few else 5) * len(numeric))
    kept = _cells(fitted[: min(REFERENCE, max(NUMBERS // y.shape[1], 100))], numeric, _scale(fitted[:, numeric]))
    seen |= {"median": median.tolist(), "axes": _rounded(axes), "reference": kept.tolist()}
    if few:
        # A kept y is its own nearest neighbour, at no distance: one further.
        distance = np.concatenate([_distance(seen, kept, NEIGHBOURS + 1), _distance(seen, y[len(kept) :], NEIGHBOURS)])
    else:
        distance = _distance(seen, y[len(fitted) :][:CALIBRATION], NEIGHBOURS)
    n = len(distance)
    tail = n - np.geomspace(1, max(n / 20, 1), 100)  # where the level lies, finer
    rank = np.unique(np.concatenate([np.linspace(0, n - 1, 101), tail]).round().astype(int))
    return seen | {"calibration": {"n": n, "rank": rank.tolist(), "distance": _rounded(np.sort(distance)[rank])}}


def familiarity(
    seen: Statistics, y: Real[np.ndarray, "n_obs dim_y"], level: float = LEVEL
) -> list[dict[str, float | bool]] | None:
    """For each y its distance, the percentile of that among training ys, and whether y is familiar at the level.

    Shape: y (n_obs, Dy). None where training ys have no distance: labels alone, fewer than 10 rows, a run of an
    older inn.
    """
    if "reference" not in seen:
        return None
    calibration = seen["calibration"]
    n, known = calibration["n"], np.array(calibration["distance"])
    found = []
    for distance in _distance(seen, y, NEIGHBOURS):
        # Ties count as smaller: of values that are all alike none is strange.
        nearer = np.interp(distance, known, calibration["rank"]) if distance > known[0] else 0.0
        nearer = float(n if distance > known[-1] else nearer)
        p = (n - nearer + 1) / (n + 1)
        found.append(
            {
                "distance": float(distance),
                "percentile": 100 * nearer / n,
                "familiar": bool(p > max(level, 1 / (n + 1))),
                "level": level,
            }
        )
    return found


def unfamiliar(seen: Statistics, y: np.ndarray, variables: Variables) -> list[str]:
    """One line for each row of y that is unlike those that training saw; familiar rows give none.

    Of runs of an older inn, and of fewer than 10 rows, only the ranges are known.

    Shape: y (n_obs, Dy), or (Dy,).
    """
    lines = []
    y = np.atleast_2d(y)
    found = familiarity(seen, y)
    for obs, row in enumerate(y):
        where = f"observation {obs + 1}: " if len(y) > 1 else ""
        outside = [
            _outside(variables.names[i], row[i], seen["low"][i], seen["high"][i])
            for i in seen["columns"]
            if not seen["low"][i] <= row[i] <= seen["high"][i]
        ]
        if found is not None and found[obs]["familiar"]:
            continue
        if outside:
            lines.append(f"{where}y lies outside what training saw: {', '.join(outside)}")
        elif found is not None:
            lines.append(
                f"{where}hardly a training y is near this one: its distance to them, {found[obs]['distance']:.3g}, "
                f"is beyond {_percent(found[obs]['percentile'])} of theirs"
            )
    return lines


def _outside(name: str, value: float, low: float, high: float) -> str:
    shown_value, shown_low, shown_high = (shown(number, high - low, least=6) for number in (value, low, high))
    return f"{name}={shown_value} (training saw {shown_low} to {shown_high})"


def _percent(percentile: float) -> str:
    return "all" if percentile == 100 else f"{percentile:.3g} %"


def _coordinates_of(y: Float[np.ndarray, "rows dim"], axes: bool) -> tuple[Float[np.ndarray, " dim"], np.ndarray]:
    """Median and W of numeric columns; W is (D, D), or (D,) without turning the axes. Shape: y (n, D)."""
    median, scale = np.median(y, axis=0), _scale(y)
    if y.shape[1] == 1 or not axes:
        return median, 1 / scale
    z = (y - median) / scale
    _, turn = np.linalg.eigh(np.cov(np.clip(z, -5, 5), rowvar=False))  # a few huge values must not choose the axes
    # Where nothing varies a thousandth counts as one: collinear columns must stay collinear.
    return median, turn / scale[:, None] / np.maximum(_scale(z @ turn), 1e-3)


def _scale(y: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, " dim"]:
    """Distance of the quartiles in sds of a normal, or the sd where half of a column is one value; never 0."""
    low, high = np.quantile(y, (0.25, 0.75), axis=0)
    apart = high - low > 1e-12 * np.maximum(np.abs(low), np.abs(high))
    scale = np.where(apart, (high - low) / 1.349, sd(y))
    return np.where(scale > 0, scale, 1.0)


def _coordinates(seen: Statistics, y: np.ndarray) -> np.ndarray:
    """u, and the labels as corners of a simplex of side 3. Shape: y (n, Dy)."""
    z, axes = y[:, seen["columns"]] - np.array(seen["median"]), np.array(seen["axes"])
    parts = [np.arcsinh(z * axes if axes.ndim == 1 else z @ axes)]
    parts += [
        (y[:, [i]] == np.arange(high + 1)) * OTHER_LABEL / np.sqrt(2)
        for i, high in enumerate(seen["high"])
        if i not in seen["columns"]
    ]
    return np.hstack(parts)


def _distance(seen: Statistics, y: Real[np.ndarray, "rows dim_y"], k: int) -> Float[np.ndarray, " rows"]:
    """Distance of each y to its k-th nearest kept one, (n,)."""
    tree = cKDTree(_coordinates(seen, np.array(seen["reference"])))
    return tree.query(_coordinates(seen, y), k=[k])[0][:, 0]


def _cells(y: np.ndarray, numeric: list[int], scale: np.ndarray) -> np.ndarray:
    """Rounds the columns of y that are numbers to a millionth of their scale or less: a checkpoint stays small."""
    y = y.copy()
    for i, size in zip(numeric, scale, strict=True):
        y[:, i] = np.round(y[:, i], 6 - math.floor(math.log10(size)))
    return y


def _rounded(values: np.ndarray) -> list[Any]:
    # Six digits are more than a distance needs.
    return np.vectorize(lambda value: float(f"{value:.6g}"), otypes=[float])(values).tolist()
