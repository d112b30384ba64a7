"""Pairs (x, y): draws them in blocks, splits them by groups, keeps them on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inncli.errors import CheckpointError, DataError, ShapeError
from inncli.io.atomic import atomic_path
from inncli.io.npz import read_npz
from inncli.io.permissions import closed

# Pairs are drawn this many at a time, each block from a generator of its own, so that the result
# depends on the seed alone and not on how many workers shared the blocks.
BLOCK = 1_000


@dataclass(frozen=True)
class Pairs:
    """Matched rows of x and y.

    A categorical column of y holds the codes 0, 1, ... of its labels (see `Variables.labels`).

    Shape: x (n, Dx) and y (n, Dy), float64; y is None for a density p(x).
    Raises: ShapeError if either is not 2-D or the two differ in rows.
    """

    x: np.ndarray
    y: np.ndarray | None = None

    def __post_init__(self) -> None:
        for key in ("x", "y") if self.y is not None else ("x",):
            value = np.asarray(getattr(self, key), dtype=np.float64)
            if value.ndim != 2:
                raise ShapeError(f"{key} of pairs must be 2-D (rows, columns), got shape {value.shape}")
            object.__setattr__(self, key, value)
        if self.y is not None and len(self.x) != len(self.y):
            raise ShapeError(f"x and y must have as many rows, got {len(self.x)} and {len(self.y)}")

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: np.ndarray | slice) -> Pairs:
        """The rows at `index`: integers (m,), a boolean mask (n,) or a slice."""
        return Pairs(self.x[index], None if self.y is None else self.y[index])

    @staticmethod
    def concatenate(parts: Iterable[Pairs]) -> Pairs:
        """All rows of all parts, in order."""
        parts = list(parts)
        y = None if parts[0].y is None else np.concatenate([part.y for part in parts if part.y is not None])
        return Pairs(np.concatenate([part.x for part in parts]), y)


def draw_blocks(
    draw: Callable[[int, np.random.Generator], Pairs],
    n: int,
    key: Sequence[int],
    mapper: Callable[..., Iterable[Pairs]] = map,
    check_first: Callable[[Pairs], None] | None = None,
) -> Pairs:
    """Draws n pairs, block b with the generator seeded by (*key, b).

    Args:
        draw: draws a given number of pairs with a given generator.
        n: pairs in all, at least 1.
        key: seed and stream, non-negative.
        mapper: `map`, or the `map` of an executor: the pairs are the same.
        check_first: called with the first of several blocks; what it raises saves the others.
    """
    sizes = [min(BLOCK, n - start) for start in range(0, n, BLOCK)]
    generators = [np.random.default_rng([*key, block]) for block in range(len(sizes))]
    parts: list[Pairs] = []
    with contextlib.closing(_drawn(mapper(draw, sizes, generators))) as drawn:
        for part in drawn:
            if check_first is not None and not parts and len(sizes) > 1:
                check_first(part)
            parts.append(part)
    return Pairs.concatenate(parts)


def _drawn(parts: Iterable[Pairs]) -> Generator[Pairs]:
    """The parts as they come; closing it ends the processes that draw the others."""
    try:
        yield from parts
    finally:
        if isinstance(parts, Generator):
            parts.close()


def row_groups(pairs: Pairs) -> np.ndarray:
    """Group ids, (n,) int: rows equal in every column of x and y share one."""
    rows = pairs.x if pairs.y is None else np.hstack([pairs.x, pairs.y])
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def split_index(
    n: int, fraction: float, rng: np.random.Generator, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Splits 0..n-1 at random into a large and a small side, each group wholly on one side.

    The small side has round(fraction * n) rows, at least one and not all of them; a group that would
    overshoot is passed over, so that the count is met wherever the sizes of the groups allow it.

    Args:
        n: number of rows.
        fraction: the small side's share of the rows.
        rng: draws the order in which groups go to the small side.
        groups: id of each row's group, (n,); None makes each row a group.

    Returns: sorted indices of the large and of the small side, (n - m,) and (m,).
    Raises: DataError if there are not two groups to separate.
    """
    groups = np.arange(n) if groups is None else np.asarray(groups)
    ids, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(ids) < 2:
        raise DataError(f"at least 2 different rows are needed for a split, got {len(ids)}; add data")
    room = min(max(round(fraction * n), 1), n - 1)
    small = np.zeros(len(ids), dtype=bool)
    order = rng.permutation(len(ids))
    for group in order:
        if sizes[group] <= room:
            small[group] = True
            room -= sizes[group]
    if not small.any():  # every group is larger than the small side should be
        small[order[np.argmin(sizes[order])]] = True
    in_small = small[group_of_row.reshape(-1)]
    return np.flatnonzero(~in_small), np.flatnonzero(in_small)


def split(
    pairs: Pairs, fraction: float, rng: np.random.Generator, groups: np.ndarray | None = None
) -> tuple[Pairs, Pairs]:
    """(training, validation) pairs, `fraction` of them for validation; see `split_index`."""
    large, small = split_index(len(pairs), fraction, rng, groups)
    return pairs.take(large), pairs.take(small)


def save_pairs(path: Path, pairs: Pairs) -> None:
    """Writes an .npz with `x` and, where there is one, `y`: whole or not at all."""
    arrays = {"x": pairs.x} if pairs.y is None else {"x": pairs.x, "y": pairs.y}
    with atomic_path(path) as tmp, open(tmp, "wb") as f:
        np.savez(f, **arrays)  # type: ignore[arg-type]  # the stub gives `**arrays` to `allow_pickle` too


def load_pairs(path: Path) -> Pairs:
    """Reads what `save_pairs` wrote.

    Raises: CheckpointError if the file is missing, cut short or holds something else.
    """
    try:
        arrays = read_npz(path)
        pairs = Pairs(arrays["x"], arrays.get("y"))
        if not all(np.isfinite(part).all() for part in (pairs.x, pairs.y) if part is not None):
            raise ValueError("it holds a value that is not finite")
        return pairs
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; train again") from None
    except PermissionError:
        raise closed(path) from None
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} is not a whole pairs file ({reason}); restore it or train again") from error
