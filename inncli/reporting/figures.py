"""The pictures of a run: what `inn plot` and `inn report` ask of it, each one figure of `plots`.

Here a run, its task and its numbers become the arrays that a picture takes. What a run can't show is a RequestError,
one line. A simulator file of the user's is run only where `resimulate` says so.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from inncli.data.pairs import Pairs
from inncli.errors import RequestError
from inncli.evaluation.cache import Evaluation
from inncli.inference.posterior_set import PosteriorSet
from inncli.inference.trained_model import TrainedModel
from inncli.plots.calibration import calibration as draw_calibration
from inncli.plots.convergence import Convergence
from inncli.plots.convergence import convergence as draw_convergence
from inncli.plots.density import density2d
from inncli.plots.images import COLUMNS, images
from inncli.plots.latent import latent as draw_latent
from inncli.plots.paths import paths
from inncli.plots.style import values_text
from inncli.plots.training import training_curve
from inncli.runs.run_dir import RunDir
from inncli.tasks.base import Task
from inncli.transforms.residual import residuals
from inncli.variables import Variables

REFERENCE = 1  # the reference draws' stream: they must not share random numbers with the model's
ROWS = 4  # of images, where one y is shown


def training(run: RunDir) -> Figure:
    """Losses by epoch."""
    metrics = run.metrics()
    if not metrics:
        raise RequestError(
            f"run {run.id} has no trained epoch yet (status {run.state()}); "
            "wait for its first, or pick another run with `run`",
            "run",
        )
    return training_curve(metrics, run.id)


def reference(run: RunDir, task: Task | None, draws: PosteriorSet, obs: int, seed: int) -> np.ndarray:
    """Exact draws at the same observation, (n, Dx)."""
    if task is None or not task.has_reference:
        raise RequestError(f"`reference`: the task of run {run.id} has no exact posterior; leave it out", "reference")
    _same_columns("reference", run, task, draws)
    rng = np.random.default_rng([seed, REFERENCE])
    return task.reference_posterior(draws.y[obs], max(draws.n_draws, 10_000), rng)


def cloud(run: RunDir, task: Task | None, draws: PosteriorSet, obs: int) -> np.ndarray:
    """s(x) of the draws, (S, Dy)."""
    if task is None:
        raise RequestError(
            f"`cloud=True` runs the simulator of run {run.id}, which is your own file; add `resimulate=True` to say so",
            "cloud",
            "resimulate",
        )
    if not task.can_simulate or task.y.categorical:
        raise RequestError(
            f"`cloud=True` simulates the draws again, and the task of run {run.id} ({task.name}) can't; leave it out",
            "cloud",
        )
    _same_columns("cloud", run, task, draws)
    return task.observe(draws.x[obs])


def view(
    trained: TrainedModel, run: RunDir, task: Task | None, y: np.ndarray | None, pairs: Pairs | None, n: int, seed: int
) -> Figure:
    """Draws as what they stand for: arms or trajectories beside exact ones, images beside real ones.

    Args:
        y: one observation, (1, Dy); None shows images of every label.
        pairs: where real images come from.
    """
    if task is None or (not task.has_paths and task.image_shape is None):
        raise RequestError(
            f"run {run.id}: its task has no view of its own, as arms and images have; try `inn plot posterior`"
        )
    if task.has_paths:
        if y is None:
            raise RequestError(f"expected an observation of {', '.join(trained.y.names)}, got none; pass `y`", "y")
        return _paths(trained, run, task, y, n, seed)
    return _images(trained, run, task, y, pairs, seed)


def _paths(trained: TrainedModel, run: RunDir, task: Task, y: np.ndarray, n: int, seed: int) -> Figure:
    exact = None
    if task.has_reference:
        exact = task.paths(task.reference_posterior(y[0], n, np.random.default_rng([seed, REFERENCE])))
    # y is where a path ends: a point of the plane, or a place on the ground
    target = y[0] if trained.y.dim == 2 else np.array([y[0, 0], 0.0]) if trained.y.dim == 1 else None
    title = f"{run.id} | {values_text(outside(y[0], trained.y))}"
    return paths(task.paths(trained.sample(y, n, seed)[0]), task.path_axes, target, exact, title)


def _images(
    trained: TrainedModel, run: RunDir, task: Task, y: np.ndarray | None, pairs: Pairs | None, seed: int
) -> Figure:
    labels = trained.y.labels[0] if trained.y is not None and trained.y.dim == 1 else None
    if trained.y is None:
        rows = _blocks("", trained.sample(None, ROWS * COLUMNS, seed)[0], None if pairs is None else pairs.x, task)
    elif y is not None:
        drawn = trained.sample(y, ROWS * COLUMNS, seed)[0]
        rows = _blocks(values_text(outside(y[0], trained.y)), drawn, _real(pairs, y[0]), task)
    elif labels is None:
        raise RequestError(f"expected an observation of {', '.join(trained.y.names)}, got none; pass `y`", "y")
    else:
        codes = np.arange(len(labels), dtype=float)[:, None]
        drawn = trained.sample(codes, COLUMNS, seed)
        rows = [
            row for code, x in zip(codes, drawn) for row in _blocks(labels[int(code[0])], x, _real(pairs, code), task)
        ]
    return images(rows, run.id)


def _real(pairs: Pairs | None, y: np.ndarray) -> np.ndarray | None:
    return None if pairs is None else pairs.x[(pairs.y == y).all(1)]


def _blocks(label: str, drawn: np.ndarray, real: np.ndarray | None, task: Task) -> list:
    """Rows of 8 draws and 8 real images; the first carries the label."""
    rows = []
    for first in range(0, len(drawn), COLUMNS):
        few = slice(first, first + COLUMNS)
        there = None if real is None or not len(real[few]) else real[few].reshape(-1, *task.image_shape)
        rows.append(("" if first else label, drawn[few].reshape(-1, *task.image_shape), there))
    return rows


def latent(trained: TrainedModel, run: RunDir, pairs: Pairs, seed: int) -> Figure:
    """Z of held-out pairs, coloured by the first column of y."""
    z = trained.latent(pairs.x, pairs.y, seed)
    if trained.y is None:
        return draw_latent(z, title=run.id)
    return draw_latent(z, pairs.y[:, 0], trained.y.names[0], run.id, trained.y.labels[0])


def calibration(run: RunDir, found: Evaluation) -> Figure:
    """Ranks and coverage, of what an evaluation found."""
    curves = found.details.get("calibration")
    if not curves:
        raise RequestError(
            f"run {run.id}: its evaluation has no calibration, which needs a y and a posterior that can "
            "be drawn; see `inn evaluate`"
        )
    return draw_calibration(curves, run.id)


def density(
    trained: TrainedModel,
    run: RunDir,
    y: np.ndarray | None,
    n: int,
    seed: int,
    samples: int | None = None,
    rows: np.ndarray | None = None,
) -> Figure:
    """p(x | y) over a grid of n points a side.

    Args:
        y: one observation, (1, Dy), or None.
        samples: draws of the model to lay over it. rows: held-out rows to lay over it instead.
    """
    if trained.x.dim != 2:
        raise RequestError(
            f"expected a run with 2 unknowns, got {run.id} with {trained.x.dim}; try `inn plot posterior`"
        )
    if trained.y is not None and y is None:
        raise RequestError(f"run {run.id} models x given y ({', '.join(trained.y.names)}); pass `y`, e.g. `y=0.3`", "y")
    draws = trained.sample(y, max(4_000, samples or 0), seed)[0]
    axes = [window(draws[:, i], bounds, n) for i, bounds in enumerate(trained.x.cells)]
    points = np.stack(np.meshgrid(*axes), axis=-1)  # rows follow the second unknown
    log_prob = trained.log_prob(points.reshape(-1, 2), y).reshape(n, n)
    title = run.id if y is None else f"p(x | {values_text(outside(y[0], trained.y))})"
    over, what = (rows, "held-out rows") if rows is not None else (draws[:samples] if samples else None, "draws")
    return density2d(*axes, log_prob, over, trained.x.names, title, what)


def convergence(trained: TrainedModel, run: RunDir, seed: int) -> Figure:
    """How each residual block is inverted."""
    parts = [part for _, part in residuals(trained.model)]
    if not parts:
        raise RequestError(
            f"run {run.id} (model {run.info().get('model')}) has no residual block to invert; "
            "pick a run of model=iresnet with `run`",
            "run",
        )
    trained.diagnostics(1_000, seed)  # which inverts every block, at draws of the model's own
    blocks = [part.convergence() for part in parts]
    return draw_convergence([Convergence(*block) for block in blocks], run.id)


def window(draws: np.ndarray, bounds, n: int) -> np.ndarray:
    """Midpoints of n even steps over where the draws are, with a margin, inside the unknown's bounds."""
    low, high = np.quantile(draws, (0.001, 0.999))
    margin = 0.15 * (high - low) or 1.0
    low, high = low - margin, high + margin
    low = low if bounds[0] is None else max(low, bounds[0])
    high = high if bounds[1] is None else min(high, bounds[1])
    return low + (high - low) / n * (np.arange(n) + 0.5)


def outside(row: np.ndarray, variables: Variables) -> dict[str, float | str]:
    """One row by name, labels as the user writes them."""
    return {
        name: float(value) if labels is None else labels[int(value)]
        for name, value, labels in zip(variables.names, row, variables.labels)
    }


def _same_columns(argument: str, run: RunDir, task: Task, draws: PosteriorSet) -> None:
    if task.x.names != draws.x_names or task.y.names != draws.y_names:
        raise RequestError(
            f"`{argument}`: the set holds {', '.join(draws.x_names)}, the task of run {run.id} "
            f"{', '.join(task.x.names)}; name the set's own run with `run`",
            argument,
            "run",
        )
