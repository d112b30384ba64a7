"""Tables on a terminal and off it; with rich, so that `console` imports it with the first table."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from inncli.cli import console
from inncli.io.harmless import in_line

GAP = 3  # between two columns


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str | None = None,
    bold: Collection[tuple[int, int]] = (),
) -> None:
    """What `console.table` prints."""
    # Off a terminal rich would cut at 80 columns; whoever reads a pipe wants whole words.
    terminal = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 10_000)
    lines = None if title or bold else _laid_out(headers, rows, terminal.width)
    if lines is None:
        if title is not None:  # not as the table's own, which rich would break to the width of its columns
            terminal.print(Text(in_line(title), "table.title"))
        for part in _parts(_columns(headers, rows, terminal.width), terminal.width):
            some, marked = [[row[j] for j in part] for row in rows], {(i, part.index(j)) for i, j in bold if j in part}
            terminal.print(_as_table([headers[j] for j in part], some, bold=marked, width=terminal.width))
        return
    terminal.print(Text(lines[0], "bold"), soft_wrap=True)
    print("\n".join(lines[1:]))


@contextlib.contextmanager
def live_table() -> Iterator[Callable[..., None]]:
    """What `console.live_table` draws."""
    with Live(auto_refresh=False) as live:
        yield lambda *args, **options: live.update(_as_table(*args, **options), refresh=True)


def _laid_out(headers: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> list[str] | None:
    """The lines of `_as_table`, hundreds of times faster; None where a cell has to be wrapped or measured."""
    headers = [in_line(header) for header in headers]
    cells = [[console.words(cell) for cell in row] for row in rows]
    text = "".join([*headers, *("".join(row) for row in cells)])
    if not (text.isascii() and text.isprintable()):
        return None
    columns = [[header, *(row[i] for row in cells)] for i, header in enumerate(headers)]
    widths = [max(map(len, column)) for column in columns]
    total = sum(widths) + GAP * (len(widths) - 1)
    if total > width:
        return None
    pads = [str.rjust if column.numeric else str.ljust for column in _columns(headers, rows, width)]
    head, *body = [
        (" " * GAP).join(pad(cell, n) for pad, cell, n in zip(pads, row, widths, strict=False))
        for row in [headers, *cells]
    ]
    return [head, "─" * total, *body]


@dataclass(frozen=True)
class _Column:
    """A column of a table for a terminal of some width.

    Attributes:
        header: its title.
        numeric: whether it holds numbers, which stand to the right.
        wraps: whether its cells may be broken, between words.
        least: cells of the terminal that it needs.
    """

    header: str
    numeric: bool
    wraps: bool
    least: int

    @classmethod
    def of(cls, header: str, cells: Sequence[object], width: int, first: bool) -> _Column:
        """The first column is what rows are looked up by: it is broken only if it takes more than half the width."""
        header, texts = in_line(header), [console.words(cell) for cell in cells]
        numeric = any(isinstance(cell, (int, float, console.Number)) for cell in cells)
        whole = max(map(cell_len, [header, *texts]))
        wraps = not numeric and (not first or whole > width // 2)
        words = (word for text in [header, *texts] for word in text.split())
        return cls(header, numeric, wraps, max(map(cell_len, words), default=0) if wraps else whole)


def _columns(headers: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> list[_Column]:
    return [_Column.of(header, [row[j] for row in rows], width, j == 0) for j, header in enumerate(headers)]


def _parts(columns: Sequence[_Column], width: int) -> list[list[int]]:
    """The columns of tables below each other that fit the width, each with the first column before its own."""
    parts = [[0]]
    for j in range(1, len(columns)):
        if len(parts[-1]) > 1 and sum(columns[k].least + GAP for k in parts[-1]) + columns[j].least > width:
            parts.append([0])
        parts[-1].append(j)
    return parts


def _as_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str | None = None,
    bold: Collection[tuple[int, int]] = (),
    width: int = 10_000,
) -> Table:
    """The table as rich draws it."""
    heading = None if title is None else Text(in_line(title), "table.title")  # as text: [u,v] is no markup
    shown = Table(box=box.SIMPLE_HEAD, title=heading, title_justify="left", pad_edge=False, show_edge=False)
    for column in _columns(headers, rows, width):
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        least = column.least if column.wraps else None
        shown.add_column(Text(column.header), justify=justify, no_wrap=not column.wraps, min_width=least)
    for i, row in enumerate(rows):
        shown.add_row(*(Text(console.words(cell), "bold" if (i, j) in bold else "") for j, cell in enumerate(row)))
    return shown
