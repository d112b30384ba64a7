"""`inn train`: composes the config, claims a directory, lets hydra run the job or the sweep."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from inncli.cli import complete, output
from inncli.cli.options import ConfigDirOption
from inncli.errors import Interrupted, RequestError, TrainingError

if TYPE_CHECKING:
    from inncli import config


def train(
    overrides: Annotated[list[str] | None, typer.Argument(
        metavar="[KEY=VALUE]...", autocompletion=complete.overrides, show_default=False,
        help="Hydra overrides: choices (task=linear model=glow) and settings (trainer.lr=1e-3).")] = None,
    multirun: Annotated[bool, typer.Option(
        "--multirun", "-m", help="Sweep: train every combination of values separated by commas.")] = False,
    cfg: Annotated[Literal["job", "hydra", "all"] | None, typer.Option(
        "--cfg", "-c", help="Print the composed config and leave; nothing is written.")] = None,
    resume: Annotated[str | None, typer.Option(
        "--resume", metavar="RUN", autocompletion=complete.runs, help="Continue a stopped run, bit for bit.")] = None,
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
    from inncli import config

    words = list(overrides or [])
    config.trust(config_dir)
    if resume is not None:
        if words or multirun or cfg:
            raise RequestError("--resume takes the run's own config and nothing else; leave out "
                               + (repr(words[0]) if words else "-m and -c"))
        _resume(resume)
        return
    if cfg and multirun:
        raise RequestError("-c prints one config and -m trains several; give one of them")
    jobs = config.plan(words, multirun)
    if cfg:
        config.launch(job, words, show=cfg)
    elif multirun:
        _sweep(words, jobs)
    else:
        _single(words, jobs[0])


def job(cfg) -> float | None:
    """One training, called by hydra in whatever process its launcher chose; returns the validation loss.

    The job of a sweep keeps its error to itself, so that the other jobs go on; the error of a
    single run goes past hydra to `inncli.cli.app.main`.
    """
    from inncli import config, requeue, sweep
    from inncli.catalogue import one_line
    from inncli.run import RunDir

    path, number, words = config.job_place()
    try:
        metrics = _trained(config.job_config(cfg), path, words, config.job_pruning(path) if number is not None else None)
    except (KeyboardInterrupt, Interrupted) as stop:
        if number is not None and getattr(stop, "reason", None) == "pruned":
            RunDir(path).update_info(pruned=True)
            sweep.record(path.parent, number, words, None)
            return float("nan")
        if number is not None:
            requeue.back_to_queue(RunDir(path), stop)
        raise config.carry(stop) from None
    except Exception as error:  # any failure of one job is a line of the sweep's report
        _after_failure(path, number is not None, error)
        if number is None:
            raise config.carry(error) from None
        sweep.record(path.parent, number, words, f"{type(error).__name__}: {one_line(error)}")
        return float("nan")
    if number is None:
        _report(path)
    else:
        sweep.record(path.parent, number, words, None)
    return metrics.get("val_loss")


def _trained(config: dict, path: Path, words: list[str], prune=None) -> dict:
    from inncli import pipeline
    from inncli.run import RunDir

    if (path / "run.json").exists():
        return pipeline.resume(RunDir(path), prune)
    return pipeline.train(config, path, words, prune)


def _single(words: list[str], planned: config.Job) -> None:
    from inncli import config
    from inncli.run import outputs_root, reserve

    if _names(words, "hydra.run.dir"):
        config.launch(job, words)
        return
    names, root = planned.config["names"], outputs_root()
    new_root = not root.exists()
    path = reserve(root, names["task"], names["model"])
    try:
        config.launch(job, words, directory=path.absolute())
    finally:
        if not (path / "run.json").exists():  # nothing was trained: leave no trace
            shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):
                if new_root:
                    root.rmdir()


def _sweep(words: list[str], jobs: list[config.Job]) -> None:
    from inncli import catalogue, config, sweep
    from inncli.run import outputs_root, reserve

    if _names(words, "hydra.sweep.dir"):
        raise RequestError("hydra.sweep.dir is chosen by inn, so that no two sweeps share one; "
                           "set INN_OUTPUTS to keep them elsewhere")
    # A missing table or a broken simulator file is found once, before anything is written.
    seen = []
    for planned in jobs:
        if planned.config["task"] not in seen:
            seen.append(planned.config["task"])
            catalogue.instantiate(planned.config["task"])()
    names = jobs[0].config["names"]
    path = reserve(outputs_root() / "sweeps", names["task"], names["model"])
    sweep.start(path, words, [planned.overrides for planned in jobs if planned.exact])
    try:
        config.launch(job, words, directory=path.absolute(), multirun=True)
    except (KeyboardInterrupt, Interrupted):
        sweep.finish(path, interrupted=True)
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            (path / "multirun.yaml").unlink()  # hydra's own copy; sweep.json and config.yaml say the same
    ended = sweep.finish(path)
    failed = [entry for entry in ended if entry["status"] == "failed"]
    output.line(f"sweep {path.name}: {len(ended) - len(failed)} of {len(ended)} jobs done")
    output.line("next: inn runs")
    for entry in failed:
        output.note(f"job {entry['job']} ({' '.join(entry['overrides'])}) failed: {entry['error']}")
    if failed:
        raise TrainingError(f"{len(failed)} of {len(ended)} jobs failed; the others are kept under {path}")


def _names(words: list[str], key: str) -> bool:
    return any(word.partition("=")[0].lstrip("+") == key for word in words)


def _resume(spec: str) -> None:
    from inncli.run import find_run

    run = find_run(spec)

    from inncli import pipeline

    pipeline.resume(run)
    _report(run.path)


def _after_failure(path: Path, in_sweep: bool, error: Exception) -> None:
    """Leaves no directory behind for a wrong request, and the traceback of a bug in the run's log."""
    if isinstance(error, RequestError):
        # Never more than hydra made for this job: hydra.run.dir may name a folder of the user's.
        if in_sweep and (path.parent / "sweep.json").exists() and not (path / "run.json").exists():
            shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            path.rmdir()
    elif path.is_dir() and not isinstance(error, TrainingError):
        import traceback

        with (path / "train.log").open("a", encoding="utf-8") as log:
            traceback.print_exception(error, file=log)


def _report(path: Path) -> None:
    from inncli.run import RunDir

    run = RunDir(path)
    info = run.info()
    metrics = info["metrics"]
    output.line(f"run {run.id}: {info['steps']:,} steps in {info['seconds']:.1f} s")
    pairs, failed, dropped = ((info.get("data") or {}).get(key) or 0 for key in ("pairs", "failed", "dropped"))
    if failed:
        output.line(f"{failed:,} of {pairs + failed:,} simulations failed (a NaN in y) and were left out")
    if dropped:
        output.line(f"{dropped:,} rows with a missing or non-finite value were dropped")
    if "val_loss" in metrics:
        output.line(f"val_loss {metrics['val_loss']:.4f} at epoch {metrics['best_epoch']}, "
                    f"{metrics['val_loss_untrained']:.4f} untrained")
    for name, value in metrics.items():
        if name not in ("best_epoch", "loss", "val_loss", "val_loss_untrained") and not name.endswith("_se"):
            error = metrics.get(f"{name}_se")
            output.line(f"{name} {value:.4f}" + ("" if error is None else f" +- {error:.4f}"))
    output.line(f"next: inn show --run {run.id}, or --help of inn invert, inn sample, inn plot")
