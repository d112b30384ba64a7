"""How each figure of `inn plot` ends: the picture is written, and its place printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inncli import inference, plots
from inncli.cli import console
from inncli.runs.run_dir import RunDir

SUFFIXES = (".png", ".svg", ".pdf")


def keep(figure: Any, path: Path) -> None:
    """Writes the figure and prints where it is."""
    console.line(str(plots.style.save(figure, path)))


def warn(run: RunDir, resimulate: bool) -> None:
    """Says on stderr if the simulator file that ran has changed since training."""
    if resimulate:
        for warning in inference.run_task.changed_simulator(run, resimulate):
            console.note(f"warning: {warning}")
