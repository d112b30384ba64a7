"""`inn plot`: pictures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inncli.cli import cobweb, output
from inncli.cli.options import (ConfigDirOption, DeviceOption, JsonOption, OutOption, RunOption, SeedOption,
                                checked_out)
from inncli.errors import RequestError, did_you_mean

KINDS = ("training", "posterior", "density", "convergence", "cobweb")
SUFFIXES = (".png", ".svg", ".pdf")

Kind = Annotated[str, typer.Argument(metavar="KIND", autocompletion=lambda incomplete: [
    kind for kind in KINDS if kind.startswith(incomplete)], help="training, posterior, density, convergence or cobweb.")]
Set = Annotated[str | None, typer.Option(
    "--set", metavar="FILE", show_default="the newest that `inn invert` kept in the run",
    help="posterior: the posterior set to draw (.npz .csv .parquet .nc).")]
Y = Annotated[str | None, typer.Option(
    "--y", metavar="VALUES", help="posterior, density: the observation, e.g. 0.3 or name=3,other=4.")]
Samples = Annotated[int | None, typer.Option(
    "--samples", "-n", min=1, metavar="N", show_default="10000", help="posterior with --y: number of draws.")]
Obs = Annotated[int, typer.Option(
    "--obs", min=0, metavar="K", help="posterior: which observation of the set, from 0.")]
Names = Annotated[str | None, typer.Option(
    "--x", metavar="NAMES", show_default="all, at most 12",
    help="posterior: unknowns to show, e.g. water,age.")]
Reference = Annotated[bool, typer.Option(
    "--reference", help="posterior: lay the exact posterior beside it, where the task has one.")]
Grid = Annotated[int | None, typer.Option(
    "--grid", min=2, max=2000, metavar="N", show_default="200", help="density: points a side.")]


def plot(kind: Kind, run: RunOption = None, out: OutOption = None, set_file: Set = None, y: Y = None,
         samples: Samples = None, obs: Obs = 0, x: Names = None, reference: Reference = False,
         grid: Grid = None, map_name: cobweb.MapName = None, r: cobweb.R = None, omega: cobweb.Omega = None,
         k: cobweb.K = None, e: cobweb.E = None, block: cobweb.Block = None, z: cobweb.Z = None, x0: cobweb.X0 = None,
         steps: cobweb.Steps = None, json: JsonOption = False, seed: SeedOption = 0, device: DeviceOption = None,
         config_dir: ConfigDirOption = None) -> None:
    """Draw a picture of a run as PNG, SVG or PDF and print where it is.

    \b
    Examples:
      inn plot training                        losses by epoch
      inn plot posterior                       the newest set of `inn invert`
      inn plot posterior --y 0.3 --reference   fresh draws beside the exact posterior
      inn plot posterior --set set.npz --x water,age --out mix.pdf
      inn plot density --y 0.3                 p(x|y) over two unknowns
      inn plot convergence                     how each block of an i-ResNet is inverted
      inn plot cobweb --map logistic --r 3.2   fixed points and orbit of a map, in ./cobweb.png
      inn plot cobweb --run RUN --block 0      how an i-ResNet of one unknown is inverted
    """
    if kind not in KINDS:
        raise RequestError(f"expected a picture out of {', '.join(KINDS)}, got {kind!r}"
                           f"{did_you_mean(kind, KINDS) or '; pick one of those'}")
    path = checked_out(out, SUFFIXES)
    _only(kind, "posterior", {"--set": set_file, "--x": x, "--reference": reference, "--obs": obs or None, "--samples": samples})
    _only(kind, "density", {"--grid": grid})
    _only(kind, "cobweb", {"--json": json, **cobweb.options(map_name, r, omega, k, e, block, z, x0, steps)})
    if kind == "training":
        _only(kind, "posterior and density", {"--y": y})
        figure, default = _training(run)
    elif kind == "posterior":
        figure, default = _posterior(run, set_file, y, samples, obs, x, reference, seed, device, config_dir)
    elif kind == "convergence":
        _only(kind, "posterior and density", {"--y": y})
        figure, default = _convergence(run, seed, device, config_dir)
    elif kind == "cobweb":
        figure, default = cobweb.figure(run, y, map_name, r, omega, k, e, block, z, x0, steps, json, path, seed,
                                        device, config_dir)
    else:
        figure, default = _density(run, y, grid or 200, seed, device, config_dir)
    from inncli.plots.style import save

    kept = save(figure, path or default)
    if not json:
        output.line(str(kept))


def _only(kind: str, wanted: str, options: dict) -> None:
    given = [name for name, value in options.items() if value is not None and value is not False]
    if kind not in wanted and given:
        raise RequestError(f"{given[0]} goes with `inn plot {wanted}`, got `inn plot {kind}`; leave it out")


def _training(spec: str | None):
    from inncli.run import find_run

    run = find_run(spec)
    metrics = run.metrics()
    if not metrics:
        raise RequestError(f"run {run.id} has no trained epoch yet (status {run.state()}); "
                           "wait for its first, or pick another run with --run")
    from inncli.plots.training import training_curve

    return training_curve(metrics, run.id), run.plots / "training.png"


def _posterior(spec, set_file, y, samples, obs, x, reference, seed, device, config_dir):
    if set_file is not None and y is not None:
        raise RequestError("--set draws a set that is there, --y a new one; pass only one of them")
    if samples is not None and y is None:
        raise RequestError("--samples goes with --y, a set that is there has its draws; leave it out")
    from inncli.observation import split_values
    from inncli.posterior import PosteriorSet
    from inncli.run import find_run

    # A set alone needs no run: it may come from another machine.
    run = None if set_file is not None and spec is None and not reference else find_run(spec)
    if y is not None:
        from inncli.observation import parse_y
        from inncli.pipeline import open_run

        inverter = open_run(run, device, config_dir)
        draws = inverter.posterior(parse_y(y, inverter.y, run.id), samples or 10_000, seed)
    else:
        file = Path(set_file).expanduser() if set_file is not None else run.latest_posterior()
        if file is None:
            raise RequestError(f"run {run.id} has kept no posterior set; draw one with `inn invert --y ...`, "
                               "or pass --y here")
        draws = PosteriorSet.load(file)
    truth = _truth(run, draws, obs, seed, config_dir) if reference else None
    names = tuple(split_values(x)) if x is not None else None
    from inncli.plots.posterior import posterior_pairs

    stem = f"posterior_obs{obs}" if obs else "posterior"
    default = file.with_suffix(".png") if run is None else run.plots / f"{stem}.png"
    return posterior_pairs(draws, obs, truth, names), default


def _truth(run, draws, obs: int, seed: int, config_dir):
    """Exact draws for the same observation."""
    import numpy as np

    from inncli import catalogue, pipeline

    catalogue.trust(config_dir)
    task = pipeline.built_in_task_of(run)
    if task is None or not task.has_reference:
        raise RequestError(f"--reference: the task of run {run.id} has no exact posterior; leave it out")
    if task.x.names != draws.x_names or task.y.names != draws.y_names:
        raise RequestError(f"--reference: the set holds {', '.join(draws.x_names)}, the task of run {run.id} "
                           f"{', '.join(task.x.names)}; name the set's own run with --run")
    if obs >= draws.n_obs:
        return None  # posterior_pairs says what is wrong
    # a stream of its own: the reference must not share its random numbers with the draws
    rng = np.random.default_rng([seed, 1])
    return task.reference_posterior(draws.y[obs], max(draws.n_draws, 10_000), rng)


def _density(spec, y, n: int, seed: int, device, config_dir):
    from inncli.run import find_run

    run = find_run(spec)
    import numpy as np

    from inncli.observation import parse_y
    from inncli.pipeline import open_run
    from inncli.plots.density import density2d
    from inncli.plots.style import values_text

    inverter = open_run(run, device, config_dir)
    if inverter.x.dim != 2:
        raise RequestError(f"expected a run with 2 unknowns, got {run.id} with {inverter.x.dim}; "
                           "try `inn plot posterior`")
    if inverter.y is not None and y is None:
        raise RequestError(f"run {run.id} models x given y ({', '.join(inverter.y.names)}); "
                           "pass --y, e.g. --y 0.3")
    row = None if y is None else parse_y(y, inverter.y, run.id)
    draws = inverter.sample(row, 4_000, seed)[0]
    axes = [window(draws[:, i], bounds, n) for i, bounds in enumerate(inverter.x.cells)]
    points = np.stack(np.meshgrid(*axes), axis=-1)  # rows follow the second unknown
    log_prob = inverter.log_prob(points.reshape(-1, 2), row).reshape(n, n)
    title = run.id if row is None else f"p(x | {values_text(_outside(row[0], inverter.y))})"
    return density2d(*axes, log_prob, names=inverter.x.names, title=title), run.plots / "density.png"


def _convergence(spec, seed: int, device, config_dir):
    from inncli.pipeline import open_run
    from inncli.plots.convergence import Convergence, convergence
    from inncli.run import find_run
    from inncli.transforms.residual import residuals

    run = find_run(spec)
    inverter = open_run(run, device, config_dir)
    parts = [part for _, part in residuals(inverter.model)]
    if not parts:
        raise RequestError(f"run {run.id} (model {run.info().get('model')}) has no residual block to invert; "
                           "pick a run of model=iresnet with --run")
    inverter.diagnostics(1_000, seed)  # which inverts every block, at draws of the model's own
    blocks = [part.convergence() for part in parts]
    return convergence([Convergence(*block) for block in blocks], run.id), run.plots / "convergence.png"


def window(draws, bounds, n: int):
    """Midpoints of n even steps over where the draws are, with a margin, inside the unknown's bounds."""
    import numpy as np

    low, high = np.quantile(draws, (0.001, 0.999))
    margin = 0.15 * (high - low) or 1.0
    low, high = low - margin, high + margin
    low = low if bounds[0] is None else max(low, bounds[0])
    high = high if bounds[1] is None else min(high, bounds[1])
    return low + (high - low) / n * (np.arange(n) + 0.5)


def _outside(row, variables) -> dict:
    return {name: float(value) if labels is None else labels[int(value)]
            for name, value, labels in zip(variables.names, row, variables.labels)}
