"""What is known about the columns of x or of y: names, bounds, recording steps, labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

Bound = tuple[float | None, float | None]


@dataclass(frozen=True)
class Variables:
    """The columns of x or of y, in order.

    Args:
        names: one name a column, in the user's words.
        bounds: (low, high) a column, None where open; empty means all open.
        steps: recording step a column in the column's unit, 0 where continuous; a value v
            stands for the cell [v - step/2, v + step/2). Empty means all continuous.
        heaps: values a column that many rows share exactly (a heap of zeros, say).
        labels: the labels of a categorical column, whose values are then the codes 0, 1, ...;
            None for a number. Empty means all numbers.
        simplex: whether the columns are all but the last of the shares of a whole: none below 0, their sum
            at most 1.
    """

    names: tuple[str, ...]
    bounds: tuple[Bound, ...] = ()
    steps: tuple[float, ...] = ()
    heaps: tuple[tuple[float, ...], ...] = ()
    labels: tuple[tuple[str, ...] | None, ...] = field(default=())
    simplex: bool = False

    def __post_init__(self) -> None:
        d = len(self.names)
        fill = {"bounds": (None, None), "steps": 0.0, "heaps": (), "labels": None}
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
    def cells(self) -> tuple[Bound, ...]:
        """Bounds of the spread values: half a recording step wider than those of the recorded ones."""
        return tuple(
            (None if low is None else low - step / 2, None if high is None else high + step / 2)
            for (low, high), step in zip(self.bounds, self.steps)
        )

    @classmethod
    def numbered(cls, letter: str, dim: int, **facts) -> Variables:
        """Columns named x1, x2, ... (or y1, y2, ...)."""
        return cls(tuple(f"{letter}{i + 1}" for i in range(dim)), **facts)

    def to_dict(self) -> dict:
        """A JSON-ready dict; `Variables.from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, d: dict) -> Variables:
        """The inverse of `to_dict`, after a trip through JSON."""
        return cls(**{key: value if isinstance(value, bool) else tuple(value) for key, value in d.items()})
