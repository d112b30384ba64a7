"""`inn plot view`: draws as the task's own pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from inncli import data, inference, reporting
from inncli.cli.options import ConfigDirOption, DeviceOption, OutOption, RunOption, SeedOption, TableOption, checked_out
from inncli.cli.plot.kept import SUFFIXES, keep, warn
from inncli.cli.plot.options import ResimulateOption, YOption
from inncli.runs.registry import find_run


def view(
    run: RunOption = None,
    y: YOption = None,
    samples: Annotated[int, typer.Option("--samples", "-n", min=1, metavar="N", help="Number of draws.")] = 400,
    resimulate: ResimulateOption = False,
    out: OutOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    table: TableOption = None,
) -> None:
    """Draw arms, trajectories or images, where the task has such.

    \b
    Examples:
      inn plot view --y 1.5,0
      inn plot view --run A_RUN_OF_DIGITS --y 7 -n 100
    """
    path = checked_out(out, SUFFIXES)
    found = find_run(run)
    inference.run_table.at_tables([found], table or [])
    trained = inference.opening.open_run(found, device, config_dir)
    row = None if y is None else data.observations.parse_y(y, trained.y, found.id)
    task = inference.run_task.task_to_ask(found, resimulate, trained.trust)
    pairs, _ = inference.run_task.held_out_pairs(found, task, seed)
    keep(reporting.figures.view(trained, found, task, row, pairs, samples, seed), path or found.plots / "view.png")
    warn(found, resimulate)
