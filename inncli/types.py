"""Number ranges for the type hints of classes that a yaml can build.

`inncli.config.schema` reads the hints of a target's `__init__` from its source and checks the config's
values against them, so that `trainer.lr=-1` fails in composition, before torch is imported:

    def __init__(self, lr: PositiveFloat = 5e-3, patience: PositiveInt | None = None): ...
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True)
class Range:
    """Open or closed interval of finite numbers, with its name in plain words.

    Args:
        words: how an error names it, "a whole number of 1 or more".
        low: lower end; it belongs to the range unless `open_low`.
        high: upper end, never part of the range.
        open_low: whether `low` itself is outside.
    """

    words: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        return above and value < self.high  # high = inf also shuts out inf and NaN


PositiveInt = Annotated[int, Range("a whole number of 1 or more", low=1)]
NonNegativeInt = Annotated[int, Range("a whole number of 0 or more", low=0)]
PositiveFloat = Annotated[float, Range("a number above 0", low=0.0, open_low=True)]
NonNegativeFloat = Annotated[float, Range("a number of 0 or more", low=0.0)]
Fraction = Annotated[float, Range("a number between 0 and 1", low=0.0, high=1.0, open_low=True)]
Share = Annotated[float, Range("a number of 0 or more and below 1", low=0.0, high=1.0)]
BlockName = Literal["nice", "rnvp", "glow", "spline", "iresnet"]  # of `transforms.blocks.BLOCKS`
