"""What is said of a table when training starts: how cells were read, and what is odd about its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from inncli.data.relations import Relations
from inncli.data.suspicions import counts_rows, ends_in_total, missing_code
from inncli.data.tables import RawTable
from inncli.errors import DataError
from inncli.variables import Variables

NAMED = 4  # columns at most that a line names


def refuse_doubts(raw: RawTable, used: Mapping[str, int]) -> None:
    """Raises DataError for a column whose commas may be decimal commas or separators of thousands."""
    for name, i in used.items():
        if i in raw.doubts:
            raise DataError(
                f"column {name!r} of {raw.path.name}: {raw.doubts[i]}; write its numbers with a decimal point and "
                "without separators"
            )


def numbers_of_y(y: Variables | None, values: np.ndarray | None) -> list[tuple[str, np.ndarray]]:
    """The columns of y without labels, by name."""
    if y is None or values is None:
        return []
    return [(name, column) for name, labels, column in zip(y.names, y.labels, values.T, strict=True) if labels is None]


def reading_notes(raw: RawTable, used: Mapping[str, int]) -> list[str]:
    """A line on notations, and one on words taken for no value, in the columns that are used.

    Args:
        raw: the table.
        used: name and position of each column in use.
    """
    readings = {name: raw.readings[i] for name, i in used.items() if i in raw.readings}
    examples = {name: reading.example for name, reading in readings.items() if reading.example}
    gaps = {name: reading.gaps for name, reading in readings.items() if reading.gaps}
    return [
        *_line("read as numbers", [f"{name} ({was!r} as {is_:.12g})" for name, (was, is_) in examples.items()]),
        *_line("read as missing", [f"{', '.join(map(repr, words))} in {name}" for name, words in gaps.items()]),
    ]


def suspicion_notes(columns: Iterable[tuple[str, np.ndarray]], x_names: Sequence[str] = ()) -> list[str]:
    """Lines on values that may stand for a missing one, on columns of x that merely count the rows, and on totals.

    Args:
        columns: name and numbers of each, (n,).
        x_names: those of x whose rows are in the order of the file; () where they are not.
    """
    columns = list(columns)
    codes = {name: code for name, column in columns if (code := missing_code(column)) is not None}
    totals = [name for name, column in columns if x_names and ends_in_total(column)]
    counters = [name for name, column in columns if name in x_names and counts_rows(column)]
    distinct = ",".join(f"{code:.12g}" for code in dict.fromkeys(codes.values()))
    odd = [f"{name} ({code:.12g})" for name, code in codes.items()]
    return [
        *(
            f"{line}; if so pass 'task.missing_values=[{distinct}]' task.on_invalid=drop"
            for line in _line("a value far from all others may stand for a missing one", odd)
        ),
        *(
            f"{line}; leave it out with 'task.x_except=[{','.join(counters)}]'"
            for line in _line("it merely counts the rows", counters)
        ),
        *(f"{line}; if so delete it" for line in _line("the last row seems to be the sum of all others", totals)),
    ]


def relation_notes(relations: Relations | None) -> tuple[str, ...]:
    """A line on the columns of x that follow from the others."""
    if relations is None:
        return ()
    return tuple(
        f"{line}; left out of the model and computed for draws, or not with task.relations=false"
        for line in _line("columns of x follow from others", relations.describe())
    )


def _line(said: str, entries: list[str]) -> list[str]:
    """One line with a few of the entries, or none."""
    if not entries:
        return []
    more = len(entries) - NAMED
    return [f"{said}: {', '.join(entries[:NAMED])}" + (f" and {more} more columns" if more > 0 else "")]
