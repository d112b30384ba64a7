"""Which rows of a table have a value in every column that is used."""

from __future__ import annotations

import numpy as np

from inncli.data.cells import missing
from inncli.data.tables import RawTable
from inncli.errors import DataError


def valid_rows(
    raw: RawTable, by_name: dict[str, np.ndarray], names: tuple[str, ...], on_invalid: str
) -> tuple[np.ndarray, int, int]:
    """Mask of rows whose cells are all present and finite, how many are not, and how many there were."""
    invalid = {
        name: missing(column) | (np.isinf(column) if column.dtype.kind == "f" else False)
        for name, column in by_name.items()
        if name in names
    }
    bad = np.logical_or.reduce(list(invalid.values()))
    count = int(bad.sum())
    empty = [name for name, column in by_name.items() if name in names and missing(column).all()]
    if empty:
        raise DataError(
            f"{', '.join(map(repr, empty))} of {raw.path.name} {'has' if len(empty) == 1 else 'have'} no value in any "
            f"row; leave {'it' if len(empty) == 1 else 'them'} out, e.g. with task.x_except"
        )
    if count and on_invalid == "refuse":
        row = int(np.flatnonzero(bad)[0])
        name = next(name for name in names if invalid[name][row])
        raise DataError(
            f"{count:,} of {raw.rows:,} rows of {raw.path.name} have a missing or non-finite value (the "
            f"first: {name!r} in row {row + 1}); fill them in or pass task.on_invalid=drop"
        )
    if bad.all():
        raise DataError(f"every row of {raw.path.name} has a missing or non-finite value in {', '.join(names)}")
    return ~bad, count, raw.rows
