r"""Training pairs that stay on disk: which rows train, validate and test, and their order in an epoch.

A row's side is a function of its values and the seed alone,

.. math:: u = \mathrm{hash}(\text{row}, \text{seed}) \in [0, 1), \quad
          \text{test: } u < p_1, \quad \text{validation: } p_1 \le u < p_2, \quad \text{training: } p_2 \le u < p_3,

so that no list of rows is kept, equal rows are always on one side, and the split doesn't depend on how the file is cut
into blocks. The number of rows on a side is random around what was asked for.

An epoch takes the blocks in random order, reads as many at a time as the buffer holds, and shuffles the rows of the
buffer. The next buffer is read while the rows of one are handed out. All of it follows from (seed, epoch), and a
buffer can be passed over without reading it: a resumed run gets the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from inncli.data.pairs import Pairs
from inncli.data.relations import Relations, find_relations
from inncli.data.scan import Columns
from inncli.errors import DataError
from inncli.variables import Variables

HELD_OUT = 50_000  # rows at most to validate, to test, and to start a model from: more would tell no more
BUFFER = 1 << 20  # rows at most that are shuffled together
ORDER, ROWS, START = range(11, 14)  # streams of random numbers


class DiskRows:
    """The valid rows of a table on disk.

    Args:
        table: its columns, labels found.
        n_x: columns of x, which come first.
        valid: valid rows of each block.
        memory: bytes that the rows in memory may take.

    Raises: DataError if a block is too large to be shuffled with others in this memory.
    """

    def __init__(self, table: Columns, n_x: int, valid: list[int], memory: float) -> None:
        self.table, self.n_x, self.valid = table, n_x, valid
        self.rows, self.memory = sum(valid), memory
        self.width = width = 8 * len(table.names)
        # Two buffers and a block take three fifths; rows that start, validate and test take some, the reader the rest.
        self.buffer = int(min(memory / (4 * width), BUFFER))
        self.held_out = int(min(memory / (32 * width), HELD_OUT))
        largest = max(table.blocks.sizes)
        if 2 * largest > self.buffer or self.held_out < 100:
            least = 4 * width * max(2 * largest, 800) / 1e6
            raise DataError(
                f"{table.blocks.path.name} has blocks of {largest:,} rows, and two of them must fit in task.memory_mb; "
                f"pass task.memory_mb={np.ceil(least):.0f} or more"
                + (", or write it with smaller row groups" if table.blocks.path.suffix.lower() == ".parquet" else "")
            )

    def pairs(self, rows: np.ndarray) -> Pairs:
        """Rows, (n, Dx + Dy), as pairs, copied."""
        y = rows[:, self.n_x :].copy() if rows.shape[1] > self.n_x else None
        return Pairs(rows[:, : self.n_x].copy(), y)

    def test(self, seed: int, fraction: float) -> Pairs:
        """The test rows, in order."""
        share = self.test_share(fraction)
        return self.pairs(self._take(lambda block, rows: uniform(rows, seed) < share))

    def some(self, seed: int, fraction: float, n: int) -> Pairs:
        """N rows that are not for testing, in order; as many as there are if those are fewer."""
        low = self.test_share(fraction)
        share = n / self.rows
        high = low + share + 6 * (share / self.rows) ** 0.5 + 10 / self.rows  # six sd more than n
        rows = self._take(lambda block, rows: _between(uniform(rows, seed), low, high))
        first = np.argsort(uniform(rows, seed), kind="stable")[:n]
        return self.pairs(rows[np.sort(first)])

    def related(self, columns: Variables) -> Relations | None:
        """The relations that all rows of x satisfy, found in at most `held_out` of them; None if there is none."""
        share = self.held_out / self.rows
        sample = self._take(lambda block, rows: np.random.default_rng([0, block]).random(len(rows)) < share)
        found = find_relations(columns, sample[:, : self.n_x])
        blocks = range(len(self.valid))
        if found is None or any(found.broken(self.table.rows(block)[:, : self.n_x]).any() for block in blocks):
            return None
        return found

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N rows of x with replacement, out of at most `held_out` of them. Shape: (n, Dx)."""
        key = int(rng.integers(2**31))
        share = self.held_out / self.rows
        rows = self._take(lambda block, rows: np.random.default_rng([key, block]).random(len(rows)) < share)
        return rows[rng.integers(len(rows), size=n), : self.n_x]

    def test_share(self, fraction: float) -> float:
        """p_1, which is `fraction`, or less: no more than `held_out` rows are kept for testing."""
        return min(fraction, self.held_out / self.rows)

    def _take(self, chosen: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
        """The rows that `chosen` picks, by the number of a block and its rows, as a mask."""
        parts = []
        for block in range(len(self.valid)):
            rows = self.table.rows(block)
            parts.append(rows[chosen(block, rows)])
        return np.concatenate(parts)


class StreamedPairs:
    """The training and validation pairs of a table on disk; `split` reads it once.

    Attributes, after `split`:
        start: random training rows, at most 50,000, in the order of the file: what a model is started from.
        rows: number of training rows.
        low: the least value of each column of y in training, (Dy,).
        high: the largest, (Dy,).
    """

    def __init__(self, disk: DiskRows, seed: int, test_fraction: float, n_train: int | None) -> None:
        self._disk, self._seed = disk, seed
        self._low = disk.test_share(test_fraction)
        # Five sds below the budget, since no more rows than that may be used.
        share = 1.0 if n_train is None else (n_train - 5 * n_train**0.5) / disk.rows
        self._high = min(self._low + share, 1.0)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def split(self, fraction: float) -> tuple[Pairs, Pairs]:
        """(start, validation): finds the rows of each side; at most 50,000 validate.

        Raises: DataError if a side is empty, because many rows are equal.
        """
        disk = self._disk
        self._validation = self._low + min(fraction * (self._high - self._low), disk.held_out / disk.rows)
        held_out, start, counts = [], [], []
        width = len(disk.table.names)
        low, high = np.full(width, np.inf), np.full(width, -np.inf)
        share = disk.held_out / max(disk.rows * (self._high - self._validation), 1)
        for block in range(len(disk.valid)):
            rows = disk.table.rows(block)
            u = uniform(rows, self._seed)
            held_out.append(rows[_between(u, self._low, self._validation)])
            rows = rows[_between(u, self._validation, self._high)]
            counts.append(len(rows))
            start.append(rows[np.random.default_rng([self._seed, START, block]).random(len(rows)) < share])
            if len(rows):
                low, high = np.minimum(low, rows.min(0)), np.maximum(high, rows.max(0))
        self._counts = np.array(counts)
        self.rows = int(self._counts.sum())
        validation = np.concatenate(held_out)
        self._size = self.rows + len(validation)
        if not self.rows or (not len(validation) and fraction > 0):
            raise DataError(
                f"{disk.table.blocks.path.name} has too few different rows to split, equal ones stay together; "
                "raise task.memory_mb so that it is read whole"
            )
        self.low, self.high = low[disk.n_x :].tolist(), high[disk.n_x :].tolist()
        self.start = disk.pairs(np.concatenate(start))
        return self.start, disk.pairs(validation)

    def batches(self, epoch: int, size: int, first: int = 0) -> Iterator[Pairs]:
        """The batches of an epoch, each of `size` training rows, from the first-th on; the rest is left out."""
        groups = self._groups(epoch)
        at = first * size  # rows to pass over
        while groups and at >= groups[0][1]:
            at -= groups.pop(0)[1]
        with ThreadPoolExecutor(1, thread_name_prefix="blocks") as reader:
            coming = reader.submit(self._buffer, epoch, *groups[0]) if groups else None
            left = np.empty((0, len(self._disk.table.names)))
            for k in range(len(groups)):
                assert coming is not None  # one was submitted for each group
                rows, at = coming.result()[at:], 0
                coming = reader.submit(self._buffer, epoch, *groups[k + 1]) if k + 1 < len(groups) else None
                while len(left) + len(rows) >= size:
                    taken = size - len(left)
                    # Copies: a view of the last batch would hold a third buffer.
                    yield self._disk.pairs(np.concatenate([left, rows[:taken]]) if len(left) else rows[:taken])
                    left, rows = left[:0], rows[taken:]
                left = np.concatenate([left, rows])

    def _groups(self, epoch: int) -> list[tuple[list[int], int]]:
        """The blocks of an epoch in random order, in groups that fill a buffer, and the rows of each group."""
        order = np.random.default_rng([self._seed, ORDER, epoch]).permutation(len(self._counts))
        groups: list[tuple[list[int], int]] = []
        blocks: list[int] = []
        rows = 0
        for block in order.tolist():
            count = int(self._counts[block])
            if blocks and rows + count > self._disk.buffer:
                groups.append((blocks, rows))
                blocks, rows = [], 0
            blocks, rows = [*blocks, block], rows + count
        return [*groups, (blocks, rows)]

    def _buffer(self, epoch: int, blocks: list[int], rows: int) -> np.ndarray:
        """The training rows of a group of blocks, shuffled together."""
        table = self._disk.table
        buffer = np.empty((rows, len(table.names)))
        place = np.random.default_rng([self._seed, ROWS, epoch, blocks[0]]).permutation(rows)
        at = 0
        for block in blocks:
            found = table.rows(block)
            found = found[_between(uniform(found, self._seed), self._validation, self._high)]
            buffer[place[at : at + len(found)]] = found
            at += len(found)
        return buffer


def uniform(rows: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each row, which depends on the row and the seed alone.

    Shape: rows (n, D), out (n,).
    Reference: Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators (its mixing function).
    """
    key = np.uint64(np.random.SeedSequence([seed, ORDER]).generate_state(1, np.uint64)[0])
    mixed = np.full(len(rows), key, dtype=np.uint64)
    spare = np.empty_like(mixed)
    for column in rows.T:
        mixed ^= (column + 0.0).view(np.uint64)  # -0.0 and 0.0 are one value
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, None)):
            np.right_shift(mixed, np.uint64(shift), out=spare)
            mixed ^= spare
            if factor is not None:
                mixed *= np.uint64(factor)
    return (mixed >> np.uint64(11)) * 2.0**-53


def _between(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return (u >= low) & (u < high)
