"""Text from files, made harmless for a terminal, a page, a picture and a spreadsheet: it may be a stranger's.

    harmless    what steers a terminal or turns the direction of writing is spelt out
    in_line     so are line breaks and tabs: for what has to stay within one line
    guarded     a cell of CSV that a spreadsheet would take for a formula becomes text; `unguarded` gives it back

Whatever inn prints, logs, draws or writes for a reader passes one of these on its last step, so that no caller has to
remember it.
"""

from __future__ import annotations

import logging
import re

# C0 and C1 controls, marks and overrides of the direction of writing, line ends that only some readers know, the byte
# order mark, invisible tags, and halves of surrogate pairs, which can't be encoded.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\U000e0000-\U000e007f]"
)
_BREAKS = re.compile("[\t\n]")
_FORMULA = re.compile("'*[=+\\-@\t\r]")  # how a cell begins that a spreadsheet computes, or its guarded form


def harmless(text: str) -> str:
    """The text with what would steer a terminal spelt out, as JSON does; line breaks and tabs stay."""
    return _STEERING.sub(_spelt, text)


def in_line(text: str) -> str:
    """The text as `harmless` gives it, with line breaks and tabs spelt out too: it can't pass for another line."""
    return _BREAKS.sub(_spelt, harmless(text))


def _spelt(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def guarded(cell: str) -> str:
    """A cell of text for CSV: with an apostrophe before it, a spreadsheet's sign of text, if it could be a formula.

    A number as text, `-1`, is none.
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _is_number(cell) else cell


def unguarded(cell: str) -> str:
    """The cell that `guarded` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text  # "\t1" begins with what a spreadsheet may take for more


class HarmlessFormatter(logging.Formatter):
    """A line of a log, with its traceback, as `harmless` gives it: messages name runs, files and errors of others."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return harmless(super().format(record))
