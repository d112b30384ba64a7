"""Names of columns as every file, terminal and picture can hold them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_JOINERS = "\u200c\u200d"  # invisible, and part of the spelling of some scripts


def plain_name(name: str) -> str:
    """A name without control characters, byte order marks and marks of direction, and no white space around it."""
    return "".join(_plain_letter(letter) for letter in name).strip()


def _plain_letter(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind in ("Cc", "Zl", "Zp", "Zs"):  # also a line break, and a space that does not break
        return " "
    if kind == "Cs":  # half a character, which no file can hold
        return "?"
    return "" if kind == "Cf" and letter not in _JOINERS else letter


def plain_names(names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The names of a table's columns as `plain_name` gives them, and a line for each that it changed."""
    plain = tuple(plain_name(name) for name in names)
    changed = [(was, name) for was, name in zip(names, plain, strict=True) if was.strip() != name]
    return plain, [f"column {ascii(was)} is called {name!r}" for was, name in changed]
