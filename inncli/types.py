"""The types of annotations: number ranges of settings, and arrays with their shapes.

Ranges are for the hints of classes that a yaml can build. `inncli.config.schema` reads the hints of a target's
`__init__` from its source and checks the config's values against them, so that `trainer.lr=-1` fails in composition,
before torch is imported:

    def __init__(self, lr: PositiveFloat = 5e-3, patience: PositiveInt | None = None): ...

Shapes are written `Float[Tensor, "rows dim"]`. The words of the string name the axes; one word means one size
throughout a call. `_` is any size, `...` any number of axes, `*batch` any number of axes under a name. `Float`, `Int`
and `Bool` say the kind of numbers, `Real` is integers or floats. mypy sees the array's type alone. While the tests
run, jaxtyping and beartype hold every call of the annotated rooms against the shapes
(`tests/support/shape_checks.py`). Everywhere else jaxtyping is not imported, and these names stand for the array's
type.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar


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
BoundsMode = Literal["auto", "logit", "truncate", "clip"]  # see `models.preprocessing.Scaling`

if TYPE_CHECKING or "jaxtyping" in sys.modules:  # the tests import it first
    from jaxtyping import Bool, Float, Int, Real
else:
    Array = TypeVar("Array")

    class Float:
        """An array of any shape and kind of number."""

        def __class_getitem__(cls, item: tuple[type[Array], str]) -> type[Array]:
            return item[0]

    Bool = Int = Real = Float
