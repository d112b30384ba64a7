"""The scaling of x that every model shares: from the user's columns to roughly N(0, 1) and back."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from inncli.errors import ConfigError
from inncli.transforms.base import Points, Transform
from inncli.transforms.chain import Chain
from inncli.transforms.column_maps import ColumnMaps
from inncli.transforms.marginal import BoundsTransform, QuantileTransform, Standardise
from inncli.transforms.power import PowerMap
from inncli.transforms.simplex import Simplex
from inncli.types import Bool, BoundsMode
from inncli.variables import Bound, Variables


def map_bounds(x: Variables, bounds: BoundsMode = "auto", on_circle: bool = False) -> tuple[Bound, ...]:
    """The bounds that the map of each column keeps its values in; open where something else does.

    Args:
        x: what is known of the columns.
        bounds: as in `Scaling`.
        on_circle: whether `Circle` has turned the columns with a period, which then lie in [-pi, pi].
    """
    half = math.pi
    return tuple(
        (-half, half)
        if on_circle and period is not None
        else (None, None)  # a column with heaps is kept inside its bounds by its own map
        if heaps or bounds in ("truncate", "clip")
        else cell
        for cell, heaps, period in zip(x.cells, x.heaps, x.periods, strict=True)
    )


class Scaling(Chain):
    """A column at a time, set from the data and saved: heaps spread, maps to the real line, robust standardisation.

    Recorded columns (a step above 0) are spread over their cells on the way in (`dequantise`) and rounded to the
    recording grid on the way out (`record`); in between x is continuous.

    Args:
        x: what is known of the columns; `x.maps` names the map of each.
        bounds: how bounded columns stay inside. `auto` and `logit` map a bounded column to the real line, `auto` by
            the map that suits it best; `truncate` leaves it as it is, so that a draw may fall outside and its model
            must draw again; `clip` leaves it as it is, heaps too, and a draw outside is recorded as the bound, as a
            sensor at the end of its scale does.
        power: whether a power of each column against skew and heavy tails comes last, in a run of a release up to
            0.4; in later ones it is among the maps.
        on_circle: whether columns with a period come from `Circle`.

    Raises: ConfigError for `truncate` or `clip` on a simplex, and for `clip` on a bounded column without a step.

    Attributes:
        truncated: the bounds that are left to the model, those of the spread values.
    """

    step: Tensor  # (Dx,), 0 for a continuous column
    low: Tensor  # (Dx,), of the cells
    high: Tensor  # (Dx,), of the cells

    def __init__(self, x: Variables, bounds: BoundsMode = "auto", power: bool = False, on_circle: bool = False) -> None:
        if x.simplex and bounds in ("truncate", "clip"):
            raise ConfigError(
                f"model.bounds={bounds} keeps draws in a box, the shares of a whole need the simplex; "
                "pass model.bounds=auto"
            )
        if bounds == "clip":
            for name, pair, step, period in zip(x.names, x.bounds, x.steps, x.periods, strict=True):
                if not step and pair != (None, None) and not (on_circle and period is not None):
                    raise ConfigError(
                        f"model.bounds=clip is for recorded columns, {name!r} is bounded and has no "
                        "recording step; pass model.bounds=auto"
                    )
            x = replace(x, heaps=((),) * x.dim)
        mapped = map_bounds(x, bounds, on_circle)
        super().__init__(x.dim, [QuantileTransform(x), *_maps(x, mapped, power)])
        left = tuple(  # to the model: what no map keeps inside
            cell if bounds == "truncate" and pair == (None, None) and not heaps else (None, None)
            for cell, pair, heaps in zip(x.cells, mapped, x.heaps, strict=True)
        )
        self.truncated = replace(x, bounds=left)
        self.recorded = any(x.steps)  # known here, so that no step waits for the device to say so
        # The logarithm has an image of positive values alone.
        positive = [name == "log" and pair == (None, None) for name, pair in zip(x.maps, mapped, strict=True)]
        ends = [(0.0, None) if only else cell for only, cell in zip(positive, x.cells, strict=True)]
        cells = replace(x, bounds=tuple(ends))
        self.circular = [i for i, period in enumerate(x.periods) if period is not None]
        self.register_buffer("step", torch.tensor(x.steps, dtype=torch.float64))
        self.register_buffer("low", torch.tensor(_numbers(cells, 0, -math.inf), dtype=torch.float64))
        self.register_buffer("high", torch.tensor(_numbers(cells, 1, math.inf), dtype=torch.float64))

    def dequantise(self, x: Points, generator: torch.Generator) -> Points:
        """Moves x uniformly within its recording cells; continuous columns stay. Shape: (rows, Dx)."""
        if not self.recorded:
            return x.double()
        u = torch.rand(x.shape, generator=generator, dtype=torch.float64, device=x.device)
        return self._turned(x.double() + self.step * (u - 0.5))

    def record(self, x: Points) -> Points:
        """Rounds x as a recording does: to the nearest multiple of the step, if there is one. Shape: (rows, Dx)."""
        step = torch.where(self.step > 0, self.step, 1.0)
        per_unit = torch.round(1 / step)
        # Dividing by 10 gives the double closest to 0.3; multiplying by 0.1 does not.
        decimal = (per_unit * step - 1).abs() < 1e-9
        # The whole steps inside the bounds; half a step at most is lost where a bound is no whole step.
        low, high = (self.low + step / 2) / step, (self.high - step / 2) / step
        k = torch.minimum(torch.maximum(torch.round(x / step), torch.ceil(low - 1e-6)), torch.floor(high + 1e-6))
        if self.circular:
            k[:, self.circular] = torch.round(x / step)[:, self.circular]
        grid = torch.where(decimal, k / per_unit, k * step) + 0.0  # -0.0 becomes 0.0
        if self.circular:  # a product of floats may lie a hair below the upper end, which is the lower one
            end = (self.high - grid).abs() < 1e-9 * step
            grid[:, self.circular] = torch.where(end, self.low, grid)[:, self.circular]
        return self._turned(torch.where(self.step > 0, grid, x))

    def _turned(self, x: Points) -> Points:
        """Turns values on a circle by whole periods, until they lie in [low, high)."""
        if not self.circular:
            return x
        low, high = self.low[self.circular], self.high[self.circular]
        value = x[:, self.circular]
        out = x.clone()
        out[:, self.circular] = torch.where(
            (value >= low) & (value < high), value, low + torch.remainder(value - low, high - low)
        )
        return out

    def outside(self, x: Points) -> Bool[Tensor, " rows"]:
        """Which rows lie outside the cells' bounds, (rows,); a row of NaN does, none does on a circle."""
        x = self._turned(x)
        return ~((x >= self.low) & (x <= self.high)).all(1)

    def covers(self, x: Points) -> Bool[Tensor, " rows"]:
        """Which rows have an image, and so may have a density, (rows,)."""
        heaps = self.parts[0]
        assert isinstance(heaps, QuantileTransform)
        return ~self.outside(x) & heaps.covers(x)

    def clamp(self, x: Points) -> Points:
        """Moves x into the bounds, so that a row outside gets harmless numbers. Shape: (rows, Dx)."""
        return torch.minimum(torch.maximum(self._turned(x.double()), self.low), self.high)


def _maps(x: Variables, bounds: tuple[Bound, ...], power: bool) -> list[Transform]:
    """What follows the heaps: the maps that `x.maps` names, or those of releases up to 0.4."""
    if x.simplex:
        return [Simplex(x.dim), Standardise(x.dim), *([PowerMap(x.dim)] if power else [])]
    if any(x.maps):
        return [ColumnMaps(x, bounds), Standardise(x.dim)]
    return [BoundsTransform(replace(x, bounds=bounds)), Standardise(x.dim), *([PowerMap(x.dim)] if power else [])]


def _numbers(x: Variables, side: int, absent: float) -> list[float]:
    return [absent if bound is None else bound for bound in (pair[side] for pair in x.bounds)]
