"""`inn plot`: pictures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inncli.cli import cobweb, console
from inncli.cli.options import ConfigDirOption, DeviceOption, JsonOption, OutOption, RunOption, SeedOption, checked_out
from inncli.errors import RequestError, did_you_mean

KINDS = ("training", "posterior", "density", "calibration", "latent", "view", "convergence", "cobweb")
SUFFIXES = (".png", ".svg", ".pdf")

Kind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        autocompletion=lambda incomplete: [kind for kind in KINDS if kind.startswith(incomplete)],
        help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.",
    ),
]
Set = Annotated[
    str | None,
    typer.Option(
        "--set",
        metavar="FILE",
        show_default="the newest that `inn invert` kept in the run",
        help="posterior: the posterior set to draw (.npz .csv .parquet .nc).",
    ),
]
Y = Annotated[
    str | None,
    typer.Option(
        "--y", metavar="VALUES", help="posterior, density, view: the observation, e.g. 0.3 or name=3,other=4."
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(
        "--samples",
        "-n",
        min=1,
        metavar="N",
        show_default="10000; 400 of a view; none over a density",
        help="posterior with --y, density, view: number of draws.",
    ),
]
Obs = Annotated[int, typer.Option("--obs", min=0, metavar="K", help="posterior: which observation of the set, from 0.")]
Names = Annotated[
    str | None,
    typer.Option(
        "--x", metavar="NAMES", show_default="all, at most 12", help="posterior: unknowns to show, e.g. water,age."
    ),
]
Reference = Annotated[
    bool, typer.Option("--reference", help="posterior: lay the exact posterior beside it, where the task has one.")
]
Cloud = Annotated[
    bool, typer.Option("--cloud", help="posterior: simulate the draws again and show their ys around the observed one.")
]
Resimulate = Annotated[
    bool, typer.Option("--resimulate", help="posterior, calibration, latent, view: run your own simulator file again.")
]
Grid = Annotated[
    int | None, typer.Option("--grid", min=2, max=2000, metavar="N", show_default="200", help="density: points a side.")
]


def plot(
    kind: Kind,
    run: RunOption = None,
    out: OutOption = None,
    set_file: Set = None,
    y: Y = None,
    samples: Samples = None,
    obs: Obs = 0,
    x: Names = None,
    reference: Reference = False,
    cloud: Cloud = False,
    resimulate: Resimulate = False,
    grid: Grid = None,
    map_name: cobweb.MapName = None,
    r: cobweb.R = None,
    omega: cobweb.Omega = None,
    k: cobweb.K = None,
    e: cobweb.E = None,
    block: cobweb.Block = None,
    z: cobweb.Z = None,
    x0: cobweb.X0 = None,
    steps: cobweb.Steps = None,
    json: JsonOption = False,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
) -> None:
    """Draw a picture of a run as PNG, SVG or PDF and print where it is.

    \b
    Examples:
      inn plot training                        losses by epoch
      inn plot posterior                       the newest set of `inn invert`
      inn plot posterior --y 0.3 --reference   fresh draws beside the exact posterior
      inn plot posterior --y 0.3 --cloud       and what the simulator makes of them
      inn plot posterior --set set.npz --x water,age --out mix.pdf
      inn plot calibration                     ranks and coverage, see `inn evaluate`
      inn plot latent                          z of held-out pairs against the normal
      inn plot view --y 1.5,0                  arms, trajectories or images, where the task has such
      inn plot density --y 0.3 -n 1000         p(x|y) over two unknowns, and draws
      inn plot convergence                     how each block of an i-ResNet is inverted
      inn plot cobweb --map logistic --r 3.2   fixed points and orbit of a map, in ./cobweb.png
      inn plot cobweb --run RUN --block 0      how an i-ResNet of one unknown is inverted
    """
    if kind not in KINDS:
        raise RequestError(
            f"expected a picture out of {', '.join(KINDS)}, got {kind!r}"
            f"{did_you_mean(kind, KINDS) or '; pick one of those'}"
        )
    path = checked_out(out, SUFFIXES)
    _only(
        kind,
        "posterior",
        {"--set": set_file, "--x": x, "--reference": reference, "--cloud": cloud, "--obs": obs or None},
    )
    _only(kind, "posterior, density or view", {"--samples": samples})
    _only(kind, "posterior, calibration, latent or view", {"--resimulate": resimulate})
    _only(kind, "density", {"--grid": grid})
    _only(kind, "cobweb", {"--json": json, **cobweb.options(map_name, r, omega, k, e, block, z, x0, steps)})
    if kind in ("training", "convergence", "calibration", "latent"):
        _only(kind, "posterior, density or view", {"--y": y})
    if kind == "cobweb":
        figure, default = cobweb.figure(
            run, y, map_name, r, omega, k, e, block, z, x0, steps, json, path, seed, device, config_dir
        )
    elif kind == "posterior":
        figure, default = _posterior(
            run, set_file, y, samples, obs, x, reference, cloud, resimulate, seed, device, config_dir
        )
    elif kind == "training":
        figure, default = _training(run)
    else:
        figure, default = _of_model(kind, run, y, samples, grid or 200, resimulate, seed, device, config_dir)
    from inncli.plots.style import save

    kept = save(figure, path or default)
    if not json:
        console.line(str(kept))
    if resimulate:
        from inncli.inference.run_task import changed_simulator
        from inncli.runs.registry import find_run

        for warning in changed_simulator(find_run(run), resimulate):
            console.note(f"warning: {warning}")


def _only(kind: str, wanted: str, options: dict) -> None:
    given = [name for name, value in options.items() if value is not None and value is not False]
    if kind not in wanted and given:
        raise RequestError(f"{given[0]} goes with `inn plot {wanted}`, got `inn plot {kind}`; leave it out")


def _training(spec: str | None):
    from inncli.runs.registry import find_run

    run = find_run(spec)
    if not run.metrics():  # said before torch is loaded
        raise RequestError(
            f"run {run.id} has no trained epoch yet (status {run.state()}); "
            "wait for its first, or pick another run with --run"
        )
    from inncli.plots.training import training_curve

    return training_curve(run.metrics(), run.id), run.plots / "training.png"


def _posterior(spec, set_file, y, samples, obs, x, reference, cloud, resimulate, seed, device, config_dir):
    if set_file is not None and y is not None:
        raise RequestError("--set draws a set that is there, --y a new one; pass only one of them")
    if samples is not None and y is None:
        raise RequestError("--samples goes with --y, a set that is there has its draws; leave it out")
    if resimulate and not (cloud or reference):
        raise RequestError("--resimulate goes with --cloud or --reference here; leave it out")
    from inncli.data.observations import split_values
    from inncli.inference import posterior_files
    from inncli.runs.registry import find_run

    asked = reference or cloud
    # A set alone needs no run: it may come from another machine.
    run = None if set_file is not None and spec is None and not asked else find_run(spec)
    if y is not None:
        from inncli.data.observations import parse_y
        from inncli.inference.opening import open_run

        trained = open_run(run, device, config_dir)
        draws = trained.posterior(parse_y(y, trained.y, run.id), samples or 10_000, seed)
    else:
        file = Path(set_file).expanduser() if set_file is not None else run.latest_posterior()
        if file is None:
            raise RequestError(
                f"run {run.id} has kept no posterior set; draw one with `inn invert --y ...`, or pass --y here"
            )
        draws = posterior_files.load(file)
    beside = {}
    if asked and obs < draws.n_obs:  # posterior_pairs says what is wrong with another
        from inncli.config.trust import Trust
        from inncli.inference.run_task import task_to_ask
        from inncli.reporting import figures

        task = task_to_ask(run, resimulate, Trust.of(config_dir))
        beside["reference"] = figures.reference(run, task, draws, obs, seed) if reference else None
        beside["cloud"] = figures.cloud(run, task, draws, obs) if cloud else None
    names = tuple(split_values(x)) if x is not None else None
    from inncli.plots.posterior import posterior_pairs

    stem = f"posterior_obs{obs}" if obs else "posterior"
    default = file.with_suffix(".png") if run is None else run.plots / f"{stem}.png"
    return posterior_pairs(draws, obs, names=names, **beside), default


def _of_model(kind, spec, y, samples, grid, resimulate, seed, device, config_dir):
    """What needs the opened model, or its evaluation."""
    from inncli.runs.registry import find_run

    run = find_run(spec)
    from inncli.data.observations import parse_y
    from inncli.evaluation.cache import Question, cached_calibration
    from inncli.evaluation.request import EvaluationRequest
    from inncli.inference.opening import open_run
    from inncli.inference.run_task import held_out_pairs, task_to_ask
    from inncli.reporting import figures

    default = run.plots / f"{kind}.png"
    if kind == "calibration":
        from inncli.evaluation.evaluate import answer

        question = Question(run, EvaluationRequest(seed, resimulate=resimulate, device=device))
        found = cached_calibration(question) or answer(question, config_dir=config_dir)
        return figures.calibration(run, found.evaluation), default
    trained = open_run(run, device, config_dir)
    row = None if y is None else parse_y(y, trained.y, run.id)
    if kind == "density":
        return figures.density(trained, run, row, grid, seed, samples), default
    if kind == "convergence":
        return figures.convergence(trained, run, seed), default
    task = task_to_ask(run, resimulate, trained.trust)
    pairs = held_out_pairs(run, task, seed)[0]
    if kind == "latent":
        return figures.latent(trained, run, pairs, seed), default
    return figures.view(trained, run, task, row, pairs, samples or 400, seed), default
