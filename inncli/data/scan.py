"""Reads every row of a table on disk once: finds what is invalid, the range of each column, and a sample of it.

Counts and ranges are exact; for all else the sample of a column answers as the whole column would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inncli.data import columns
from inncli.data.cells import not_a_number
from inncli.data.chunks import Blocks, Text
from inncli.data.codes import without_codes
from inncli.errors import DataError

SAMPLED = 200_000  # values at most by which point masses are found, and how many values are distinct
MOST_LABELS = 10_000
NUMBERS = "number"


class Columns:
    """The columns that are used of a table on disk, as numbers: labels as their codes.

    Args:
        blocks: the table.
        names: those of the columns, x first.
        handles: the handles by which `Blocks.read` takes them.
        codes: what stands for a missing value.

    Attributes:
        labels: of each column; None for numbers. They are found by a `Scan`.
    """

    def __init__(
        self, blocks: Blocks, names: tuple[str, ...], handles: Sequence[Any], codes: Sequence[str | float] = ()
    ) -> None:
        self.blocks, self.names, self.handles, self.codes = blocks, names, handles, codes
        self.labels: list[np.ndarray | None] = [None] * len(names)

    def raw(self, block: int) -> tuple[list[np.ndarray | Text], np.ndarray]:
        """The columns of a block, (n,) each, and which of its rows have a finite value in all of them, (n,) bool."""
        found = self.blocks.read(block, self.handles)
        if self.codes:
            found = [_without_codes(column, self.codes) for column in found]
        valid = np.ones(self.blocks.sizes[block], dtype=bool)
        for column in found:
            valid &= ~invalid(column)
        return found, valid

    def rows(self, block: int) -> np.ndarray:
        """The valid rows of a block, (n, D) float64."""
        found, valid = self.raw(block)
        rows = np.empty((int(valid.sum()), len(found)))
        for i, (column, labels) in enumerate(zip(found, self.labels, strict=True)):
            rows[:, i] = self._codes(column, labels)[valid]
        return rows

    def _codes(self, column: np.ndarray | Text, labels: np.ndarray | None) -> np.ndarray:
        if isinstance(column, Text):
            assert labels is not None  # a `Scan` finds the labels of every column of text
            codes: np.ndarray = np.append(np.searchsorted(labels, column.words), -1)[column.codes]
            return codes
        return column if labels is None else np.searchsorted(labels, column)


class Scan:
    """Reads every block once. Raises: DataError for text where a number is needed, and for too many labels.

    Args:
        table: its `labels` are set.
        n_x: columns of x, which come first.
        y_kind: as in `Table`.
        refuse: whether an invalid row is an error.
        memory: bytes that the sample may take.

    Attributes:
        rows: number of valid rows.
        dropped: number of the others.
        valid: number of valid rows of each block.
        values: a sample of each column, (m,), with the range of the whole column and on the same grids.
        low: the least value of each column, (D,).
        high: the largest, (D,).
    """

    def __init__(self, table: Columns, n_x: int, y_kind: str, refuse: bool, memory: float) -> None:
        self._table, self._n_x = table, n_x
        self._name = table.blocks.path.name
        n = len(table.names)
        self.valid: list[int] = []
        self.low, self.high = np.full(n, np.inf), np.full(n, -np.inf)
        self._sample: list[list[np.ndarray]] = [[] for _ in range(n)]
        # By decimals, a value off that grid; by -1, a value of more than 32 bits.
        self._witness: list[dict[int, float]] = [{} for _ in range(n)]
        self._words: list[set[Any]] = [set() for _ in range(n)]
        self._kinds: list[set[str]] = [set() for _ in range(n)]
        self._bad = 0
        self._first: tuple[str, int] | None = None  # column and row of the first invalid value
        share = min(SAMPLED, memory / (32 * n)) / max(table.blocks.rows, 1)
        for block in range(len(table.blocks.sizes)):
            found, valid = table.raw(block)
            self._note_invalid(block, found, valid)
            self.valid.append(int(valid.sum()))
            chosen = np.random.default_rng([0, block]).random(self.valid[-1]) < share
            for i, column in enumerate(found):
                self._note(i, column, valid, chosen, y_kind)
        self._refuse(refuse)
        self.rows, self.dropped = sum(self.valid), self._bad
        self._label(y_kind)
        self.values = [
            np.concatenate([*parts, [low, high], list(witness.values())])
            for parts, low, high, witness in zip(self._sample, self.low, self.high, self._witness, strict=True)
        ]

    def _note_invalid(self, block: int, found: list[np.ndarray | Text], valid: np.ndarray) -> None:
        if self._first is None and not valid.all():
            row = int(np.argmin(valid))
            by_name = zip(self._table.names, found, strict=True)
            name = next(name for name, column in by_name if invalid(column)[row])
            self._first = name, sum(self._table.blocks.sizes[:block]) + row + 1
        self._bad += int((~valid).sum())

    def _note(self, i: int, column: np.ndarray | Text, valid: np.ndarray, chosen: np.ndarray, y_kind: str) -> None:
        is_y = i >= self._n_x
        if isinstance(column, Text):
            if not is_y or y_kind == NUMBERS:
                self._refuse_text(i, column)
            self._kinds[i].add("text")
            self._words[i].update(column.words[np.unique(column.codes[valid])].tolist())
        else:
            self._kinds[i].add(column.dtype.kind)
            if is_y and (y_kind == "class" or (y_kind == "auto" and column.dtype.kind == "b")):
                self._words[i].update(np.unique(column[valid]).tolist())
        if len(self._words[i]) > MOST_LABELS:
            raise DataError(
                f"y column {self._table.names[i]!r} of {self._name} has more than {MOST_LABELS:,} different "
                "labels; a class needs several rows a label, is it a name or a number?"
            )
        if not isinstance(column, Text) and valid.any():
            self._note_numbers(i, column[valid].astype(np.float64, copy=False), chosen)

    def _note_numbers(self, i: int, values: np.ndarray, chosen: np.ndarray) -> None:
        self.low[i], self.high[i] = min(self.low[i], values.min()), max(self.high[i], values.max())
        self._sample[i].append(values[chosen])
        witness = self._witness[i]
        for decimals in range(columns.FINEST_STEP + 1):
            if decimals not in witness and (off := columns.off_grid(values, decimals)).any():
                witness[decimals] = float(values[np.argmax(off)])
        # Without such a value the sample would pass for 32-bit numbers, which lie on a grid less exactly.
        if -1 not in witness and (wide := columns.more_than_32_bits(values)).any():
            witness[-1] = float(values[np.argmax(wide)])

    def _refuse_text(self, i: int, column: Text) -> None:
        is_y = i >= self._n_x
        advice = "leave task.y_kind at auto" if is_y else "name the columns of x in task.x without it"
        word = str(column.words[0]) if len(column.words) else ""
        kind, mend = not_a_number(word)
        raise DataError(
            f"{'y' if is_y else 'x'} column {self._table.names[i]!r} of {self._name} holds {kind} ({word!r}), "
            f"a number was expected; {mend} or {advice}"
        )

    def _refuse(self, refuse: bool) -> None:
        total = self._table.blocks.rows
        if self._first is not None and refuse:
            name, row = self._first
            raise DataError(
                f"{self._bad:,} of {total:,} rows of {self._name} have a missing or non-finite value (the first: "
                f"{name!r} in row {row}); fill them in or pass task.on_invalid=drop"
            )
        if not sum(self.valid):
            raise DataError(
                f"every row of {self._name} has a missing or non-finite value in {', '.join(self._table.names)}"
            )

    def _label(self, y_kind: str) -> None:
        """Sets the labels of the columns of y that have some; their range is that of the codes."""
        for i in range(self._n_x, len(self._kinds)):
            kinds = self._kinds[i]
            if not (y_kind == "class" or (y_kind == "auto" and "f" not in kinds)):
                continue
            if "text" in kinds and len(kinds) > 1:
                raise DataError(
                    f"y column {self._table.names[i]!r} of {self._name} holds text in some blocks and numbers "
                    "in others; write it as one type"
                )
            words = sorted(self._words[i])
            self._table.labels[i] = np.array(words)
            self.low[i], self.high[i] = 0.0, len(words) - 1.0
            self._sample[i], self._witness[i] = [], {}


def _without_codes(column: np.ndarray | Text, codes: Sequence[str | float]) -> np.ndarray | Text:
    """A column whose codes are missing values."""
    if isinstance(column, Text):
        coded = np.append(np.isin(column.words, [str(code) for code in codes]), False)
        return Text(np.where(coded[column.codes], -1, column.codes), column.words)
    return without_codes(column, codes)


def invalid(column: np.ndarray | Text) -> np.ndarray:
    """Where a column, (n,), has no finite value, (n,) bool."""
    if isinstance(column, Text):
        return column.codes < 0
    return ~np.isfinite(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)
