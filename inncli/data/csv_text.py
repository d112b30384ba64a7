"""The text of a CSV file: where its table begins, what parts its columns, whether its first line holds their names.

A file is told by its looks, and what is left out (comments, a line of units, row numbers without a name) is said.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from inncli.data.cells import is_gap, is_number, looks_numeric
from inncli.errors import DataError

SAMPLED = 1_000  # rows by which a file is judged
_DELIMITED = 20  # rows that must be parted alike
_POINT = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")
_POINT_AND_NO_COMMA = re.compile(r"(?<![\w.,])\d+\.\d+(?![\w.,])")
_ANY_POINT = re.compile(r"\d\.\d")
_ROUNDED_COMMA = re.compile(r"-?\d+,\d+")
_OTHER = {  # what a file that only bears the name of a CSV begins with
    "JSON": re.compile(r"\s*(\{|\[\s*\{)"),
    "HTML or XML": re.compile(r"\s*<(\?xml|!doctype|html|table)", re.IGNORECASE),
}
_SEPARATOR_LINE = re.compile(r"sep=(.)")  # what a spreadsheet writes to itself
Record = list[str]


@dataclass(frozen=True)
class CsvText:
    """The table of a CSV file, as text.

    Args:
        rows: its lines without the header.
        delimiter: what parts its columns.
        names: one for each column, "" where it has none; None without a header.
        decimal_comma: whether 2,5 is a number throughout.
        points: whether numbers have a decimal point.
        notes: what was left out, one line each.
    """

    rows: str
    delimiter: str
    names: tuple[str, ...] | None
    decimal_comma: bool
    points: bool
    notes: tuple[str, ...]


def csv_text(path: Path, data: bytes, header: bool | None = None) -> CsvText:
    """Finds the table in the bytes of a file.

    Args:
        path: the file, for its suffix and for an error.
        data: its bytes.
        header: whether its first line holds the names; None tells by its looks.

    Raises: DataError, one line, if it is no text or that of another format, its columns are parted by spaces, or its
        looks don't tell.
    """
    whole = _decode(path, data)
    for other, begins in _OTHER.items():
        if begins.match(whole):
            raise DataError(f"{path} is named as a table and holds {other}; convert it to CSV or Parquet")
    every = whole.split("\n")
    lines = [line for line in every if line.strip()]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else None
    separator = _SEPARATOR_LINE.fullmatch(lines[0].strip())
    if separator and len(lines) > 1:
        delimiter, lines = separator[1], lines[1:]
    bare = [line for line in lines if not line.lstrip().startswith("#")]
    delimiter = delimiter or _delimiter((bare or lines)[:_DELIMITED])
    lines, comments = _without_comments(lines, bare, delimiter, path)
    records = _records(lines[:SAMPLED], delimiter, path)
    width = len(records[0])
    if width == 1:  # here an empty line is an empty cell
        blank = every[every.index(lines[0]) :]
        lines = [line if line.strip() else "" for line in blank] if not comments else lines
        records = _records(lines[:SAMPLED], delimiter, path)
    while len(lines) > 1 and not lines[-1].strip(f'{delimiter}" \t'):
        lines.pop()
    records = [record for record in records if any(record)] or records
    text = "\n".join(lines)
    comma = delimiter != "," and bool(_ROUNDED_COMMA.search(text)) and not _ANY_POINT.search(text)
    if header is None:
        header = _names_first(path, records, comma)
    names = tuple(records[0]) if header else None
    if header:
        lines = lines[_lines_of_first(lines, delimiter) :]
        names = _fitted(names or (), records[1:])
        if width == 1 and _parted_by_spaces(records):
            raise _spaced(path, records[1][0] if len(records) > 1 else records[0][0])
    notes = [f"{comments:,} comment lines (#) are left out"] if comments > 1 else ["a comment line (#) is left out"]
    points = bool((_POINT if delimiter == "," else _POINT_AND_NO_COMMA).search(text))
    rows = "\n".join(lines) + "\n" if lines else ""
    return CsvText(rows, delimiter, names, comma, points, tuple(notes if comments else ()))


def _decode(path: Path, data: bytes) -> str:
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            # Line ends of Windows and of old Macs become newlines.
            return text.rstrip("\x1a").replace("\r\n", "\n").replace("\r", "\n")  # which ended a file of DOS
    raise DataError(f"{path} is not a text file; save it as CSV (UTF-8)")


def _records(lines: Sequence[str], delimiter: str, path: Path) -> list[Record]:
    """The first lines as records, cells stripped."""
    try:
        return [[cell.strip() for cell in record] for record in csv.reader(_ended(lines), delimiter=delimiter)]
    except csv.Error as error:
        raise DataError(
            f"{path} is not a readable CSV table ({error}); close a quote that is left open, or shorten it"
        ) from error


def _ended(lines: Sequence[str]) -> list[str]:
    return [line + "\n" for line in lines]  # a cell in quotes may go on in the next line


def _lines_of_first(lines: Sequence[str], delimiter: str) -> int:
    """How many lines the first record takes."""
    reader = csv.reader(_ended(lines), delimiter=delimiter)
    next(reader)
    return reader.line_num


def _delimiter(lines: list[str]) -> str:
    """The first of tab, semicolon and bar that splits all lines alike, else the comma."""
    for delimiter in "\t;|":
        counts = {_width(line, delimiter) for line in lines}
        if len(counts) == 1 and counts != {1}:
            return delimiter
    return ","


def _width(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line.strip("\n")], delimiter=delimiter)))
    except csv.Error:  # said when the file is read
        return 1


def _without_comments(lines: list[str], bare: list[str], delimiter: str, path: Path) -> tuple[list[str], int]:
    """The lines without those that begin with # and don't fit the table, and how many those are.

    A header may begin with # too: it is the last such line before the first row, and parts into as many names.
    """
    if len(bare) == len(lines):
        return lines, 0
    if not bare:
        raise DataError(f"{path} holds comments (#) alone; add data")
    width = _width(bare[0], delimiter)
    first = lines.index(bare[0])
    named = not looks_like_names(_records(bare[:1], delimiter, path)[0])
    heading = first - 1 if first and named and _width(lines[first - 1], delimiter) == width else None
    kept = [
        line
        for i, line in enumerate(lines)
        if i == heading or not line.lstrip().startswith("#") or (i > first and 1 < width == _width(line, delimiter))
    ]
    return kept, len(lines) - len(kept)


def looks_like_names(record: Record) -> bool:
    """Whether no cell of a record is a number."""
    return not any(cell and is_number(cell) for cell in record)


def _parted_by_spaces(records: list[Record]) -> bool:
    cells = [record[0].split() for record in records[1:6]]
    return bool(cells) and all(len(words) > 1 and all(map(is_number, words)) for words in cells)


def _spaced(path: Path, line: str) -> DataError:
    return DataError(f"{path} must separate columns by commas, semicolons or tabs, got {line!r}")


def _names_first(path: Path, records: list[Record], comma: bool) -> bool:
    """Whether the first record holds names: words above numbers, or numbers that are like none of their column.

    Raises: DataError if its looks don't tell.
    """
    first, rest = records[0], records[1:]
    numbers = [i for i, cell in enumerate(first) if _numeric(cell, comma)]
    words = [i for i, cell in enumerate(first) if i not in numbers and not is_gap(cell)]
    if not words:
        return False
    if len(first) == 1 and len(first[0].split()) > 1 and is_number(first[0].split()[0]):
        raise _spaced(path, first[0])
    below = {i: [row[i] for row in rest if i < len(row) and not is_gap(row[i])] for i in (*words, *numbers)}
    above_numbers = any(_mostly_numbers(below[i], comma) for i in words)
    a_label = any(first[i] in below[i] for i in words)  # one that other rows have too
    if not rest:
        return True
    if not numbers:
        return above_numbers or not a_label
    found = None if a_label else _are_names([first[i] for i in numbers], [below[i] for i in numbers], comma)
    if found is None and not a_label:
        raise DataError(
            f"{path} begins with {', '.join(map(repr, first[:6]))}, which may be names or the first row; pass "
            "task.header=true or task.header=false"
        )
    return bool(found)


def _are_names(cells: list[str], below: list[list[str]], comma: bool) -> bool | None:
    """Whether numbers in the first record are names, such as years; None if nothing tells.

    They are names if they count evenly, or lie far from all numbers below, and no names if they lie among those and
    are no whole numbers.
    """
    values = [_value(cell, comma) for cell in cells]
    steps = {round(b - a, 9) for a, b in pairwise(values)}
    whole = all(value.is_integer() for value in values)
    if len(steps) == 1 and 0.0 not in steps and len(values) > (1 if whole else 2):
        return True
    inside = {
        _near(value, [_value(cell, comma) for cell in column if _numeric(cell, comma)])
        for value, column in zip(values, below, strict=True)
    }
    if inside == {False}:
        return True
    return False if inside == {True} and not whole else None


def _numeric(cell: str, comma: bool) -> bool:
    return not is_gap(cell) and (is_number(cell.replace(",", ".") if comma else cell) or looks_numeric(cell))


def _mostly_numbers(cells: list[str], comma: bool) -> bool:
    return sum(_numeric(cell, comma) for cell in cells) > len(cells) / 2


def _value(cell: str, comma: bool) -> float:
    """The number that a cell in any notation is about."""
    plain = "".join(letter for letter in cell if letter in "+-.,eE0123456789")
    try:
        return float(plain.replace(",", "." if comma else ""))
    except ValueError:
        return float("nan")


def _near(value: float, others: list[float]) -> bool:
    """Whether a number lies within the range of others, or by no more than its width outside."""
    if not others:
        return False
    low, high = min(others), max(others)
    return 2 * low - high <= value <= 2 * high - low


def _fitted(names: Record | tuple[str, ...], rows: list[Record]) -> tuple[str, ...]:
    """The names of a header as long as its rows, which may be longer or shorter.

    By delimiters at the end of either, or by one, of the row names that R writes.
    """
    names = list(names)
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        return tuple(names)
    (width,) = widths
    while len(names) > width and not names[-1]:
        names.pop()
    if not any(cell for row in rows for cell in row[len(names) :]):
        return (*names, *[""] * (width - len(names)))
    if width == len(names) + 1 and are_row_names([row[0] for row in rows]):
        return ("", *names)
    return tuple(names)


def are_row_names(cells: Sequence[str]) -> bool:
    """Whether cells without a name merely name their rows: numbers that count them, or words, each another."""
    if len(set(cells)) < len(cells) or not all(cells):
        return False
    if all(cell.isdigit() for cell in cells):
        return list(map(int, cells)) in (list(range(len(cells))), list(range(1, len(cells) + 1)))
    return not any(is_number(cell) for cell in cells)
