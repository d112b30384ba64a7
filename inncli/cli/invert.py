"""`inn invert`: the causes x of an observation y, as a posterior set and a table."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Annotated

import typer

from inncli import data, inference
from inncli.cli import completion, console
from inncli.cli.options import (
    ConfigDirOption,
    DeviceOption,
    JsonOption,
    OutOption,
    RunOption,
    SamplesOption,
    SeedOption,
    checked_out,
    in_run,
)
from inncli.cli.posterior_table import entries, show
from inncli.config.trust import Trust
from inncli.errors import RequestError
from inncli.runs.registry import find_run, name_of
from inncli.runs.run_dir import RunDir


def invert(
    y: Annotated[
        str | None, typer.Option("--y", metavar="VALUES", help="One observation: 0.3, or 1.5,0, or name=3,other=4.")
    ] = None,
    y_file: Annotated[
        str | None,
        typer.Option("--y-file", metavar="FILE", help="A table of observations (CSV, Parquet, NPZ), one a row."),
    ] = None,
    samples: SamplesOption = 1000,
    seed: SeedOption = 0,
    run: RunOption = None,
    out: OutOption = None,
    resimulate: Annotated[
        bool, typer.Option("--resimulate", help="Run your own simulator file again for the resimulation error.")
    ] = False,
    starts: Annotated[
        str | None,
        typer.Option(
            "--starts",
            metavar="RUN",
            autocompletion=completion.runs,
            help="Search from the draws of this run at the same y (model=adjoint).",
        ),
    ] = None,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine", help="Move each draw onto the simulator's own y = s(x), where it can be differentiated."
        ),
    ] = False,
    ignore_noise: Annotated[
        bool,
        typer.Option("--ignore-noise", help="Refine on a task with noise too; the posterior comes out too narrow."),
    ] = False,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    json: JsonOption = False,
) -> None:
    """Draw the causes x of an observation y.

    Keeps them as a posterior set, prints mean, sd and quantiles of each unknown (of a search, model=adjoint,
    the distinct solutions and the share of the draws that converged), and the resimulation error where the task
    can simulate. The suffix of --out is the format: .npz, .csv, .parquet, .nc (ArviZ). More than 100,000 draws are
    made, written and summarised block by block, so that they need not fit in memory.

    \b
    Examples:
      inn invert --y 0.3
      inn invert --y 1.5,0 --samples 10000 --out posterior.nc
      inn invert --y 0.3 -n 100000000 --out set.parquet
      inn invert --y compressive_strength=40 --run 2026-11-23_10-04
      inn invert --y-file measured.csv --json
      inn invert --y 1.5 --refine
      inn invert --y 1.5 --run AN_ADJOINT_RUN --starts A_FLOW_RUN
    \b
    Next: inn plot posterior
    """
    if (y is None) == (y_file is None):
        raise RequestError(
            "expected one of --y and --y-file, got "
            + ("neither" if y is None else "both")
            + "; e.g. inn invert --y 0.3"
        )
    path = checked_out(out, inference.posterior_files.SUFFIXES)
    found = find_run(run)
    where = path or in_run(found.next_posterior_path())
    if ignore_noise and not refine:
        raise RequestError("--ignore-noise goes with --refine; add that, or leave it out")
    trained = inference.opening.open_run(found, device, config_dir)
    if y_file is not None and trained.y is not None:
        rows = data.observations.read_points(y_file, trained.y, found.id)
    else:
        rows = data.observations.parse_y(y or "", trained.y, found.id)
    warnings, familiar = trained.unfamiliar(rows), trained.familiarity(rows)
    task = inference.refine.task_to_refine(found, resimulate, ignore_noise, trained.trust) if refine else None
    source = None if starts is None else inference.opening.open_run(find_run(starts), device, config_dir)
    reports = None
    if task is None and source is None:
        parts: Iterable[tuple[int, int, inference.posterior_set.PosteriorSet]] = trained.posterior_blocks(
            rows, samples, seed
        )
    else:
        begin = None if source is None else inference.starts.starts_from(source, trained, rows, samples, seed)
        posterior = trained.posterior(rows, samples, seed, begin)
        if source is not None:
            posterior.meta["starts"] = source.id
        if task is not None:
            posterior, reports = inference.refine.refined(found, task, posterior)
        parts = [(0, 0, posterior)]
    observe = _observe(found, resimulate, trained.trust)
    with console.progress() as on_progress:
        summary, errors = inference.streaming.write_posterior(
            parts,
            rows,
            samples,
            where,
            observe=observe,
            on_progress=on_progress,
        )
    warnings += inference.run_task.changed_simulator(found, resimulate)
    warnings += inference.resimulated.not_reproduced(found.info().get("resimulation"))
    if json:
        console.as_json(
            {
                "run": found.id,
                "out": str(where),
                "samples": samples,
                "observations": entries(summary, errors, reports, familiar),
                "warnings": warnings,
                **({"quantiles": summary.how} if summary.how else {}),
            }
        )
    else:
        show(found.id, summary, errors, reports, familiar, trained.y_sd)
        if summary.how:
            console.line(summary.how)
        console.line(f"kept in {where}")
        words = f"--run {name_of(found)}" if path is None else f"--set {shlex.quote(str(path))}"
        console.line(f"next: inn plot posterior {words}")
    for warning in warnings:
        console.note(f"warning: {warning}")


def _observe(run: RunDir, resimulate: bool, trust: Trust) -> inference.streaming.Observe | None:
    """s(x) of the run's task, where it can simulate, and is built in or was asked to run its file."""
    if not resimulate:
        task = inference.run_task.built_in_task_of(run, trust)
        return task.observe if task is not None and task.can_simulate else None
    task = inference.run_task.task_of(run, resimulate, trust)
    if not task.can_simulate:
        raise RequestError(f"--resimulate: the task of run {run.id} is a table and has no simulator; leave it out")
    return task.observe
