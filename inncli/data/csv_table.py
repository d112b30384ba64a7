"""Reads the columns of a CSV file: numbers in whatever notation, truth values, text."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv as pa_csv

from inncli.data.arrow import column_of, line_of
from inncli.data.cells import DoubtError, Reading, is_gap, looks_numeric, missing, read_numbers
from inncli.data.csv_text import CsvText, are_row_names, csv_text
from inncli.errors import DataError
from inncli.io.harmless import unguarded

_RAGGED = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")


@dataclass(frozen=True)
class CsvTable:
    """The columns of a CSV file; its attributes are those of `tables.RawTable`."""

    names: tuple[str, ...] | None
    columns: tuple[np.ndarray, ...]
    notes: tuple[str, ...]
    readings: dict[int, Reading]
    doubts: dict[int, str]


def read_csv(path: Path, data: bytes, header: bool | None = None) -> CsvTable:
    """Reads the bytes of a CSV file.

    Args:
        path: the file, for its suffix and for an error.
        data: its bytes.
        header: whether its first line holds the names of the columns; None tells by its looks.

    Raises: DataError, one line, if it is no text, or no table.
    """
    text = csv_text(path, data, header)
    columns = _parsed(path, text)
    names = None if text.names is None else tuple(unguarded(name) for name in text.names)
    notes = list(text.notes)
    # A trailing delimiter on every line makes a last column with neither name nor values, a spreadsheet any other one.
    while names is None and len(columns) > 1 and missing(columns[-1]).all():
        columns = columns[:-1]
    if names is not None:
        held = [i for i, column in enumerate(columns) if names[i] or not missing(column).all()] or [0]
        names, columns = tuple(names[i] for i in held), [columns[i] for i in held]
        columns, units = _without_units(path, names, columns, text)
        names, columns, counter = _without_row_names(names, columns)
        notes += units + counter
    readings: dict[int, Reading] = {}
    doubts: dict[int, str] = {}
    for i, column in enumerate(columns):
        if column.dtype == object:
            try:
                reading = _numbers(column, text)
            except DoubtError as doubt:
                doubts[i] = str(doubt)
                continue
            if reading is not None:
                readings[i] = reading
    read = tuple(readings[i].values if i in readings else column for i, column in enumerate(columns))
    return CsvTable(names, read, tuple(notes), readings, doubts)


def _numbers(column: np.ndarray, text: CsvText) -> Reading | None:
    return read_numbers(column, text.points, text.delimiter != ",")


def _parsed(path: Path, text: CsvText) -> list[np.ndarray]:
    """The columns as pyarrow reads them."""
    if not text.rows:
        return [np.empty(0) for _ in text.names or ()]
    try:
        table = pa_csv.read_csv(
            io.BytesIO(text.rows.encode()),
            # One block, so that the type of a column is found from all its rows.
            read_options=pa_csv.ReadOptions(
                block_size=min(max(4 * len(text.rows), 1 << 20), 2**31 - 1),
                autogenerate_column_names=text.names is None,
                column_names=None if text.names is None else [f"f{i}" for i in range(len(text.names))],
                use_threads=False,
            ),
            parse_options=pa_csv.ParseOptions(delimiter=text.delimiter, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                decimal_point="," if text.decimal_comma else ".", strings_can_be_null=True, timestamp_parsers=[]
            ),
        )
    except pa.ArrowInvalid as error:
        mend = "delete what stands above the table" if text.names and len(text.names) == 1 else "mend that row"
        raise DataError(f"{path} is not a readable CSV table ({_said(error, text)}); {mend}") from error
    columns = [_unguarded(column_of(path, f"column {i + 1}", column)) for i, column in enumerate(table.columns)]
    # A quote that is left open takes all that follows into one cell.
    if text.rows.count('"') % 2 and any("\n" in str(column[-1]) for column in columns if len(column)):
        raise DataError(f"{path} is not a readable CSV table (a quote is left open); mend that row")
    return columns


def _unguarded(column: np.ndarray) -> np.ndarray:
    """Words as they were before `harmless.guarded` kept a spreadsheet from computing them."""
    if column.dtype != object:
        return column
    return np.array([None if word is None else unguarded(word) for word in column], dtype=object)


def _said(error: pa.ArrowInvalid, text: CsvText) -> str:
    ragged = _RAGGED.search(str(error))
    if ragged is None:
        return line_of(error)
    if text.names is not None and len(text.names) == 1:
        return f"its first line, {text.names[0][:40]!r}, parts into one cell, row {ragged[1]} below into {ragged[3]}"
    where = " below the header" if text.names is not None else ""
    return f"row {ragged[1]}{where}: Expected {ragged[2]} columns, got {ragged[3]}"


def _without_units(
    path: Path, names: tuple[str, ...], columns: list[np.ndarray], text: CsvText
) -> tuple[list[np.ndarray], list[str]]:
    """The columns without a first row that holds their units: words above numbers, and no number but 1.

    Raises: DataError if such a word stands below no name: it is a name itself, in a second line of them.
    """
    if not columns or len(columns[0]) < 3:
        return columns, []
    units = [_unit(column) for column in columns]
    if any(unit is None for unit in units) or not any(units):
        return columns, []
    for i, (unit, column) in enumerate(zip(units, columns, strict=True)):
        if unit and not _reads_as_numbers(column[1:], text):
            if unit in column[1:]:
                return columns, []  # a label
            units[i] = ""
    if not any(units):
        return columns, []
    bare = next((unit for i, unit in enumerate(units) if unit and i and not names[i]), None)
    if bare is not None:
        raise DataError(f"{path} has two lines of names, no name stands above {bare!r}; make one line of them")
    said = ", ".join(f"{name} in {unit}" for name, unit in zip(names, units, strict=True) if unit)
    rest = [column[1:] for column in columns]
    return [_plain(column, text) for column in rest], [f"a line of units is left out: {said}"]


def _unit(column: np.ndarray) -> str | None:
    """What may be a unit in the first cell, "" where it holds nothing; None for a number."""
    if column.dtype != object:
        return "" if missing(column[:1])[0] or column[0] == 1 else None
    cell = column[0]
    if cell is None or is_gap(cell) or cell == "1":
        return ""
    return None if looks_numeric(cell) else cell


def _reads_as_numbers(column: np.ndarray, text: CsvText) -> bool:
    try:
        return _numbers(column, text) is not None
    except DoubtError:
        return True


def _plain(column: np.ndarray, text: CsvText) -> np.ndarray:
    """A column of text as plain numbers or truth values, where a word above them made text of them all."""
    if column.dtype != object:
        return column
    if set(column) <= {"true", "false", "True", "False", "TRUE", "FALSE"}:
        return np.array([cell.lower() == "true" for cell in column])
    cells = [None if cell is None else cell.replace(",", ".") if text.decimal_comma else cell for cell in column]
    try:
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    except ValueError:
        return column


def _without_row_names(
    names: tuple[str, ...], columns: list[np.ndarray]
) -> tuple[tuple[str, ...], list[np.ndarray], list[str]]:
    """The columns without a first one that has no name and merely names the rows, as pandas and R write it."""
    if len(columns) < 2 or names[0]:
        return names, columns, []
    cells = [_cell(value) for value in columns[0]]
    if not are_row_names(cells):
        return names, columns, []
    said = f"the first column has no name and names the rows ({cells[0]}, {cells[1] if len(cells) > 1 else ''}...)"
    return names[1:], columns[1:], [f"{said}; it is left out"]


def _cell(value: object) -> str:
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
