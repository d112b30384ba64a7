"""What a command that trains hands to hydra, and what it prints when a run has ended."""

from __future__ import annotations

from pathlib import Path

from inncli import experiments
from inncli.cli import console
from inncli.config.trust import Trust
from inncli.runs.registry import name_of
from inncli.runs.run_dir import RunDir


def job(trust: Trust, tables: tuple[str, ...] = ()) -> experiments.job.TrainingJob:
    """What hydra calls for each training of this command."""
    return experiments.job.TrainingJob(trust, console.note, report, tables)


SAID = ("best_epoch", "loss", "val_loss", "val_loss_last", "val_loss_untrained")  # by lines of their own


def report(path: Path) -> None:
    """Prints what came of a run that has just ended."""
    run = RunDir(path)
    info = run.info()
    metrics = info["metrics"]
    early = info["steps"] < (info.get("planned_steps") or 0)
    taken = f"{info['steps']:,}" + (f" of {info['planned_steps']:,}" if early else "")
    console.line(f"run {run.id}: {taken} steps in {info['seconds']:.1f} s")
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
        if info.get("kept"):
            console.line(info["kept"])
    for name, value in metrics.items():
        if name not in SAID and not name.endswith("_se"):
            error = metrics.get(f"{name}_se")
            console.line(f"{name} {value:.4f}" + ("" if error is None else f" +- {error:.4f}"))
    console.line(f"next: inn show --run {name_of(run)}, or --help of inn invert, inn sample, inn plot")
