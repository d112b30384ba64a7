"""`inn train`: composes the config, claims a directory, lets hydra run the job or the sweep."""

from __future__ import annotations

import contextlib
import shutil
import sys
from typing import Annotated, Literal

import typer

from inncli import config, experiments
from inncli.cli import completion, sweep_table
from inncli.cli.options import ConfigDirOption, TableOption
from inncli.cli.resume import resume as resume_command
from inncli.cli.training_job import job
from inncli.config import recipes
from inncli.config.trust import Trust
from inncli.errors import RequestError
from inncli.io import torchrun
from inncli.runs.registry import outputs_root, reserve


def train(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            autocompletion=completion.overrides,
            show_default=False,
            help="Hydra overrides: choices (task=linear model=glow) and settings (trainer.lr=1e-3).",
        ),
    ] = None,
    multirun: Annotated[
        bool, typer.Option("--multirun", "-m", help="Sweep: train every combination of values separated by commas.")
    ] = False,
    cfg: Annotated[
        Literal["job", "hydra", "all"] | None,
        typer.Option("--cfg", "-c", help="Print the composed config and leave; nothing is written."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="RUN", autocompletion=completion.runs, help="Continue a stopped run, bit for bit."
        ),
    ] = None,
    resimulate: Annotated[
        bool,
        typer.Option(
            "--resimulate",
            help="With --resume, or a recipe in a sweep's folder: run the simulator file that it names.",
        ),
    ] = False,
    config_dir: ConfigDirOption = None,
    table: TableOption = None,
) -> None:
    """Train a model on a task and keep it in a new run directory.

    \b
    Examples:
      inn train                                        the default: RealNVP on the ring
      inn train task=linear model=glow seed=1
      inn train trainer.max_seconds=60 trainer.lr=1e-3
      inn train task=table task.file=mixes.csv 'task.x=[cement,water]' 'task.y=[strength]'
      inn train task=simulator task.file=my_sim.py
      inn train experiment=concrete                    a recipe of conf/experiment
      inn train -m model=nice,rnvp,glow 'seed=range(3)'
      inn train -c job model=glow                      print the config, train nothing
      inn train --resume 2026-11-23_10-04              continue a stopped run
    \b
    Next: inn invert --y 0.3, inn plot training, inn runs
    """
    words = list(overrides or [])
    if resume is not None:
        if words or multirun or cfg:
            raise RequestError(
                "--resume takes the run's own config and nothing else; leave out "
                + (repr(words[0]) if words else "-m and -c")
            )
        resume_command(resume, None, resimulate, config_dir, table)
        return
    if table:
        raise RequestError("--table goes with --resume; a new run is trained on the file that you name, task.file=FILE")
    if cfg and multirun:
        raise RequestError("-c prints one config and -m trains several; give one of them")
    for_sweeps = [] if multirun or cfg else config.sweep_overrides(words)  # a recipe may have some, and train alone too
    if for_sweeps:
        raise RequestError(f"{for_sweeps[0]!r} is for a sweep, and this trains one run; add -m, or leave it out")
    trust = Trust.of(config_dir)
    words = config.with_literal_files(words)
    if resimulate and not trust.recipes:
        raise RequestError(
            "--resimulate goes with --resume, or with a recipe in a sweep's folder; a new run is trained on the file "
            "that you name"
        )
    jobs = config.plan(words, multirun, trust)
    if cfg:
        sys.stdout.write(config.shown(jobs[0], cfg))
    elif multirun:
        sweep_table.report_end(experiments.sweep.start(words, jobs, job, trust, resimulate))
    else:
        _single(words, jobs[0], recipes.to_run(trust, words, [jobs[0].config], resimulate))


def _single(words: list[str], planned: config.Job, trust: Trust) -> None:
    if torchrun.rank():  # of torchrun's processes the first has the directory, and hydra
        experiments.train.train(planned.config, None, words, trust=trust)
        return
    if config.names(words, "hydra.run.dir"):
        config.run(job(trust), planned, trust=trust)
        return
    names, root = planned.config["names"], outputs_root()
    new_root = not root.exists()
    path = reserve(root, names["task"], names["model"])
    try:
        config.run(job(trust), planned, path.absolute(), trust)
    finally:
        if not (path / "run.json").exists():  # nothing was trained: leave no trace
            shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):
                if new_root:
                    root.rmdir()
