"""How each column of x and of y is brought to a size that nets can take, chosen from the training pairs.

The facts found here become part of `Variables`, and so of the checkpoint: a model is built from them alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from inncli.models.preprocessing import map_bounds
from inncli.nn.components import PREDICTIONS, number_of_components
from inncli.nn.features import CLIPPED, LOG, PLAIN, ROBUST, WIDE, Features
from inncli.numerics.deviation import standard_deviation
from inncli.numerics.ridge import Design, rows_for
from inncli.transforms.circle import Circle
from inncli.transforms.column_maps import MAPS
from inncli.types import BoundsMode, Float
from inncli.variables import Bound, Variables

MOST_ROWS = 5_000  # that the choice looks at
WORK = 1e9  # multiplications of one decomposition
MANY = 48  # features of y; more are summed up in components
ROWS_A_FEATURE = 20  # fewer, and the embedding does not see all of them
ROWS_A_STEP = 16
SPREAD, CURVED = 3.0, 40.0  # sds over quartiles, local scales at most over at least: what is no plain column
# The maps that may be taken, and how many nats a row each has to win over the first. A flow bends by itself
# what is not far from a normal; it can't reach decades or heavy tails.
OPEN = {"identity": 0.0, "log": 0.25, "symlog": 0.3, "quantile": 0.3}
HALF_OPEN = {"softplus": 0.0, "log": 0.05, "quantile": 0.3}
CLOSED = {"probit": 0.0, "logit": 0.002, "log_probit": 0.02, "quantile": 0.3}
POWER = {"power": 0.02}
FOR_HEAVY = ("symlog", "quantile")


def choose(
    x: Variables,
    y: Variables | None,
    values_x: Float[np.ndarray, "rows dim"],
    values_y: Float[np.ndarray, "rows dim_y"] | None,
    bounds: BoundsMode = "auto",
    power: bool = False,
) -> tuple[Variables, Variables | None]:
    r"""Chooses the map of each column of x and the features of each column of y.

    A column of y that spans decades, has heavy tails or a sentinel gets robust features. A map of x is judged by the
    likelihood that a linear-Gaussian fit on these features has on rows that it was not fitted to,

    .. math:: \mathrm{mean} \, \log N(m(x); \hat m(y), \sigma^2) + \log m'(x),

    which is that of the flow before its first step, the likeliest of all maps that leave one column apart.

    Args:
        x: what is known of the columns of x.
        y: what is known of those of y; None leaves y out.
        values_x: training xs, (rows, Dx).
        values_y: their ys, (rows, Dy).
        bounds: as the model takes it.
        power: whether a power is among the maps.

    Returns: both with what was chosen.
    """
    lowest = (values_x.min(0) - np.array(x.steps) / 2).tolist()  # of all rows
    rows = np.random.default_rng(0).permutation(len(values_x))[:MOST_ROWS]
    part_x = torch.as_tensor(values_x[rows], dtype=torch.float64)
    part_x = part_x + torch.tensor(x.steps, dtype=torch.float64) * (_uniform(part_x) - 0.5)
    part_x = _on_circle(x, part_x)
    if y is None or values_y is None:
        return x if x.simplex else replace(x, maps=_maps(x, part_x, lowest, [None], bounds, power)[0]), y
    part_y = torch.as_tensor(values_y[rows], dtype=torch.float64)
    y = replace(y, features=tuple(_features(y, i, part_y[:, i]) for i in range(y.dim)))
    candidates = [y]
    if any(kinds == ROBUST for kinds in y.features):
        wide = tuple((*kinds, WIDE) if kinds == ROBUST else kinds for kinds in y.features)
        candidates.append(replace(y, features=wide))
    if not x.simplex:
        designs = [_features_of(each, part_y) for each in candidates]
        maps, which = _maps(x, part_x, lowest, designs, bounds, power)
        x, y = replace(x, maps=maps), candidates[which]
    return x, _summed_up(y, x.dim, part_y, len(values_x))


def one_number(y: Variables, values: Float[np.ndarray, "rows dim_y"]) -> Variables:
    """Y with one feature for each column, for a model that has y as its output: a logarithm where sds hide values."""
    columns = torch.as_tensor(values[np.random.default_rng(0).permutation(len(values))[:MOST_ROWS]]).double()
    found = [_features(y, i, columns[:, i]) for i in range(y.dim)]
    return replace(y, features=tuple((LOG,) if kinds == ROBUST else kinds for kinds in found))


TAKEN = {
    "log": "on a logarithmic scale",
    "log_probit": "on a logarithmic scale",
    "symlog": "on a logarithmic scale to both sides",
    "quantile": "by its quantiles, with heavy tails",
    "power": "by a power",
}


def remarks(x: Variables, y: Variables | None) -> list[str]:
    """A line for each way in which columns are taken that a user might not expect."""
    lines = []
    for how in dict.fromkeys(TAKEN.values()):
        names = [name for name, map_name in zip(x.names, x.maps, strict=True) if TAKEN.get(map_name) == how]
        if names:
            lines.append(f"{_listed(names)}: taken {how}, which held-out rows prefer")
    if y is None:
        return lines
    wild = [name for name, kinds in zip(y.names, y.features, strict=True) if CLIPPED in kinds]
    logged = [name for name, kinds in zip(y.names, y.features, strict=True) if kinds == (LOG,)]
    if logged:
        lines.append(f"{_listed(logged)}: spans decades or has values far out; taken on a logarithmic scale")
    if wild:
        lines.append(f"{_listed(wild)}: spans decades or has values far out; taken by logarithm and rank too")
    if y.components:
        lines.append(f"{y.dim:,} columns of y are summed up in {y.components}")
    return lines


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def _on_circle(x: Variables, values: Tensor) -> Tensor:
    """The values as `Circle` shows them to the maps, cut opposite to their mean direction. Shape: (rows, Dx)."""
    return Circle(x).initialise(values) if any(x.circles) else values


def _uniform(like: Tensor) -> Tensor:
    return torch.rand(like.shape, generator=torch.Generator().manual_seed(0), dtype=like.dtype)


# ---- y -----------------------------------------------------------------------------------------------
def _features(y: Variables, column: int, values: Tensor) -> tuple[str, ...]:
    """The features of one column of y."""
    return () if y.labels[column] is not None else ROBUST if _is_wild(values) else (PLAIN,)


def _is_wild(values: Float[Tensor, " rows"]) -> bool:
    """Whether a standardised column would hide most of its values, or some of them."""
    if not float(standard_deviation(values[:, None])) > 0:
        return False
    if _is_heavy(values):
        return True
    # From one level to the next lie some rows: of a few rows chance alone makes steps of very different sizes.
    n = min(max(len(values) // ROWS_A_STEP, 3), 15)
    levels = torch.special.ndtr(torch.linspace(-1.645, 1.645, n, dtype=values.dtype))
    steps = torch.unique(torch.quantile(values, levels)).diff()
    if len(steps) >= max(n // 2, 2) and float(steps.max()) > CURVED * float(steps.min()):
        return True
    # A value that most rows share, far from those of the others, leaves few levels. No value between two counts.
    steps = torch.unique(torch.quantile(values, levels, interpolation="nearest")).diff()
    return len(steps) > 1 and float(steps.max()) > CURVED * float(steps.median())


def _is_heavy(values: Float[Tensor, " rows"]) -> bool:
    """Whether some values lie much further out than the quartiles of a normal say."""
    quartiles = torch.quantile(values, torch.tensor([0.25, 0.75], dtype=values.dtype))
    return float(standard_deviation(values[:, None])) > SPREAD * float(quartiles[1] - quartiles[0]) / 1.349


def _features_of(y: Variables, values: Tensor) -> Tensor:
    features = Features(y)
    features.initialise(values)
    return features(values)


def _summed_up(y: Variables, dim_x: int, values: Tensor, rows: int) -> Variables:
    """The number of components that stand for very many features."""
    features = Features(y)
    if features.dim_shown <= MANY:
        return y
    features.initialise(values)
    f = features(values)[: rows_for(len(values), features.dim_out, WORK)]
    components = min(dim_x, PREDICTIONS) + number_of_components(f)
    return replace(y, components=components, sees_all=rows >= ROWS_A_FEATURE * features.dim_shown)


# ---- x -----------------------------------------------------------------------------------------------
def _maps(
    x: Variables,
    values: Tensor,
    lowest: Sequence[float],
    designs: Sequence[Tensor | None],
    bounds: BoundsMode,
    power: bool,
) -> tuple[tuple[str, ...], int]:
    """The map of each column, and which design serves all of them best."""
    mapped = map_bounds(x, bounds, on_circle=True)
    margins = [_candidates(x, i, mapped[i], lowest[i], bounds, power) for i in range(x.dim)]
    if designs == [None]:  # by itself a column of two humps prefers its quantiles, which bend what the blocks learn
        margins = [
            each if _is_heavy(values[:, i]) else {name: each[name] for name in each if name not in FOR_HEAVY}
            for i, each in enumerate(margins)
        ]
    totals, found = [], []
    for extra, features in enumerate(designs):
        scores = _scores(margins, mapped, values, features)
        best = [max(each, key=each.__getitem__) for each in scores]
        # More features have to win something.
        totals.append(sum(each[name] for each, name in zip(scores, best, strict=True)) - 0.02 * extra * x.dim)
        found.append(tuple(best))
    which = totals.index(max(totals))
    return found[which], which


def _candidates(
    x: Variables, column: int, bound: Bound, lowest: float, bounds: BoundsMode, power: bool
) -> dict[str, float]:
    """The maps that one column may take, and what each has to win."""
    if x.periods[column] is not None:
        return {"probit": 0.0}
    if x.heaps[column] or (bounds in ("truncate", "clip") and x.bounds[column] != (None, None)):
        return {"identity": 0.0}  # its own map, or its model, keeps it inside
    low, high = bound
    if low is None and high is None:
        margins = {**OPEN, **(POWER if power else {})}
    elif low is None or high is None:
        margins = {"softplus": 0.0} if bounds == "logit" else HALF_OPEN
    else:
        margins = {"logit": 0.0} if bounds == "logit" else CLOSED
    return {name: margin for name, margin in margins.items() if MAPS[name].suits(bound, lowest)}


def _scores(
    margins: list[dict[str, float]], bounds: tuple[Bound, ...], values: Tensor, features: Tensor | None
) -> list[dict[str, float]]:
    """For each column the held-out log-likelihood of a row under each of its maps, less what that has to win."""
    scores = [{name: -margin for name, margin in each.items()} for each in margins]
    order = torch.arange(len(values))
    for k in (0, 1):
        fitted, judged = order[order % 2 != k], order[order % 2 == k]
        if features is not None:
            judged = judged[: rows_for(len(judged), features.shape[1], WORK)]
        design = None if features is None else Design(features[judged])
        for name in {name for each in margins for name in each}:
            columns = [i for i, each in enumerate(margins) if name in each]
            moved = []
            for i in columns:
                column = MAPS[name](bounds[i])
                column.fit(values[fitted, i])
                moved.append(column(values[judged, i]))
            z, ladj = (torch.stack(parts, 1) for parts in zip(*moved, strict=True))
            unit = standard_deviation(z)  # squares in the column's own unit may overflow, or vanish
            z = z / unit
            residual = z - z.mean(0) if design is None else design.fit(z).residual
            # A column that y tells to the last digit is told as well under any map.
            variance = residual.square().mean(0).clamp_min(1e-24)
            for i, score in zip(columns, (ladj.mean(0) - unit.log() - 0.5 * variance.log()).tolist(), strict=True):
                scores[i][name] += 0.5 * score if math.isfinite(score) else -math.inf
    return scores
