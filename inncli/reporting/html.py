"""The parts of a self-contained HTML page. Each escapes the text that it is given.

A page needs no other file and makes no request: its figures are data links and its style is inside. The content
security policy forbids all else, scripts included.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from inncli.io.harmless import harmless
from inncli.plots.style import BLUE

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

# Both colour schemes have a contrast above 7 : 1 for text and 4.5 : 1 for small print.
_STYLE = f"""
:root {{ color-scheme: light dark; --ink: #1c1c1c; --soft: #555; --line: #d4d4d4; --paper: #fff; --good: #00664a;
  --bad: #a33c00; --link: {BLUE}; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #ececec; --soft: #b4b4b4; --line: #444; --paper: #17191b;
  --good: #4fd1a5; --bad: #ff9a5c; --link: #7cc4f0; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 1rem 1.2rem 4rem; max-width: 60rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; margin: 1rem 0 .2rem; }}
h2 {{ font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }}
p {{ margin: .4rem 0; max-width: 46rem; }}
.soft, figcaption {{ color: var(--soft); font-size: .9rem; }}
.verdicts {{ list-style: none; padding: 0; margin: 0; }}
.verdicts li {{ border-left: .35rem solid var(--line); padding: .3rem 0 .3rem .8rem; margin: .6rem 0; }}
.verdicts .yes {{ border-color: var(--good); }} .verdicts .no {{ border-color: var(--bad); }}
.verdicts .yes b {{ color: var(--good); }} .verdicts .no b {{ color: var(--bad); }}
.wide {{ overflow-x: auto; }}
table {{ min-width: min(100%, 26rem); border-collapse: collapse; font-size: .93rem; margin: .5rem 0; \
overflow-wrap: normal; }}
caption {{ text-align: left; color: var(--soft); font-size: .9rem; padding-bottom: .3rem; }}
th, td {{ text-align: left; vertical-align: top; padding: .22rem 1rem .22rem 0; border-bottom: 1px solid var(--line); }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
th.number {{ text-align: right; }}
td.text {{ overflow-wrap: anywhere; min-width: 9rem; }}
figure {{ margin: .8rem 0 1.6rem; }}
img {{ max-width: 100%; height: auto; background: #fff; display: block; border-radius: 3px; }}
pre {{ background: color-mix(in srgb, var(--ink) 7%, transparent); padding: .7rem; overflow-x: auto; font-size: .85rem;
  white-space: pre-wrap; }}
@media (max-width: 40rem) {{ figure {{ overflow-x: auto; }} img {{ max-width: 44rem; }} }}
@media print {{ body {{ max-width: none; padding: 0; font-size: 10pt; }} h2, caption {{ break-after: avoid; }}
  figure, li, tr {{ break-inside: avoid; }} details > pre {{ display: none; }} }}
"""


def text(value: object) -> str:
    """Any value as text that can't be read as markup, nor turn the direction of writing."""
    return html.escape(harmless(str(value)), quote=True)


def paragraph(words: object, soft: bool = False) -> str:
    """One paragraph."""
    return f"<p{' class=soft' if soft else ''}>{text(words)}</p>"


def section(title: str, *parts: str) -> str:
    """A heading and the parts below it; nothing without parts."""
    shown = [part for part in parts if part]
    return f"<section>\n<h2>{text(title)}</h2>\n" + "\n".join(shown) + "\n</section>" if shown else ""


def table(caption: str, headers: Sequence[str], rows: Iterable[Sequence[object]], numeric: Sequence[int] = ()) -> str:
    """A table; nothing without rows.

    Args:
        caption: what it shows.
        headers: one for each column.
        rows: one cell for each column; the first cell is the row's heading.
        numeric: numbers of the columns that are set to the right, as are those with a float.
    """
    rows = [list(row) for row in rows]
    if not rows:
        return ""
    kinds = [
        "number" if i in numeric or any(isinstance(row[i], float) for row in rows) else "text"
        for i in range(len(headers))
    ]
    head = "".join(
        f'<th scope="col" class="{kind}">{text(header)}</th>' for header, kind in zip(headers, kinds, strict=True)
    )
    body = "\n".join(
        f'<tr><th scope="row">{text(number(row[0]))}</th>'
        + "".join(
            f'<td class="{kind}">{text(number(cell))}</td>' for cell, kind in zip(row[1:], kinds[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table>\n<caption>{text(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def figure(source: str, alt: str, caption: str = "", width: float = 10.0) -> str:
    """A figure.

    Args:
        source: its data link.
        alt: describes it to a reader who can't see it.
        caption: the text below it.
        width: in inches, if there is room.
    """
    words = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f'<figure><img src="{text(source)}" alt="{text(alt)}" width="{round(96 * width)}">{words}</figure>'


def verdicts(answers: Iterable[tuple[str, bool, str]]) -> str:
    """A list of questions, each with its answer, yes or no, and the reason."""
    items = "\n".join(
        f'<li class="{"yes" if ok else "no"}">{text(question)} <b>{"Yes" if ok else "No"}.</b><br>'
        f'<span class="soft">{text(why[:1].upper() + why[1:])}</span></li>'
        for question, ok, why in answers
    )
    return f'<ul class="verdicts">\n{items}\n</ul>' if items else ""


def code(words: str, summary: str | None = None) -> str:
    """Text as it is typed; folded behind the summary if there is one."""
    shown = f"<pre>{text(words)}</pre>"
    return shown if summary is None else f"<details><summary>{text(summary)}</summary>{shown}</details>"


def number(cell: object) -> str:
    """A cell as text: a float with five digits, None as an empty cell."""
    if isinstance(cell, float):
        return signed(f"{cell:.5g}")
    return "" if cell is None else str(cell)


def signed(digits: str) -> str:
    """A number's text with a minus sign in place of a hyphen."""
    return digits.replace("-", "\N{MINUS SIGN}")


def page(title: str, *parts: str) -> str:
    """The whole page of these parts; empty ones are left out."""
    body = "\n".join(part for part in parts if part)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{text(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
