"""What commands print: tables and JSON on stdout, everything else on stderr."""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import math
import os
import re
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from types import ModuleType
from typing import TextIO

from inncli.cli.cells import duration
from inncli.errors import InnError
from inncli.io import standard_streams
from inncli.io.digits import shown
from inncli.io.harmless import harmless, in_line

_OPTIONS = {"metrics": "--metric", "n": "--samples"}  # of arguments whose option is not called as they are


class Number(str):
    """A number that is text already: `2.31 +- 0.02`. It stands to the right."""


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str | None = None,
    bold: Collection[tuple[int, int]] = (),
) -> None:
    """Prints a table: text to the left, numbers to the right with five digits, `-` for nothing.

    Args:
        headers: one a column.
        rows: the cells, as many a row as there are headers.
        title: a line above it.
        bold: (row, column) of the cells to stand out on a terminal.
    """
    _drawing().table(headers, rows, title, bold)


def live_table() -> contextlib.AbstractContextManager[Callable[..., None]]:
    """A function that takes what `table` takes and draws it in place of what it drew before."""
    live: contextlib.AbstractContextManager[Callable[..., None]] = _drawing().live_table()
    return live


def _drawing() -> ModuleType:
    from inncli.cli import drawing  # with rich, which takes as long as all else of a help text

    return drawing


def line(text: str) -> None:
    """Prints one line of the result; line breaks before it are empty lines, others are spelt out."""
    after = text.lstrip("\n")
    print("\n" * (len(text) - len(after)) + in_line(after))


def note(text: str) -> None:
    """Prints one line that is not the result: a warning, or where a file went."""
    print(in_line(text), file=sys.stderr)


def prose(text: str, file: TextIO | None = None, indent: str = "") -> None:
    """Prints a sentence, on stdout or another stream; a terminal gets it broken between words."""
    file = file or sys.stdout
    print(_filled(text, indent) if file.isatty() else indent + harmless(text), file=file)


def _filled(text: str, indent: str = "") -> str:
    """A sentence of others' words, broken between them to the width of the terminal."""
    return textwrap.fill(
        harmless(text),
        shutil.get_terminal_size().columns,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


COLOURS = {True: "32", False: "31", None: "33"}  # green, red, yellow
DIM = "2"


def verdict(question: str, ok: bool | None, answer: str, line: str, rule: str) -> None:
    """Prints a question, its answer and, below, the rule that it follows; in colours on a terminal that has them.

    Args:
        question: as a reader asks it.
        ok: yes, no, or None where nobody can tell.
        answer: the same in words.
        line: the answer and its reason, without a stop.
        rule: when the answer is which; empty if that is not known.
    """
    if not _has_colours(sys.stdout):
        prose(f"{question} {line}.")
        if rule:
            prose(f"rule: {rule}", indent="  ")
        return
    at = re.compile(r"\s+".join(map(re.escape, [*question.split(), *answer.split()])))  # a line may end within
    text = _filled(f"{question} {line}.")
    print(at.sub(lambda m: m[0][: -len(answer)] + _coloured(m[0][-len(answer) :], ok), text, count=1))
    if rule:
        print(f"\x1b[{DIM}m{_filled(f'rule: {rule}', '  ')}\x1b[0m")


def _coloured(text: str, ok: bool | None) -> str:
    return f"\x1b[{COLOURS[ok]}m{text}\x1b[0m"


def _has_colours(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def said(error: Exception) -> str:
    """The message of an error as a command says it: `refine=True` becomes --refine, `y='a=3'` becomes --y a=3."""
    text = str(error)
    for name in error.arguments if isinstance(error, InnError) else ():
        option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
        value = r"""(?:=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^`]*))?"""
        text = re.sub(f"`{name}{value}`", functools.partial(_matched, option), text)
    return text


def _matched(option: str, found: re.Match[str]) -> str:
    return _with_value(option, found[1])


def _with_value(option: str, value: str | None) -> str:
    """The option and the value that stands in Python as `value`; a flag has none."""
    if value is None or value == "True":
        return option
    plain = ast.literal_eval(value)
    return f"{option} {shlex.quote(plain) if isinstance(plain, str) else plain}"


def shows_progress() -> bool:
    """Whether stderr is a terminal that takes lines which overwrite themselves."""
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


@contextlib.contextmanager
def progress() -> Iterator[Callable[..., None]]:
    """A function (text, share done) that shows what is being done, on one line that overwrites itself.

    With a share, from 0 to 1, it says how much time is left. Silent off a terminal.
    """
    if not shows_progress():
        yield lambda text, share=None: None
        return
    clear, begun = "\r\x1b[K", time.monotonic()

    def show(text: str, share: float | None = None) -> None:
        taken = time.monotonic() - begun
        if share is not None and share > 0 and taken > 1:
            text += f", {duration(taken * (1 - share) / share)} left"
        # A longer line could not be overwritten.
        text = textwrap.shorten(in_line(text), shutil.get_terminal_size().columns - 1, placeholder=" ...")
        print(f"{clear}{text}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print(clear, end="", file=sys.stderr, flush=True)


def as_json(value: object) -> None:
    """Prints JSON; what is not finite becomes null, which every reader takes."""
    plain = not standard_streams.carries_all(sys.stdout)
    print(harmless(json.dumps(_finite(value), indent=1, ensure_ascii=plain)))


def words(cell: object, sd: float | None = None) -> str:
    """A cell as text, a number with as many digits as tell it from others that scatter by `sd`."""
    if isinstance(cell, float):
        return shown(cell, sd) if math.isfinite(cell) else "-"
    return "-" if cell is None else in_line(str(cell))


def numbers(cells: Iterable[float], sd: float) -> list[Number]:
    """Numbers that scatter by `sd` as cells of a table."""
    return [Number(words(float(cell), sd)) for cell in cells]


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
