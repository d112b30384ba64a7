"""What is known about the columns of x or of y: names, bounds, resolutions, point masses, labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

Bound = tuple[float | None, float | None]
Circle = tuple[float, float]  # (low, high), which are one point


@dataclass(frozen=True)
class Variables:
    """The columns of x or of y, in order.

    Args:
        names: one name a column, in the user's words.
        bounds: (low, high) a column, None where open; empty means all open.
        steps: the resolution at which each column was recorded, in the column's unit, 0 where it is continuous.
            A value v stands for the cell [v - step/2, v + step/2). Empty means all continuous.
        heaps: the point masses of each column: values that many rows share exactly, such as a zero.
        labels: the labels of a categorical column, whose values are then the codes 0, 1, ...;
            None for a number. Empty means all numbers.
        simplex: whether the columns are the shares of a whole, without the last share: none is below 0, and
            their sum is at most 1.
        periods: the period of a column whose values lie on a circle, from its lower bound; None on a line.
        maps: of x, what brings each column to the real line, a name of `transforms.column_maps.MAPS`; "" is the map of
            releases up to 0.4.
        features: of y, the names of what stands for each column in `nn.features.Features`; () is the column itself.
        components: of y, how many linear combinations of all features stand for them in the nets; 0 is the features
            themselves.
        sees_all: of y, whether the embedding sees all features beside those combinations.
    """

    names: tuple[str, ...]
    bounds: tuple[Bound, ...] = ()
    steps: tuple[float, ...] = ()
    heaps: tuple[tuple[float, ...], ...] = ()
    labels: tuple[tuple[str, ...] | None, ...] = field(default=())
    simplex: bool = False
    periods: tuple[float | None, ...] = ()
    maps: tuple[str, ...] = ()
    features: tuple[tuple[str, ...], ...] = ()
    components: int = 0
    sees_all: bool = True

    def __post_init__(self) -> None:
        d = len(self.names)
        fill = {
            "bounds": (None, None),
            "steps": 0.0,
            "heaps": (),
            "labels": None,
            "periods": None,
            "maps": "",
            "features": (),
        }
        for key, empty in fill.items():
            given = tuple(tuple(v) if isinstance(v, list) else v for v in getattr(self, key))
            object.__setattr__(self, key, given or (empty,) * d)
            if len(getattr(self, key)) != d:
                raise ValueError(f"{key} has {len(given)} entries for {d} columns")
        object.__setattr__(self, "names", tuple(self.names))

    @property
    def dim(self) -> int:
        """Number of columns."""
        return len(self.names)

    @property
    def categorical(self) -> bool:
        """Whether any column holds labels."""
        return any(entry is not None for entry in self.labels)

    @property
    def circles(self) -> tuple[Circle | None, ...]:
        """The circle of each column: its lower bound and that plus the period; None for a line."""
        return tuple(
            None if period is None else (low or 0.0, (low or 0.0) + period if high is None else high)
            for (low, high), period in zip(self.bounds, self.periods, strict=True)
        )

    @property
    def notes(self) -> list[str]:
        """What is special about the columns, a line for each kind, in words."""
        circles = [f"{name} in [{on[0]:g}, {on[1]:g})" for name, on in zip(self.names, self.circles, strict=True) if on]
        return [f"periodic: {', '.join(circles)}"] if circles else []

    @property
    def cells(self) -> tuple[Bound, ...]:
        """The bounds of each column, half a step wider at either end: those of the values behind the recorded ones.

        On a circle both bounds are one point.
        """
        return tuple(
            (low, high)
            if period is not None
            else (None if low is None else low - step / 2, None if high is None else high + step / 2)
            for (low, high), step, period in zip(self.bounds, self.steps, self.periods, strict=True)
        )

    @classmethod
    def numbered(cls, letter: str, dim: int, **facts: Any) -> Variables:
        """Columns named x1, x2, ... (or y1, y2, ...); `facts` are further arguments of `Variables`."""
        return cls(tuple(f"{letter}{i + 1}" for i in range(dim)), **facts)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; `Variables.from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Variables:
        """The inverse of `to_dict`, after a trip through JSON."""
        facts: dict[str, Any] = {
            key: value if isinstance(value, (bool, int)) else tuple(value) for key, value in d.items()
        }
        return cls(**facts)
