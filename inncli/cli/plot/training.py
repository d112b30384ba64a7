"""`inn plot training`: losses by epoch."""

from __future__ import annotations

from inncli import plots
from inncli.cli.options import OutOption, RunOption, checked_out
from inncli.cli.plot.kept import SUFFIXES, keep
from inncli.errors import RequestError
from inncli.runs.registry import find_run


def training(run: RunOption = None, out: OutOption = None) -> None:
    """Draw the losses of a run by epoch.

    \b
    Examples:
      inn plot training
      inn plot training --run 2026-11-23_10-04 --out losses.pdf
    """
    path = checked_out(out, SUFFIXES)
    found = find_run(run)
    if not found.metrics():  # said before torch is loaded
        raise RequestError(
            f"run {found.id} has no trained epoch yet (status {found.state()}); "
            "wait for its first, or pick another run with --run"
        )
    keep(plots.training.training_curve(found.metrics(), found.id), path or found.plots / "training.png")
