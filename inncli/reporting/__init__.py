"""The report of a run: one HTML file with its verdicts, numbers and figures.

    report    the sections, and what each says of the run
    figures   each figure of a run, from its files and its evaluation; `inn plot` draws the same ones
    page      what the page's template takes; `templates` holds it, and its style

May import `evaluation`, `plots`, `inference` and the rooms below them; only `cli` imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.reporting import figures, report

__all__ = ["figures", "report"]
__getattr__ = on_demand(__name__, __all__)
