"""The figures of a run, for `inn plot` and `inn report`; `plots` draws them.

Each function turns a run, its task or its numbers into the arrays that a figure takes. It raises a RequestError of one
line if the run can't show the figure. No function here runs a simulator file: the caller builds the task.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from inncli.data.pairs import Pairs
from inncli.errors import RequestError
from inncli.evaluation.cache import Evaluation
from inncli.inference.posterior_set import PosteriorSet
from inncli.inference.trained_model import TrainedModel
from inncli.numerics import circle
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
from inncli.variables import Bound, Variables

REFERENCE = 1  # the random stream of the exact draws, which must not share numbers with the model's
ImageRow = tuple[str, np.ndarray, np.ndarray | None]  # label, draws, real images
ROWS = 4  # of images, if one y is shown


def training(run: RunDir) -> Figure:
    """The losses by epoch."""
    metrics = run.metrics()
    if not metrics:
        raise RequestError(
            f"run {run.id} has no trained epoch yet (status {run.state()}); "
            "wait for its first, or pick another run with `run`",
            "run",
        )
    return training_curve(metrics, run.id)


def reference(run: RunDir, task: Task | None, draws: PosteriorSet, obs: int, seed: int) -> np.ndarray:
    """Exact draws at observation `obs` of a set, (n, Dx)."""
    if task is None or not task.has_reference:
        raise RequestError(f"`reference`: the task of run {run.id} has no exact posterior; leave it out", "reference")
    _same_columns("reference", run, task, draws)
    rng = np.random.default_rng([seed, REFERENCE])
    return task.reference_posterior(draws.y[obs], max(draws.n_draws, 10_000), rng)


def cloud(run: RunDir, task: Task | None, draws: PosteriorSet, obs: int) -> np.ndarray:
    """The y = s(x) of the draws at observation `obs` of a set, (S, Dy)."""
    if task is None:
        raise RequestError(
            f"`cloud=True` runs the simulator of run {run.id}, which is your own file; add `resimulate=True` to say so",
            "cloud",
            "resimulate",
        )
    if not task.can_simulate or task.y is None or task.y.categorical:
        raise RequestError(
            f"`cloud=True` simulates the draws again, and the task of run {run.id} ({task.name}) can't; leave it out",
            "cloud",
        )
    _same_columns("cloud", run, task, draws)
    return task.observe(draws.x[obs])


def view(
    trained: TrainedModel, run: RunDir, task: Task | None, y: np.ndarray | None, pairs: Pairs | None, n: int, seed: int
) -> Figure:
    """Draws in the form that the task gives them: arms or trajectories with exact ones, images with real ones.

    Args:
        trained: the run, opened.
        run: its directory.
        task: its task.
        y: one observation, (1, Dy); None shows images of every label.
        pairs: from which real images are taken.
        n: draws, of arms or trajectories.
        seed: of the draws.

    Raises: RequestError if the task has no such form, or needs a y.
    """
    if task is None or (not task.has_paths and task.image_shape is None):
        raise RequestError(
            f"run {run.id}: its task has no view of its own, as arms and images have; try `inn plot posterior`"
        )
    if task.has_paths:
        if y is None:
            names = () if trained.y is None else trained.y.names
            raise RequestError(f"expected an observation of {', '.join(names)}, got none; pass `y`", "y")
        return _paths(trained, run, task, y, n, seed)
    return _images(trained, run, task, y, pairs, seed)


def _paths(trained: TrainedModel, run: RunDir, task: Task, y: np.ndarray, n: int, seed: int) -> Figure:
    assert trained.y is not None  # the ys of a task with paths are where these end
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
            row
            for code, x in zip(codes, drawn, strict=True)
            for row in _blocks(labels[int(code[0])], x, _real(pairs, code), task)
        ]
    return images(rows, run.id)


def _real(pairs: Pairs | None, y: np.ndarray) -> np.ndarray | None:
    return None if pairs is None or pairs.y is None else pairs.x[(pairs.y == y).all(1)]


def _blocks(label: str, drawn: np.ndarray, real: np.ndarray | None, task: Task) -> list[ImageRow]:
    """Rows of 8 draws and 8 real images; the first row has the label."""
    assert task.image_shape is not None  # `view` asks
    rows: list[ImageRow] = []
    for first in range(0, len(drawn), COLUMNS):
        few = slice(first, first + COLUMNS)
        there = None if real is None or not len(real[few]) else real[few].reshape(-1, *task.image_shape)
        rows.append(("" if first else label, drawn[few].reshape(-1, *task.image_shape), there))
    return rows


def latent(trained: TrainedModel, run: RunDir, pairs: Pairs, seed: int) -> Figure:
    """The latent z of held-out pairs, coloured by the first column of y."""
    z = trained.latent(pairs.x, pairs.y, seed)
    if trained.y is None or pairs.y is None:
        return draw_latent(z, title=run.id)
    return draw_latent(z, pairs.y[:, 0], trained.y.names[0], run.id, trained.y.labels[0])


def calibration(run: RunDir, found: Evaluation) -> Figure:
    """The ranks and the coverage of an evaluation."""
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
    """p(x | y) over a grid of n x n points.

    Args:
        trained: the run, opened.
        run: its directory.
        y: one observation, (1, Dy); None for a density p(x).
        n: points of each side of the grid.
        seed: of the draws, which set the grid's range.
        samples: how many draws are shown too.
        rows: held-out rows that are shown instead of draws, (n_rows, 2).

    Raises: RequestError if the run has not 2 unknowns, or needs a y.
    """
    if trained.x.dim != 2:
        raise RequestError(
            f"expected a run with 2 unknowns, got {run.id} with {trained.x.dim}; try `inn plot posterior`"
        )
    if trained.y is not None and y is None:
        raise RequestError(f"run {run.id} models x given y ({', '.join(trained.y.names)}); pass `y`, e.g. `y=0.3`", "y")
    draws = trained.sample(y, max(4_000, samples or 0), seed)[0]
    cells = list(trained.x.cells)
    over, what = (rows, "held-out rows") if rows is not None else (draws[:samples] if samples else None, "draws")
    over = None if over is None else over.copy()
    for i, on in enumerate(trained.x.circles):
        if on is not None:
            draws[:, i], ends = circle.cut(draws[:, i], on)
            cells[i] = ends
            if over is not None:
                over[:, i] = circle.unrolled(over[:, i], sum(ends) / 2, on)
    axes = [window(draws[:, i], bounds, n) for i, bounds in enumerate(cells)]
    points = np.stack(np.meshgrid(*axes), axis=-1)  # rows follow the second unknown
    log_prob = trained.log_prob(points.reshape(-1, 2), y).reshape(n, n)
    title = run.id if y is None or trained.y is None else f"p(x | {values_text(outside(y[0], trained.y))})"
    names = (trained.x.names[0], trained.x.names[1])
    return density2d(axes[0], axes[1], log_prob, over, names, title, what)


def convergence(trained: TrainedModel, run: RunDir, seed: int) -> Figure:
    """How the inversion of each residual block converges."""
    parts = [part for _, part in residuals(trained.model)]
    if not parts:
        raise RequestError(
            f"run {run.id} (model {run.info().get('model')}) has no residual block to invert; "
            "pick a run of model=iresnet with `run`",
            "run",
        )
    trained.diagnostics(1_000, seed)  # inverts every block, at draws of the model
    blocks = [part.convergence() for part in parts]
    return draw_convergence([Convergence(*block) for block in blocks], run.id)


def window(draws: np.ndarray, bounds: Bound, n: int) -> np.ndarray:
    """The midpoints of n even steps over the range of the draws with a margin, cut to the unknown's bounds.

    Shape: draws (S,); the result (n,).
    """
    low, high = np.quantile(draws, (0.001, 0.999))
    margin = 0.15 * (high - low) or 1.0
    low, high = low - margin, high + margin
    low = low if bounds[0] is None else max(low, bounds[0])
    high = high if bounds[1] is None else min(high, bounds[1])
    midpoints: np.ndarray = low + (high - low) / n * (np.arange(n) + 0.5)
    return midpoints


def outside(row: np.ndarray, variables: Variables) -> dict[str, float | str]:
    """One row by name, labels as the user writes them."""
    return {
        name: float(value) if labels is None else labels[int(value)]
        for name, value, labels in zip(variables.names, row, variables.labels, strict=True)
    }


def _same_columns(argument: str, run: RunDir, task: Task, draws: PosteriorSet) -> None:
    y_names = () if task.y is None else task.y.names
    if task.x.names != draws.x_names or y_names != draws.y_names:
        raise RequestError(
            f"`{argument}`: the set holds {', '.join(draws.x_names)}, the task of run {run.id} "
            f"{', '.join(task.x.names)}; name the set's own run with `run`",
            argument,
            "run",
        )
