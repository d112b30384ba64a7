"""`inn plot latent`: z of held-out pairs."""

from __future__ import annotations

from inncli import inference, reporting
from inncli.cli.options import ConfigDirOption, DeviceOption, OutOption, RunOption, SeedOption, TableOption, checked_out
from inncli.cli.plot.kept import SUFFIXES, keep, warn
from inncli.cli.plot.options import ResimulateOption
from inncli.runs.registry import find_run


def latent(
    run: RunOption = None,
    resimulate: ResimulateOption = False,
    out: OutOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    table: TableOption = None,
) -> None:
    """Draw z of held-out pairs against the normal that it should follow.

    \b
    Examples:
      inn plot latent
      inn plot latent --run 2026-11-23_10-04 --out z.svg
    """
    path = checked_out(out, SUFFIXES)
    found = find_run(run)
    inference.run_table.at_tables([found], table or [])
    trained = inference.opening.open_run(found, device, config_dir)
    task = inference.run_task.task_to_ask(found, resimulate, trained.trust)
    pairs, _ = inference.run_task.held_out_pairs(found, task, seed)
    keep(reporting.figures.latent(trained, found, pairs, seed), path or found.plots / "latent.png")
    warn(found, resimulate)
