"""What the cells of a column of text say: numbers in some notation, no value, or words.

A column counts as one of numbers only where every cell is a number or stands for no value, and all in one notation.
Every reading that changes a cell's meaning is said. A comma that may be either a decimal comma or a thousands
separator is left undecided, and said with a way out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np

# What stands for no value among numbers, in small letters. In a column of words all but the empty cell are words.
NO_VALUE = frozenset(
    ["", "?", "-", "--", "---", ".", "..", "...", "\u2013", "\u2014", "na", "n/a", "n.a.", "<na>", "nan"]
    + ["nat", "null", "none", "nil", "missing"]
)
_ERROR = re.compile(r"#(\S+[!?]|n/?[adv])")  # a spreadsheet's, in any of its languages: #WERT!, #NV, #N/D
_TIME = re.compile(
    r"\d{4}[-/]\d\d?[-/]\d\d?|\d\d?[-/.]\d\d?[-/.]\d{4}|\d\d?[- ][A-Za-z]{3}[- ]\d{4}|\d\d?:\d\d|\d{8}T\d{4}"
)
_DASH = re.compile("^[\u2010-\u2013\u2212\ufe63\uff0d]")  # what a text program makes of a minus
_GROUP_MARKS = "\u00a0\u2009\u202f'\u2019 "  # spaces and apostrophes that part thousands
_SPACED = re.compile(rf"[+-]?\d{{1,3}}(?:[{_GROUP_MARKS}]\d{{3}})+(?:[.,]\d+)?")
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_THOUSANDS = re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d+)?{_EXPONENT}")
_DECIMAL_COMMA = re.compile(rf"[+-]?\d*,\d+{_EXPONENT}")
_POINTED_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?")
_WHOLE = re.compile(r"[+-]?\d+")
_FORTRAN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))[dD]([+-]?\d+)")
_CURRENCY = "$\u20ac\u00a3\u00a5\u20b9"


@dataclass(frozen=True)
class Reading:
    """A column of text read as numbers.

    Args:
        values: (n,) float64, NaN where there is no value.
        example: a cell as it was written and as it is read, where its notation is not the plain one; else None.
        gaps: the words that were taken for no value.
    """

    values: np.ndarray
    example: tuple[str, float] | None
    gaps: tuple[str, ...]


class DoubtError(ValueError):
    """Cells that may be read as numbers in two ways; the text says which."""


def missing(column: np.ndarray) -> np.ndarray:
    """Where a column, (n,), has no value, (n,) bool. An infinite number is a value here."""
    if column.dtype == object:
        return np.array([value is None for value in column], dtype=bool)
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)


def is_number(cell: str) -> bool:
    """Whether a cell is a plain number; an empty one is a missing number."""
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def is_gap(cell: str) -> bool:
    """Whether a cell stands for no value, if it stands among numbers."""
    return cell.lower() in NO_VALUE or bool(_ERROR.fullmatch(cell.lower()))


def looks_numeric(cell: str) -> bool:
    """Whether a cell might be a number in any of the notations that `read_numbers` knows."""
    bare = re.sub(rf"[,%{_CURRENCY}{_GROUP_MARKS}]", "", _plain_signs(cell))
    return bool(bare) and (is_number(bare) or bool(_FORTRAN.fullmatch(bare))) and not is_gap(cell)


def read_numbers(column: np.ndarray, points: bool, semicolons: bool = False) -> Reading | None:
    """The numbers that a column of text holds; None if it holds words.

    Args:
        column: (n,) object: str, None where missing.
        points: whether numbers elsewhere in the file have a decimal point, so that a comma is none.
        semicolons: whether the file parts its columns by something else than commas, as is done for decimal commas.

    Raises: DoubtError if the cells are numbers in two ways.
    """
    words = list(dict.fromkeys(word for word in column if word is not None))
    gaps = [word for word in words if is_gap(word) and word.lower() != "nan"]
    written = [word for word in words if word not in gaps]
    if not written or not all(
        any(letter.isdigit() for letter in word) or is_number(_plain_signs(word)) for word in written
    ):
        return None
    bare = _undressed(written)
    number = _notation(bare.values(), points, semicolons)
    if number is None:
        return None
    meaning = {word: number(text) for word, text in bare.items()}
    changed = next((word for word in column if word in meaning and not is_number(word)), None)
    values = np.array([meaning.get(word, np.nan) for word in column], dtype=np.float64)
    return Reading(values, None if changed is None else (changed, meaning[changed]), tuple(gaps))


def odd_cells(column: np.ndarray) -> list[int]:
    """Which cells of a column of text, (n,), are no numbers and do not stand for one that is missing."""
    odd = [i for i, word in enumerate(column) if word is not None and not is_number(word) and not is_gap(word)]
    # A comma or a sign that stands in many numbers is to blame only if no other cell is.
    return [i for i in odd if not looks_numeric(column[i])] or odd or [0]


def not_a_number(cell: str) -> tuple[str, str]:
    """What a cell of text holds, in a word, and what the user can do where a number is needed."""
    if _TIME.match(cell):
        return "times", "give them as numbers, e.g. days since the first,"
    if is_number(cell):
        return "numbers as text", "convert the column to numbers"
    return "text", "mend it"


def _plain_signs(cell: str) -> str:
    return _DASH.sub("-", cell).replace("\u221e", "inf")


def _undressed(words: Collection[str]) -> dict[str, str]:
    """Each word without what all of them bear alike: a percent sign, a currency, and marks between thousands."""
    bare = {word: _plain_signs(word) for word in words}
    for mark in ("%", *_CURRENCY):
        if all(text.count(mark) == 1 for text in bare.values()):
            stripped = {word: _without_mark(text, mark) for word, text in bare.items()}
            bare = {word: text for word, text in stripped.items() if text is not None}
            return bare if len(bare) == len(words) else {word: word for word in words}
    return {word: _without_group_marks(text) for word, text in bare.items()}


def _without_mark(text: str, mark: str) -> str | None:
    """The text without a mark at its start or end, or after a sign; None if it stands elsewhere."""
    found = re.fullmatch(rf"([+-]?)\s*{re.escape(mark)}\s*(.*)|(.*?)\s*{re.escape(mark)}", text)
    if found is None:
        return None
    return _without_group_marks((found[1] or "") + found[2] if found[2] is not None else found[3])


def _without_group_marks(text: str) -> str:
    if _SPACED.fullmatch(text):
        text = re.sub(rf"[{_GROUP_MARKS}]", "", text)
    return _FORTRAN.sub(r"\1e\2", text) if _FORTRAN.fullmatch(text) else text


def _notation(texts: Iterable[str], points: bool, semicolons: bool) -> Callable[[str], float] | None:
    """The one notation in which all texts are numbers: what turns a text into its number; None if there is none."""
    texts = list(texts)
    odd = [text for text in texts if not is_number(text)]
    plain = [text for text in texts if is_number(text)]
    if not odd:
        return float
    if all(_THOUSANDS.fullmatch(text) for text in odd):
        if _commas_are_decimal(odd, plain, points, semicolons):
            return lambda text: float(text.replace(",", "."))
        return lambda text: float(text.replace(",", ""))
    whole = all(_WHOLE.fullmatch(text) for text in plain)
    if whole and all(_DECIMAL_COMMA.fullmatch(text) for text in odd):
        if points:
            raise DoubtError(f"{odd[0]!r} has a comma where other numbers of the file have a decimal point")
        return lambda text: float(text.replace(",", "."))
    # 1.234,5: what is left are points between thousands, some with a decimal comma
    grouped = [text for text in texts if "." in text]
    rest = [text for text in texts if "." not in text]
    if all(_POINTED_THOUSANDS.fullmatch(text) for text in grouped) and all(
        _WHOLE.fullmatch(text) or _DECIMAL_COMMA.fullmatch(text) for text in rest
    ):
        return lambda text: float(text.replace(".", "").replace(",", "."))
    return None


def _commas_are_decimal(odd: list[str], plain: list[str], points: bool, semicolons: bool) -> bool:
    """Whether texts such as 9,372 are fractions. Raises: DoubtError if nothing tells."""
    if points or any("." in text or text.count(",") > 1 for text in (*odd, *plain)):
        return False
    if semicolons:
        return True
    # Thousands leave numbers below 1,000 without a comma, and write none above it so.
    if plain and all(_WHOLE.fullmatch(text) and abs(int(text)) < 1000 for text in plain):
        return False
    raise DoubtError(f"{odd[0]!r} may be {odd[0].replace(',', '')} or {odd[0].replace(',', '.')}, and nothing tells")
