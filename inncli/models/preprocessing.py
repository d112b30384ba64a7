"""The scaling of x that every model shares: from the user's columns to roughly N(0, 1) and back."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from inncli.errors import ConfigError
from inncli.transforms.base import Points
from inncli.transforms.chain import Chain
from inncli.transforms.marginal import BoundsTransform, QuantileTransform, Standardise
from inncli.transforms.power import PowerMap
from inncli.transforms.simplex import Simplex
from inncli.types import Bool
from inncli.variables import Variables


class Scaling(Chain):
    """A column at a time, set from the data and saved: heaps spread, bounds opened, robust standardisation.

    Recorded columns (a step above 0) are spread over their cells on the way in (`dequantise`) and rounded to the
    recording grid on the way out (`record`); in between x is continuous.

    Args:
        x: what is known of the columns.
        bounds: `logit` maps a bounded column to the real line; `truncate` leaves it as it is, so that a draw may
            fall outside and its model must draw again; `clip` leaves it as it is, heaps too, and a draw outside is
            recorded as the bound, as a sensor at the end of its scale does.
        power: whether a power of each column against skew and heavy tails comes last.

    Raises: ConfigError for `truncate` or `clip` on a simplex, and for `clip` on a bounded column without a step.

    Attributes:
        truncated: the bounds that are left to the model, those of the spread values.
    """

    step: Tensor  # (Dx,), 0 for a continuous column
    low: Tensor  # (Dx,), of the cells
    high: Tensor  # (Dx,), of the cells

    def __init__(
        self, x: Variables, bounds: Literal["logit", "truncate", "clip"] = "logit", power: bool = False
    ) -> None:
        if x.simplex and bounds != "logit":
            raise ConfigError(
                f"model.bounds={bounds} keeps draws in a box, the shares of a whole need the simplex; "
                "pass model.bounds=logit"
            )
        if bounds == "clip":
            for name, pair, step in zip(x.names, x.bounds, x.steps, strict=True):
                if not step and pair != (None, None):
                    raise ConfigError(
                        f"model.bounds=clip is for recorded columns, {name!r} is bounded and has no "
                        "recording step; pass model.bounds=logit"
                    )
            x = replace(x, heaps=((),) * x.dim)
        cells = replace(x, bounds=x.cells)
        open_box = ((None, None),) * x.dim
        # A column with heaps is kept inside its bounds by the heap map itself.
        boxed = tuple((None, None) if heaps else b for b, heaps in zip(cells.bounds, x.heaps, strict=True))
        box = (
            Simplex(x.dim)
            if x.simplex
            else BoundsTransform(replace(x, bounds=boxed if bounds == "logit" else open_box))
        )
        super().__init__(x.dim, [QuantileTransform(x), box, Standardise(x.dim), *([PowerMap(x.dim)] if power else [])])
        self.truncated = replace(cells, bounds=boxed if bounds == "truncate" else open_box)
        self.recorded = any(x.steps)  # known here, so that no step waits for the device to say so
        self.register_buffer("step", torch.tensor(x.steps, dtype=torch.float64))
        self.register_buffer("low", torch.tensor(_numbers(cells, 0, -math.inf), dtype=torch.float64))
        self.register_buffer("high", torch.tensor(_numbers(cells, 1, math.inf), dtype=torch.float64))

    def dequantise(self, x: Points, generator: torch.Generator) -> Points:
        """Moves x uniformly within its recording cells; continuous columns stay. Shape: (rows, Dx)."""
        if not self.recorded:
            return x.double()
        u = torch.rand(x.shape, generator=generator, dtype=torch.float64, device=x.device)
        return x.double() + self.step * (u - 0.5)

    def record(self, x: Points) -> Points:
        """Rounds x as a recording does: to the nearest multiple of the step, if there is one. Shape: (rows, Dx)."""
        step = torch.where(self.step > 0, self.step, 1.0)
        per_unit = torch.round(1 / step)
        # Dividing by 10 gives the double closest to 0.3; multiplying by 0.1 does not.
        decimal = (per_unit * step - 1).abs() < 1e-9
        # The whole steps inside the bounds; half a step at most is lost where a bound is no whole step.
        low, high = (self.low + step / 2) / step, (self.high - step / 2) / step
        k = torch.minimum(torch.maximum(torch.round(x / step), torch.ceil(low - 1e-6)), torch.floor(high + 1e-6))
        grid = torch.where(decimal, k / per_unit, k * step) + 0.0  # -0.0 becomes 0.0
        return torch.where(self.step > 0, grid, x)

    def outside(self, x: Points) -> Bool[Tensor, " rows"]:
        """Which rows lie outside the cells' bounds, (rows,); a row of NaN does."""
        return ~((x >= self.low) & (x <= self.high)).all(1)

    def covers(self, x: Points) -> Bool[Tensor, " rows"]:
        """Which rows have an image, and so may have a density, (rows,)."""
        heaps = self.parts[0]
        assert isinstance(heaps, QuantileTransform)
        return ~self.outside(x) & heaps.covers(x)

    def clamp(self, x: Points) -> Points:
        """Moves x into the bounds, so that a row outside gets harmless numbers. Shape: (rows, Dx)."""
        return torch.minimum(torch.maximum(x.double(), self.low), self.high)


def _numbers(x: Variables, side: int, absent: float) -> list[float]:
    return [absent if bound is None else bound for bound in (pair[side] for pair in x.bounds)]
