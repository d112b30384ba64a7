"""What one shows of a run: its pictures, and the one HTML file that holds them with numbers and verdicts.

Contents: `report.report` writes report.html; `figures` has one function a picture; `html` the pieces of a page.
May import `evaluation`, `experiments`, `plots` and the rooms below them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.reporting import figures, report

__all__ = ["figures", "report"]
__getattr__ = on_demand(__name__, __all__)
