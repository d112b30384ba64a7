"""Arrays with their shapes, for annotations: `Float[Tensor, "rows dim"]`.

The words of the string name the axes; one word means one size throughout a call. `_` is any size, `...` any number of
axes, `*batch` any number of axes under a name. `Float`, `Int` and `Bool` say the kind of numbers, `Real` is integers
or floats.

mypy sees the array's type alone. While the tests run, jaxtyping and beartype hold every call of the annotated rooms
against the shapes (`tests/support/shape_checks.py`). Everywhere else jaxtyping is not imported, and these names stand
for the array's type.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING or "jaxtyping" in sys.modules:  # the tests import it first
    from jaxtyping import Bool, Float, Int, Real
else:
    Array = TypeVar("Array")

    class Float:
        """An array of any shape and kind of number."""

        def __class_getitem__(cls, item: tuple[type[Array], str]) -> type[Array]:
            return item[0]

    Bool = Int = Real = Float

__all__ = ["Bool", "Float", "Int", "Real"]
