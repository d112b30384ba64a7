"""`inn resume`: continues a stopped run, or the jobs of a sweep that are not done."""

from __future__ import annotations

import functools
import os
from typing import Annotated

import typer

from inncli import experiments, inference
from inncli.cli import completion, console, sweep_table
from inncli.cli.options import ConfigDirOption, TableOption
from inncli.cli.training_job import job, report
from inncli.config.trust import Trust
from inncli.errors import RequestError
from inncli.runs.sweep_dir import SweepDir
from inncli.runs.sweeps import find


def resume(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SWEEP",
            autocompletion=completion.runs_and_sweeps,
            show_default=False,
            help="Directory, id or unique prefix of a run or of a sweep.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[hydra/launcher=NAME]...",
            show_default=False,
            help="For a sweep: another launcher, or other settings of its own (hydra.launcher.n_jobs=2).",
        ),
    ] = None,
    resimulate: Annotated[
        bool,
        typer.Option(
            "--resimulate", help="Run the simulator file that it was trained on: a run directory may be a stranger's."
        ),
    ] = False,
    config_dir: ConfigDirOption = None,
    table: TableOption = None,
) -> None:
    """Continue what was stopped, killed or failed, bit for bit as if it never had been.

    \b
    Examples:
      inn resume 2026-11-23_10-04_ring_rnvp_3fa9       a run, from its last checkpoint
      inn resume 2026-11-23_10-05_ring_rnvp_77c1       a sweep: only the jobs that are not done
      inn resume 2026-11-23_10-05 hydra/launcher=joblib
    \b
    A sweep keeps its launcher unless another one is named; a job without a checkpoint starts anew.
    Next: inn runs --sweep SWEEP, inn compare SWEEP
    """
    found, trust, words = find(name), Trust.of(config_dir), list(overrides or [])
    if isinstance(found, SweepDir):
        begun = [found.run(number) for number, _ in found.configs() if found.run(number).info_file.exists()]
        inference.run_table.at_tables(list({run.path: run for run in begun}.values()), table or [])
        launch = functools.partial(job, tables=tuple(os.path.abspath(file) for file in table or []))
        sweep_table.report_end(experiments.sweep.resume(found, words, launch, trust, resimulate))
        return
    if words:
        raise RequestError(f"a run is resumed with its own config and nothing else; leave out {words[0]!r}")
    inference.run_table.at_tables([found], table or [])
    experiments.train.resume(found, trust.to_run([found.config()]) if resimulate else trust)
    report(found.path)
    for warning in inference.run_task.changed_simulator(found, resimulate, inference.run_task.WENT_ON):
        console.note(f"warning: {warning}")
