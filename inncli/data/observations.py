"""Values that a user gives for y or x: on the command line, or as a table of points.

Inside the package a categorical column holds the codes 0, 1, ...; users write its labels. Every value is checked
here, before a model is asked, so that a wrong one costs the user a single line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inncli.data.cells import missing, odd_cells
from inncli.data.names import plain_name
from inncli.data.tables import RawTable, read_table
from inncli.errors import DataError, RequestError, did_you_mean
from inncli.variables import Variables


def parse_y(text: str, y: Variables | None, run_id: str) -> np.ndarray:
    """Reads one observation as a user writes it: `1.5,0`, or `name=3,other=4`; a label where the column holds labels.

    Args:
        text: what the user wrote.
        y: the columns of y; None where the run has none.
        run_id: the run's name, for an error.

    Shape: (1, Dy), label codes in categorical columns.
    Raises: DataError, or RequestError where the run has no y.
    """
    if y is None:
        raise RequestError(f"run {run_id} has no y, its model is a density p(x); use `inn sample` or `inn density`")
    words = split_values(text)
    named = [_name_and_value(word, y.names) for word in words]
    by_name = [name is not None and (name in y.names or "=" not in "".join(map(str, y.labels))) for name, _ in named]
    if any(by_name):
        if not all(by_name):
            raise DataError(
                f"`y` {text!r} mixes values with and without a name; name all of them, e.g. {_example(y, named=True)}",
                "y",
            )
        words = _in_order([(name, value) for name, value in named if name is not None], y, run_id)
    if len(words) != y.dim:
        got = "1 value" if len(words) == 1 else f"{len(words)} values"
        want = "one value" if y.dim == 1 else f"{y.dim} values"
        raise DataError(
            f"y has {got}, run {run_id} was trained on {y.dim} ({', '.join(y.names)}); pass {want}, e.g. {_example(y)}",
            "y",
        )
    values = [_value(word, name, labels) for word, name, labels in zip(words, y.names, y.labels, strict=True)]
    return np.array([values])


def parse_ys(texts: Sequence[str], y: Variables | None, run_id: str) -> np.ndarray:
    """Several observations, each as `parse_y` takes it. Shape: (n, Dy). Raises: as `parse_y`."""
    return np.concatenate([parse_y(text, y, run_id) for text in texts])


def read_points(path: str | Path, variables: Variables, run_id: str, letter: str = "y") -> np.ndarray:
    """The rows of a table (CSV, Parquet, NPZ); columns by name where it has a header, else in order.

    Args:
        path: the file.
        variables: the columns that the run was trained on.
        run_id: the run's name, for an error.
        letter: which of a file's own arrays x and y is meant, in an NPZ that holds both.

    Shape: (n, D), label codes in categorical columns.
    Raises: DataError for a missing column, a wrong number of columns, a value that is missing,
        not finite or not a known label.
    """
    raw = read_table(path)
    columns = []
    positions = _positions(raw, variables, run_id, letter)
    for i, name, labels in zip(positions, variables.names, variables.labels, strict=True):
        column, where = raw.columns[i], f"{raw.path.name}, column {name}"
        gaps = missing(column)
        if gaps.any():
            raise DataError(f"{where}: row {int(np.argmax(gaps)) + 1} is missing or NaN; every row needs a value")
        if labels is None and column.dtype == object:  # one cell of text makes text of them all
            row = next(iter(odd_cells(column)), 0)
            why = f" ({raw.doubts[i]})" if i in raw.doubts else ""
            raise DataError(f"{where}, row {row + 1}: expected a number, got {column[row]!r}; mend that cell{why}")
        columns.append([_cell(value, f"{where}, row {k + 1}", labels) for k, value in enumerate(column.tolist())])
    return np.array(columns, dtype=np.float64).T


def split_values(text: str) -> list[str]:
    """Splits at the commas; a value in quotes may hold a comma: `"a,b"`, `kind="a,b"` or `"kind=a,b"`."""
    words = [""]
    for piece in re.findall(r'(?<![^,=\s])"(?:[^"]|"")*"(?=\s*(?:[,=]|$))|,|[^,"]+|"', text):
        if piece == ",":
            words.append("")
        else:
            words[-1] += piece[1:-1].replace('""', '"') if len(piece) > 1 and piece[0] == '"' else piece
    return [word.strip() for word in words] if text.strip() else []


def _name_and_value(word: str, names: Sequence[str]) -> tuple[str | None, str]:
    """Splits `name=value`; without an equals sign the name is None. A known name may itself hold an equals sign."""
    signs = [i for i, letter in enumerate(word) if letter == "="]
    at = next((i for i in reversed(signs) if word[:i].strip() in names), signs[0] if signs else None)
    return (None, word) if at is None else (word[:at].strip(), word[at + 1 :].strip())


def _in_order(pairs: Sequence[tuple[str, str]], y: Variables, run_id: str) -> list[str]:
    given = dict(pairs)
    known = ", ".join(y.names)
    for name, _ in pairs:
        if name not in y.names:
            raise DataError(
                f"y has no {name!r}, run {run_id} was trained on {known}"
                f"{did_you_mean(name, y.names) or f'; e.g. {_example(y, named=True)}'}",
                "y",
            )
    empty = next((name for name, value in pairs if not value), None)
    if empty is not None:
        raise DataError(f"`y` names {empty} without a value; e.g. {_example(y, named=True)}", "y")
    if len(given) < len(pairs):
        raise DataError(
            f"`y` names {next(n for n, _ in pairs if [m for m, _ in pairs].count(n) > 1)!r} twice; name each once",
            "y",
        )
    absent = [name for name in y.names if name not in given]
    if absent:
        raise DataError(
            f"y lacks {', '.join(absent)}, run {run_id} was trained on {known}; e.g. {_example(y, named=True)}",
            "y",
        )
    return [given[name] for name in y.names]


def _value(word: str, name: str, labels: tuple[str, ...] | None) -> float:
    if labels is not None:
        return _code(word, name, labels)
    try:
        value = float(word)
    except ValueError:
        example = _example(Variables((name,)), named=True)
        raise DataError(f"{name}: expected a number, got {word!r}; e.g. {example}", "y") from None
    return _finite(value, name)


def _cell(value: float | str | bool, where: str, labels: tuple[str, ...] | None) -> float:
    if labels is not None:
        return _code(label_text(value), where, labels)
    return _finite(float(value), where)


def label_text(value: str | bool | float) -> str:
    """A label as a table writes it: 3, not 3.0; true, not True."""
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(int(value)) if value.is_integer() else repr(value)


def _code(label: str, where: str, labels: tuple[str, ...]) -> float:
    equal = [known for known in labels if known == label] or [known for known in labels if _equal(known, label)]
    if len(equal) != 1:
        raise DataError(f"{where}: expected one of {', '.join(labels)}, got {label!r}{did_you_mean(label, labels)}")
    return float(labels.index(equal[0]))


def _equal(label: str, other: str) -> bool:
    """Whether two labels are one number, or one truth value: 2 and 2.0, true and 1."""
    numbers = {"false": 0.0, "true": 1.0}
    try:
        return float(numbers.get(label.lower(), label)) == float(numbers.get(other.lower(), other))
    except ValueError:
        return False


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise DataError(f"{where}: expected a finite number, got {value:g}; leave the row out or measure it again")
    return value


def _example(y: Variables, named: bool = False) -> str:
    """An observation as an argument: `y='kind=no'`."""
    words = ["0.3" if labels is None else labels[0] for labels in y.labels]
    words = [f"{name}={word}" for name, word in zip(y.names, words, strict=True)] if named else words
    # a word with a comma is quoted for `parse_y`
    return f"`y={','.join(f'{chr(34)}{word}{chr(34)}' if ',' in word else word for word in words)!r}`"


def _positions(raw: RawTable, variables: Variables, run_id: str, letter: str) -> list[int]:
    """Which column of the table each variable is."""
    names, roles = raw.names, raw.roles
    trained = f"run {run_id} was trained on {variables.dim} ({', '.join(variables.names)})"
    wanted = [plain_name(name) for name in variables.names]
    if names is not None and set(wanted) <= set(names):
        return [names.index(name) for name in wanted]
    count = len(raw.columns)
    if names is not None and roles is not None:
        # Bare arrays x and y: their columns have no names of their own.
        own = roles["xy".index(letter)]
        if not own:
            raise DataError(f"{raw.path.name} holds no array {letter}; {trained}")
        if len(own) == variables.dim:
            return [names.index(name) for name in own]
        count = len(own)
    elif names is not None:
        absent = next(name for name in wanted if name not in names)
        raise DataError(
            f"{raw.path.name} has no column {absent!r}, {trained}"
            f"{did_you_mean(absent, names) or '; it has ' + ', '.join(names[:8])}"
        )
    if count != variables.dim:
        raise DataError(f"{raw.path.name} has {count} columns, {trained}; keep those, or add a header with the names")
    return list(range(variables.dim))
