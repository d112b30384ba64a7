"""Tables on a terminal and off it; with rich, so that `console` imports it with the first table."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from inncli.cli import console
from inncli.io.harmless import in_line


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
        terminal.print(_as_table(headers, rows, title, bold))
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
    total = sum(widths) + 3 * (len(widths) - 1)
    if total > width:
        return None
    numeric = [any(isinstance(row[i], (int, float, console.Number)) for row in rows) for i in range(len(headers))]
    pads = [str.rjust if right else str.ljust for right in numeric]
    head, *body = [
        "   ".join(pad(cell, n) for pad, cell, n in zip(pads, row, widths, strict=False)) for row in [headers, *cells]
    ]
    return [head, "─" * total, *body]


def _as_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str | None = None,
    bold: Collection[tuple[int, int]] = (),
) -> Table:
    """The table as rich draws it."""
    heading = None if title is None else Text(in_line(title), "table.title")  # as text: [u,v] is no markup
    shown = Table(box=box.SIMPLE_HEAD, title=heading, title_justify="left", pad_edge=False, show_edge=False)
    for i, header in enumerate(headers):
        numeric = any(isinstance(row[i], (int, float, console.Number)) for row in rows)
        shown.add_column(Text(in_line(header)), justify="right" if numeric else "left", no_wrap=numeric or i == 0)
    for i, row in enumerate(rows):
        shown.add_row(*(Text(console.words(cell), "bold" if (i, j) in bold else "") for j, cell in enumerate(row)))
    return shown
