"""The page of a report: what its template takes, and the template filled in.

`templates/report.html.jinja` says what stands where, `report.css` how it looks. Every value that the template shows is
escaped (autoescape), and what would turn the direction of writing is spelt out (finalize); a name that the template
doesn't know is an error and no empty text (StrictUndefined).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from inncli.io.harmless import harmless


def _shown(value: object) -> object:
    """A value as the page may hold it; what the template itself has escaped is left as it is."""
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_TEMPLATES = Environment(
    loader=PackageLoader("inncli.reporting"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    finalize=_shown,
)


class Answer(NamedTuple):
    """A question and its answer.

    Attributes:
        question: as a reader asks it.
        answer: in a word or two.
        why: the reason, a sentence.
        rule: when the answer is which; empty if that is not known.
        kind: `yes`, `no` or `open`, as the style names it.
    """

    question: str
    answer: str
    why: str
    rule: str
    kind: str


class Table(NamedTuple):
    """A table of texts.

    Attributes:
        caption: what it shows.
        headers: one for each column.
        rows: one text for each column; the first is the row's heading.
        numeric: numbers of the columns that are set to the right.
    """

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[int] = ()

    def kind(self, column: int) -> str:
        """What a column holds, as the style names it."""
        return "number" if column in self.numeric else "text"


class Picture(NamedTuple):
    """A picture, or the reason why it could not be drawn.

    Attributes:
        alt: describes it to a reader who can't see it.
        caption: the text below it, if there is one.
        source: its data link; None if it could not be drawn.
        width: in CSS pixels, 96 an inch, if there is room.
        reason: why it could not be drawn.
    """

    alt: str
    caption: str
    source: str | None
    width: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Page:
    """What a report shows.

    Attributes:
        names: the model and the task.
        run: the run's id.
        ended: how the run ended, and when.
        answers: the verdicts.
        warnings: what a reader should know beside them.
        numbers: tables of what was measured.
        figures: the pictures of each section, by its title, in order.
        facts: what was trained, on what, and how.
        settings: the run's config, as YAML.
        commands: what to type to get the same again, one a line.
    """

    names: str
    run: str
    ended: str
    answers: Sequence[Answer]
    warnings: Sequence[str]
    numbers: Sequence[Table]
    figures: Mapping[str, Sequence[Picture]]
    facts: Table
    settings: str
    commands: str

    def html(self) -> str:
        """The whole page, which needs no other file."""
        return _TEMPLATES.get_template("report.html.jinja").render(vars(self))


def number(cell: object) -> str:
    """A cell as text: a float with five digits, None as an empty cell."""
    if isinstance(cell, float):
        return signed(f"{cell:.5g}")
    return "" if cell is None else str(cell)


def signed(digits: str) -> str:
    """A number's text with a minus sign in place of a hyphen."""
    return digits.replace("-", "\N{MINUS SIGN}")
