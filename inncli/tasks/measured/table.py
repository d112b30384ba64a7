"""The user's own table: some of its columns are the unknowns x, others the observation y."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from inncli.data import chunks
from inncli.data.codes import without_codes
from inncli.data.names import plain_name
from inncli.data.observations import label_text
from inncli.data.pairs import Pairs
from inncli.data.relations import Relations, find_relations
from inncli.data.scan import Columns, Scan
from inncli.data.stream import DiskRows, StreamedPairs
from inncli.data.table_copy import TableCopy
from inncli.data.tables import known_path, read_table
from inncli.errors import ConfigError, DataError
from inncli.io.atomic import file_sha256
from inncli.numerics import circle
from inncli.tasks.base import Task, check_spread
from inncli.tasks.measured.base import Rows
from inncli.tasks.measured.described import as_numbers, circles_of, x_variables, y_variables
from inncli.tasks.measured.notes import (
    numbers_of_y,
    reading_notes,
    refuse_doubts,
    relation_notes,
    suspicion_notes,
)
from inncli.tasks.measured.roles import as_words, roles_of
from inncli.tasks.measured.validity import valid_rows
from inncli.types import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from inncli.variables import Circle, Variables

COPIES = 20  # times the size of its numbers is the most memory that a table takes, while equal rows are found


class Table(Rows):
    """Measured rows from a CSV, Parquet, NPZ or NPY file.

    A table too large for `memory_mb` stays on disk (`inncli.data.stream`), and no more than 50,000 of its rows are
    kept for testing or validation. The facts that the model needs are found in the columns of x, over all rows, and
    can be overridden: bounds around each column's values (`x_bounds`), the resolution at which it was recorded
    (`steps`), and the values that many rows share (point masses).

    Args:
        file: path of a .csv, .tsv, .parquet, .npz or .npy file.
        x: columns of x (one name, or a list); None is all columns but those of y and of `x_except`.
        y: columns of y; [] is none, the density p(x). None is the last `n_y` columns of a CSV without a
            header, array y of an NPZ, and a mistake where the columns have names.
        n_y: columns of y at the end of a CSV without a header; None is 1, or as many as the names y1, y2, ... in `x`
            and `y` say.
        y_kind: class makes every column of y categorical; number none; auto those that hold text.
        on_invalid: whether rows with a missing or infinite value in x or y are refused or dropped.
        test_fraction: share of the rows set aside for `test_pairs`.
        margin: how far beyond the range of its values the bounds of a column reach, in widths of that range. A
            column without a negative value stays non-negative.
        x_bounds: name -> [low, high] instead of those bounds; null is open.
        steps: name -> resolution instead of the one found; 0 is continuous.
        periodic: name -> [low, high] of a column of x on a circle, where these two are one point. It has no margin and
            no point masses.
        n_train: rows to train and validate on, at random; None is all but the test rows.
        fresh: must be false.
        memory_mb: memory that the rows may take, in 10^6 bytes. A table that would take more is read block by block,
            several times; so it must not be CSV, nor compressed NPZ. None reads any table whole.
        keep_mb: the most that a copy of the rows in the run may take, in 10^6 bytes; 0 keeps none. Of a table that is
            read block by block there is none.
        x_except: columns that are left out where `x` is None.
        header: whether the first line of a CSV holds the names of its columns; None tells by its looks.
        missing_values: numbers and words that stand for a missing value, such as -999.
        relations: whether columns of x that follow from the others in every row are left out of the model and computed.

    Attributes:
        notes: how the table was read and what is odd about it, one line each.

    Raises: ConfigError and DataError, one line each, for a wrong name, option or value in the table.
    """

    def __init__(
        self,
        file: str,
        x: str | int | None | list[str | int] = None,
        y: str | int | None | list[str | int] = None,
        n_y: PositiveInt | None = None,
        y_kind: Literal["auto", "number", "class"] = "auto",
        on_invalid: Literal["refuse", "drop"] = "refuse",
        test_fraction: Fraction = 0.1,
        margin: NonNegativeFloat = 0.2,
        x_bounds: dict[str | int, list[float | None]] | None = None,
        steps: dict[str | int, float] | None = None,
        n_train: PositiveInt | None = None,
        fresh: bool = False,
        memory_mb: PositiveFloat | None = 2000,
        keep_mb: NonNegativeFloat = 50,
        x_except: str | int | None | list[str | int] = None,
        header: bool | None = None,
        missing_values: list[str | float] | None = None,
        relations: bool = True,
        periodic: dict[str | int, list[float]] | None = None,
    ) -> None:
        if fresh:
            raise ConfigError("task.fresh=true needs a simulator, a table has only its rows; drop task.fresh")
        asked_x, asked_y, left_out = as_words(x), as_words(y), as_words(x_except)
        bounds = {plain_name(str(name)): ends for name, ends in (x_bounds or {}).items()}
        resolutions = {plain_name(str(name)): step for name, step in (steps or {}).items()}
        circles = circles_of(bounds, {plain_name(str(name)): ends for name, ends in (periodic or {}).items()})
        codes = missing_values or []
        self._disk: DiskRows | None = None
        self._keep = 1e6 * keep_mb
        if memory_mb is not None and _too_large(known_path(file), memory_mb):
            Task.__init__(self, n_train, fresh=False)
            self.test_fraction = test_fraction
            self._disk = self._open(
                file,
                asked_x,
                asked_y,
                left_out,
                n_y,
                y_kind,
                on_invalid,
                margin,
                bounds,
                resolutions,
                circles,
                memory_mb,
                codes,
            )
            self._check_sizes(self._disk.rows, Path(file).name)
            if relations:
                self._relate(self._disk.related(self.x))
            return
        raw = read_table(file, header)
        x_names, y_names, positions = roles_of(raw, asked_x, asked_y, n_y, left_out)
        used = {name: positions[name] for name in x_names + y_names}
        refuse_doubts(raw, used)
        by_name = {name: without_codes(raw.columns[i], codes) for name, i in used.items()}
        rows, dropped, self.read_rows = valid_rows(raw, by_name, x_names + y_names, on_invalid)
        by_name = {name: column[rows] for name, column in by_name.items()}
        x_values = np.column_stack(
            [
                as_numbers(raw, "x", name, by_name[name], "name the columns of x in task.x without it")
                for name in x_names
            ]
        )
        self.x = x_variables(raw, x_names, x_values.T, margin, bounds, resolutions, circles)
        for i, on in enumerate(self.x.circles):
            if on is not None:
                x_values[:, i] = circle.turned(x_values[:, i], on)
        self.y, y_values = y_variables(raw, y_names, by_name, y_kind)
        super().__init__(Pairs(x_values, y_values), raw.path.name, test_fraction, n_train)
        # After `Rows.__init__`, which refuses a single row: there all columns are constant.
        check_spread(self.x, x_values, self.y, y_values)
        self.dropped = dropped
        numbers = [*zip(x_names, x_values.T, strict=True), *numbers_of_y(self.y, y_values)]
        self.notes = (*raw.notes, *reading_notes(raw, used), *suspicion_notes(numbers, x_names))
        if relations:
            self._relate(find_relations(self.x, x_values))
        self._fingerprint = {"file": str(raw.path), "sha256": raw.sha256}

    def _open(
        self,
        file: str,
        x: list[str] | None,
        y: list[str] | None,
        x_except: list[str] | None,
        n_y: int | None,
        y_kind: str,
        on_invalid: str,
        margin: float,
        x_bounds: dict[str, list[float | None]],
        steps: dict[str, float],
        circles: dict[str, Circle],
        memory_mb: float,
        codes: Sequence[str | float],
    ) -> DiskRows:
        """Sets the facts of a table that stays on disk, and returns its rows."""
        path = known_path(file)
        self._fingerprint = {"file": str(path.resolve()), "sha256": file_sha256(path)}
        raw = chunks.open_blocks(path)
        if not raw.columns or not raw.rows:
            raise DataError(f"{path} has no rows")
        x_names, y_names, positions = roles_of(raw, x, y, n_y, x_except)
        handles = [raw.columns[positions[name]] for name in x_names + y_names]
        table = Columns(raw, x_names + y_names, handles, codes)
        found = Scan(table, len(x_names), y_kind, on_invalid == "refuse", 1e6 * memory_mb)
        values = [
            as_numbers(raw, "x", name, column)
            for name, column in zip(x_names, found.values[: len(x_names)], strict=True)
        ]
        self.x = x_variables(raw, x_names, values, margin, x_bounds, steps, circles)
        labels: list[tuple[str, ...] | None] = []
        for name, words, column in list(zip(table.names, table.labels, found.values, strict=True))[len(x_names) :]:
            labels.append(None if words is None else tuple(label_text(word) for word in words.tolist()))
            as_numbers(raw, "y", name, column)
        self.y = Variables(y_names, labels=tuple(labels)) if y_names else None
        ends = np.stack([found.low, found.high])
        check_spread(self.x, ends[:, : len(x_names)], self.y, ends[:, len(x_names) :], found.rows)
        self.read_rows, self.dropped = raw.rows, found.dropped
        numeric = [
            (name, column)
            for name, words, column in zip(table.names, table.labels, found.values, strict=True)
            if words is None
        ]
        self.notes = (*raw.notes, *suspicion_notes(numeric))
        return DiskRows(table, len(x_names), found.valid, 1e6 * memory_mb)

    def _relate(self, relations: Relations | None) -> None:
        """Keeps the relations that were found between columns of x, and says them."""
        self.relations = relations
        self.notes += relation_notes(relations)

    def training_pairs(self, seed: int) -> Pairs | StreamedPairs:
        """Rows to train and validate on; they stay on disk where they are too large for the memory."""
        if self._disk is None:
            return super().training_pairs(seed)
        if self.n_train is not None and COPIES * self.n_train * self._disk.width <= self._disk.memory:
            return self._disk.some(seed, self.test_fraction, self.n_train)
        return StreamedPairs(self._disk, seed, self.test_fraction, self.n_train)

    def test_pairs(self, seed: int, n: int | None = None) -> Pairs:
        if self._disk is None:
            return super().test_pairs(seed, n)
        return self._disk.test(seed, self.test_fraction).take(slice(n))

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return super().prior(n, rng) if self._disk is None else self._disk.draw(n, rng)

    def rows_to_keep(self) -> TableCopy | None:
        if self._disk is not None:
            return None
        width = self.x.dim + (0 if self.y is None else self.y.dim)
        if 8 * len(self._pairs) * width > self._keep:
            return None
        return TableCopy(self._pairs, self.x, self.y, self.read_rows, self.dropped, **self._fingerprint)

    def fingerprint(self) -> dict[str, str]:
        return dict(self._fingerprint)

    def describe(self) -> list[str]:
        rows = len(self._pairs) if self._disk is None else self._disk.rows
        lines = [*super().describe(), f"rows: {rows:,} of {self.read_rows:,} in {self._fingerprint['file']}"]
        lines += self.notes
        if self.dropped:
            lines.append(f"dropped: {self.dropped:,} rows with a missing or non-finite value")
        if self._disk is not None:
            return [
                *lines,
                f"on disk: read in {len(self._disk.valid):,} blocks, {self._disk.buffer:,} rows shuffled at a time",
                *self._label_lines(),
            ]
        repeated = len(self._pairs) - len(np.unique(self._groups))
        if repeated:
            lines.append(f"exact duplicates of another row: {repeated:,}, kept on one side of every split")
        zeros = {
            name: (self._pairs.x[:, i] == 0).mean() for i, name in enumerate(self.x.names) if 0.0 in self.x.heaps[i]
        }
        if zeros:
            lines.append("exact zeros: " + ", ".join(f"{name} {share:.0%}" for name, share in zeros.items()))
        return lines + self._label_lines()

    def _label_lines(self) -> list[str]:
        known = zip(self.y.names, self.y.labels, strict=True) if self.y else ()
        return [f"{name} is one of: " + ", ".join(labels) for name, labels in known if labels]


def _too_large(path: Path, memory_mb: float) -> bool:
    """Whether a table, read whole, takes more than this memory. Raises: DataError where it can't be streamed."""
    if path.suffix.lower() in chunks.SUFFIXES:
        return COPIES * 8 * (chunks.cells(path) or 0) > 1e6 * memory_mb
    # A number written out takes about as many bytes as in memory.
    size = path.stat().st_size if path.is_file() else 0
    if COPIES * size > 1e6 * memory_mb:
        raise DataError(
            f"{path} has {size / 1e6:,.0f} MB, read whole it takes about {COPIES} times as much, more than "
            f"task.memory_mb={memory_mb:g}, and a text can't be streamed; convert it to Parquet, e.g. "
            "pandas.read_csv(...).to_parquet(...), or raise task.memory_mb"
        )
    return False
