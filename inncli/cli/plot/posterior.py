"""`inn plot posterior`: a set that `inn invert` kept, or fresh draws."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from inncli import data, inference, plots, reporting
from inncli.cli.options import ConfigDirOption, DeviceOption, OutOption, RunOption, SeedOption, TableOption, checked_out
from inncli.cli.plot.kept import SUFFIXES, keep, warn
from inncli.cli.plot.options import ResimulateOption, YOption
from inncli.config.trust import Trust
from inncli.errors import RequestError
from inncli.io.paths import user_path
from inncli.runs.registry import find_run
from inncli.runs.run_dir import RunDir


def posterior(
    run: RunOption = None,
    set_file: Annotated[
        str | None,
        typer.Option(
            "--set",
            metavar="FILE",
            show_default="the newest that `inn invert` kept in the run",
            help="The posterior set to draw (.npz .csv .parquet .nc).",
        ),
    ] = None,
    y: YOption = None,
    samples: Annotated[
        int | None,
        typer.Option("--samples", "-n", min=1, metavar="N", show_default="10000", help="Number of draws, with --y."),
    ] = None,
    obs: Annotated[int, typer.Option("--obs", min=0, metavar="K", help="Which observation of the set, from 0.")] = 0,
    x: Annotated[
        str | None,
        typer.Option("--x", metavar="NAMES", show_default="all, at most 12", help="Unknowns to show, e.g. water,age."),
    ] = None,
    reference: Annotated[
        bool, typer.Option("--reference", help="Lay the exact posterior beside it, where the task has one.")
    ] = False,
    cloud: Annotated[
        bool, typer.Option("--cloud", help="Simulate the draws again and show their ys around the observed one.")
    ] = False,
    resimulate: ResimulateOption = False,
    out: OutOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    table: TableOption = None,
) -> None:
    """Draw a posterior set: each unknown, and each pair of them.

    \b
    Examples:
      inn plot posterior                       the newest set of `inn invert`
      inn plot posterior --y 0.3 --reference   fresh draws beside the exact posterior
      inn plot posterior --y 0.3 --cloud       and what the simulator makes of them
      inn plot posterior --set set.npz --x water,age --out mix.pdf
    """
    path = checked_out(out, SUFFIXES)
    if set_file is not None and y is not None:
        raise RequestError("--set draws a set that is there, --y a new one; pass only one of them")
    if samples is not None and y is None:
        raise RequestError("--samples goes with --y, a set that is there has its draws; leave it out")
    if resimulate and not (cloud or reference):
        raise RequestError("--resimulate goes with --cloud or --reference here; leave it out")
    if set_file is not None and run is None and not (cloud or reference):  # from another machine, maybe
        file = user_path(set_file)
        draws = inference.posterior_files.load(file)
        keep(_pairs(draws, obs, x), path or file.with_suffix(".png"))
        return
    found = find_run(run)
    inference.run_table.at_tables([found], table or [])
    draws = _draws(found, set_file, y, samples or 10_000, seed, device, config_dir)
    beside = {}
    if (cloud or reference) and obs < draws.n_obs:  # `posterior_pairs` says what is wrong with another
        task = inference.run_task.task_to_ask(found, resimulate, Trust.of(config_dir))
        if reference:
            beside["reference"] = reporting.figures.reference(found, task, draws, obs, seed)
        if cloud:
            beside["cloud"] = reporting.figures.cloud(found, task, draws, obs)
    stem = f"posterior_obs{obs}" if obs else "posterior"
    keep(_pairs(draws, obs, x, **beside), path or found.plots / f"{stem}.png")
    warn(found, resimulate)


def _draws(
    run: RunDir, set_file: str | None, y: str | None, n: int, seed: int, device: str | None, config_dir: str | None
) -> inference.posterior_set.PosteriorSet:
    """Fresh draws at y, else those of a file, else the newest that the run kept."""
    if y is not None:
        trained = inference.opening.open_run(run, device, config_dir)
        return trained.posterior(data.observations.parse_y(y, trained.y, run.id), n, seed)
    file = user_path(set_file) if set_file is not None else run.latest_posterior()
    if file is None:
        raise RequestError(
            f"run {run.id} has kept no posterior set; draw one with `inn invert --y ...`, or pass --y here"
        )
    return inference.posterior_files.load(file)


def _pairs(draws: inference.posterior_set.PosteriorSet, obs: int, x: str | None, **beside: Any) -> Any:
    names = None if x is None else tuple(data.observations.split_values(x))
    return plots.posterior.posterior_pairs(draws, obs, names=names, **beside)
