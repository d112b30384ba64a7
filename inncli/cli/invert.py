"""`inn invert`: the causes x of an observation y, as a posterior set and a table."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from inncli.cli import output
from inncli.cli.options import (ConfigDirOption, DeviceOption, JsonOption, OutOption, RunOption, SamplesOption,
                                SeedOption, checked_out)
from inncli.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from inncli.posterior import PosteriorSet
    from inncli.run import RunDir

SHOWN = 5  # observations whose table is printed


def invert(
    y: Annotated[str | None, typer.Option(
        "--y", metavar="VALUES", help="One observation: 0.3, or 1.5,0, or name=3,other=4.")] = None,
    y_file: Annotated[str | None, typer.Option(
        "--y-file", metavar="FILE", help="A table of observations (CSV, Parquet, NPZ), one a row.")] = None,
    samples: SamplesOption = 1000,
    seed: SeedOption = 0,
    run: RunOption = None,
    out: OutOption = None,
    resimulate: Annotated[bool, typer.Option(
        "--resimulate", help="Run your own simulator file again for the resimulation error.")] = False,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    json: JsonOption = False,
) -> None:
    """Draw the causes x of an observation y.

    Keeps them as a posterior set, prints mean, sd and quantiles of each unknown, and the
    resimulation error where the task can simulate. The suffix of --out is the format: .npz, .csv,
    .parquet, .nc (ArviZ).

    \b
    Examples:
      inn invert --y 0.3
      inn invert --y 1.5,0 --samples 10000 --out posterior.nc
      inn invert --y compressive_strength=40 --run 2026-11-23_10-04
      inn invert --y-file measured.csv --json
    \b
    Next: inn plot posterior
    """
    from inncli.posterior import SUFFIXES
    from inncli.run import find_run

    if (y is None) == (y_file is None):
        raise RequestError("expected one of --y and --y-file, got " + ("neither" if y is None else "both")
                           + "; e.g. inn invert --y 0.3")
    path = checked_out(out, SUFFIXES)
    found = find_run(run)

    from inncli.observation import parse_y, read_points
    from inncli.pipeline import open_run

    inverter = open_run(found, device, config_dir)
    if y is None and inverter.y is not None:
        rows = read_points(y_file, inverter.y, found.id)
    else:
        rows = parse_y(y or "", inverter.y, found.id)
    warnings = inverter.unfamiliar(rows)
    posterior = inverter.posterior(rows, samples, seed)
    errors = _resimulation_errors(found, posterior, resimulate)
    kept = posterior.save(path or found.next_posterior_path())
    if json:
        output.as_json(_as_dict(found, posterior, errors, warnings, kept))
    else:
        where = f"--run {found.id}" if path is None else f"--set {shlex.quote(str(path))}"
        _print(found, posterior, errors, kept, where)
    for warning in warnings:
        output.note(f"warning: {warning}")


def _resimulation_errors(run: RunDir, posterior: PosteriorSet, resimulate: bool) -> list[float] | None:
    """One number an observation; None where the task can't simulate, or was not asked to run a file."""
    from inncli.metrics.resimulation import resimulation_error
    from inncli.pipeline import built_in_task_of, task_of

    task = task_of(run) if resimulate else built_in_task_of(run)
    if resimulate and not task.can_simulate:
        raise RequestError(f"--resimulate: the task of run {run.id} is a table and has no simulator; "
                           "leave it out")
    if task is None or not task.can_simulate:
        return None
    return [resimulation_error(task.observe, x, y) for x, y in zip(posterior.x, posterior.y)]


def _as_dict(run: RunDir, posterior: PosteriorSet, errors: list[float] | None, warnings: list[str],
             path: Path) -> dict:
    observations = [{"y": posterior.y_outside(obs), "x": {}} for obs in range(posterior.n_obs)]
    for row in posterior.summary():
        stats = {key: row[key] for key in ("mean", "sd", "q05", "q50", "q95")}
        observations[row["obs"]]["x"][row["name"]] = stats
    for entry, error in zip(observations, errors or []):
        entry["resimulation_error"] = error
    return {"run": run.id, "out": str(path), "samples": posterior.n_draws, "observations": observations,
            "warnings": warnings}


def _print(run: RunDir, posterior: PosteriorSet, errors: list[float] | None, path: Path, where: str) -> None:
    rows = posterior.summary()
    for obs in range(min(posterior.n_obs, SHOWN)):
        given = ", ".join(f"{name} = {output.words(value)}" for name, value in posterior.y_outside(obs).items())
        output.line(f"{given}: {posterior.n_draws:,} draws from run {run.id}")
        output.table(["unknown", "mean", "sd", "5%", "50%", "95%"],
                     [[row["name"], row["mean"], row["sd"], row["q05"], row["q50"], row["q95"]]
                      for row in rows if row["obs"] == obs])
        if errors is not None:
            output.line(f"resimulation error {output.words(errors[obs])}")
        output.line("")
    if posterior.n_obs > SHOWN:
        output.line(f"and {posterior.n_obs - SHOWN:,} more observations in the file")
    output.line(f"kept in {path}")
    output.line(f"next: inn plot posterior {where}")
