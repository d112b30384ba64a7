"""`inn train`: composes the config, claims a directory, lets hydra run the job or the sweep."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from inncli.cli import completion, console, sweep_table
from inncli.cli.options import ConfigDirOption
from inncli.cli.resume import resume as resume_command
from inncli.errors import RequestError

if TYPE_CHECKING:
    from inncli import config
    from inncli.config.trust import Trust
    from inncli.experiments.job import TrainingJob


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
        bool, typer.Option("--resimulate", help="With --resume: run the simulator file that the run was trained on.")
    ] = False,
    config_dir: ConfigDirOption = None,
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
        resume_command(resume, None, resimulate, config_dir)
        return
    if resimulate:
        raise RequestError("--resimulate goes with --resume; a new run is trained on the file that you name")
    if cfg and multirun:
        raise RequestError("-c prints one config and -m trains several; give one of them")
    from inncli import config
    from inncli.config.overrides import sweep_overrides
    from inncli.config.trust import Trust

    for_sweeps = [] if multirun or cfg else sweep_overrides(words)  # a recipe may have some, and train alone too
    if for_sweeps:
        raise RequestError(f"{for_sweeps[0]!r} is for a sweep, and this trains one run; add -m, or leave it out")
    trust = Trust.of(config_dir)
    jobs = config.plan(words, multirun, trust)
    if cfg:
        sys.stdout.write(config.shown(jobs[0], cfg))
    elif multirun:
        from inncli.experiments import sweep

        sweep_table.report_end(sweep.start(words, jobs, job, trust))
    else:
        _single(words, jobs[0], trust.to_run([jobs[0].config]))


def _single(words: list[str], planned: config.Job, trust: Trust) -> None:
    from inncli import config, runtime
    from inncli.config.overrides import names as sets
    from inncli.runs.registry import outputs_root, reserve

    if runtime.launcher_rank():  # of torchrun's processes the first has the directory, and hydra
        from inncli.experiments import train

        train.train(planned.config, None, words, trust=trust)
        return
    if sets(words, "hydra.run.dir"):
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


def job(trust: Trust) -> TrainingJob:
    """What hydra calls for each training of this command."""
    from inncli.experiments.job import TrainingJob

    return TrainingJob(trust, console.note, report)


def report(path: Path) -> None:
    """Prints what came of a run that has just ended."""
    from inncli.runs.registry import name_of
    from inncli.runs.run_dir import RunDir

    run = RunDir(path)
    info = run.info()
    metrics = info["metrics"]
    console.line(f"run {run.id}: {info['steps']:,} steps in {info['seconds']:.1f} s")
    pairs, failed, dropped = ((info.get("data") or {}).get(key) or 0 for key in ("pairs", "failed", "dropped"))
    if failed:
        console.line(f"{failed:,} of {pairs + failed:,} simulations failed (a NaN in y) and were left out")
    if dropped:
        console.line(f"{dropped:,} rows with a missing or non-finite value were dropped")
    if "val_loss" in metrics:
        console.line(
            f"val_loss {metrics['val_loss']:.4f} at epoch {metrics['best_epoch']}, "
            f"{metrics['val_loss_untrained']:.4f} untrained"
        )
    for name, value in metrics.items():
        if name not in ("best_epoch", "loss", "val_loss", "val_loss_untrained") and not name.endswith("_se"):
            error = metrics.get(f"{name}_se")
            console.line(f"{name} {value:.4f}" + ("" if error is None else f" +- {error:.4f}"))
    console.line(f"next: inn show --run {name_of(run)}, or --help of inn invert, inn sample, inn plot")
