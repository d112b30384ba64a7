"""Compares a model's draws with exact ones: by a classifier at a few ys, by MMD at many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inncli.data.pairs import Pairs
from inncli.evaluation.cache import Evaluation
from inncli.evaluation.progress import Tell
from inncli.evaluation.settings import EvaluationSettings
from inncli.inference.trained_model import TrainedModel
from inncli.io.digits import shown
from inncli.metrics.c2st import CLASSIFIER, FOLDS, c2st_scores
from inncli.metrics.mmd2 import mmd2_to_reference
from inncli.metrics.resimulation import resimulation_error
from inncli.metrics.uneven_parts import uneven_part
from inncli.metrics.verdicts import matches_truth
from inncli.tasks.base import Task

OBSERVATIONS = 3  # ys at which a classifier compares, if none are asked for
NAMED = 4  # columns of y that a verdict shows
DRAWS, REFERENCE = range(2)  # streams of random numbers


def add_c2st(
    found: Evaluation,
    trained: TrainedModel,
    pairs: Pairs,
    task: Task,
    n: int,
    y: np.ndarray | None,
    seed: int,
    on_progress: Tell = lambda words, share: None,
) -> None:
    """Adds `c2st` of n draws to n exact draws, the mean over observations; without y, that to p(x).

    Args:
        found: to which it is added.
        trained: the run.
        pairs: held-out pairs.
        task: knows exact draws.
        n: draws at each y.
        y: where to compare, (n_obs, Dy); None is the task's published observations, or the first 3 distinct held-out
            ys.
        seed: of the draws and the exact draws.
        on_progress: called with what is being done, in words, and the share of this that is done.
    """
    ys: list[np.ndarray | None]
    published = None if trained.y is None or y is not None else task.published_observations()
    if trained.y is None:
        ys, draws = [None], trained.sample(None, n, seed)
    else:
        points = y if y is not None else published
        if points is None:
            assert pairs.y is not None  # those of a run with a y
            points = first_distinct(pairs.y, OBSERVATIONS)
        ys, draws = list(points), trained.sample(points, n, seed)
    count_nonfinite(found, draws)
    compared = []
    for k, (x, y_obs) in enumerate(zip(draws, ys, strict=True)):
        rng = np.random.default_rng([seed, REFERENCE, k])
        reference = task.prior(n, rng) if y_obs is None else task.reference_posterior(y_obs, n, rng)
        x = x[np.isfinite(x).all(1)]
        if len(x) >= FOLDS:
            compared.append((y_obs, x, reference[: len(x)]))
    if not compared:
        found.verdicts["matches_truth"] = matches_truth([], n, nonfinite=1.0)
        return
    words = f"classifying draws and exact draws at {len(compared)} y{'s' if len(compared) > 1 else ''}"
    log_odds: dict[int, np.ndarray] = {}
    scores = np.array(
        c2st_scores(
            [(x, reference) for _, x, reference in compared],
            on_progress=lambda share: on_progress(words, share),
            on_log_odds=log_odds.__setitem__,
        )
    )
    parts = [uneven_part(x, reference, log_odds.get(k), seed) for k, (_, x, reference) in enumerate(compared)]
    found.observations += [
        {"y": None if y_obs is None else y_obs.tolist(), "c2st": float(score)}
        for (y_obs, _, _), score in zip(compared, scores, strict=True)
    ]
    found.add("c2st", scores)
    if len(scores) > 1:
        found.metrics["c2st_sd"] = float(scores.std(ddof=1))
    found.settings["c2st"] = {
        "observations": len(scores),
        "published": published is not None,
        "draws": n,
        "classifier": CLASSIFIER,
    }
    names = ["" if y_obs is None else _in_words(y_obs) for y_obs, _, _ in compared]
    least = min(len(x) for _, x, _ in compared)
    share = float(1 - np.isfinite(draws).all(-1).mean())
    found.verdicts["matches_truth"] = matches_truth(scores.tolist(), least, parts, names, share)


def add_mmd2(
    found: Evaluation,
    trained: TrainedModel,
    pairs: Pairs,
    task: Task,
    settings: EvaluationSettings,
    seed: int,
    refined: Callable[[np.ndarray, np.ndarray], np.ndarray] | None,
    on_progress: Tell = lambda words, share: None,
) -> None:
    """Adds `mmd2` at many ys: its mean, median and worst; also `err_resim` of the same draws if the settings say so.

    Args:
        found: to which they are added.
        trained: the run; it has a y.
        pairs: held-out pairs.
        task: has an exact posterior.
        settings: how many ys and draws.
        seed: of the draws and the exact draws.
        refined: as in `compare_with_exact`.
        on_progress: called with what is being done, in words, and the share of this that is done.
    """
    assert pairs.y is not None  # those of a run with a y
    ys = pairs.y[: settings.observations]
    columns = compare_with_exact(trained, task, ys, settings.draws, seed, refined, on_progress)
    for name, values in columns.items():
        values = values[np.isfinite(values)]
        if not len(values) or (name == "err_resim" and not settings.same_draws):
            continue
        found.add(name, values)
        found.metrics |= {f"{name}_median": float(np.median(values)), f"{name}_worst": float(values.max())}
        if name == "err_resim":
            found.metrics["resimulation_error"] = error = float(np.sqrt(found.metrics[name]))
            if name in found.se and error > 0:
                found.se["resimulation_error"] = found.se[name] / (2 * error)
            found.settings["resimulation"] = {"observations": len(values), "draws": settings.draws}
    found.settings["mmd2"] = {
        "observations": len(ys),
        "draws": settings.draws,
        "kernel": "inverse multiquadric, h = .05, .2, .9, raw x",
    }


def compare_with_exact(
    trained: TrainedModel,
    task: Task,
    ys: np.ndarray,
    n: int,
    seed: int,
    refined: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    on_progress: Tell = lambda words, share: None,
) -> dict[str, np.ndarray]:
    """`mmd2` of n draws to n exact draws at each y and, where y can be simulated, `err_resim` of the same draws.

    Each y has random numbers of its own, so that its results don't depend on the other ys. A y without two finite draws
    gives NaN.

    Args:
        trained: the run.
        task: has an exact posterior.
        ys: the observations, (n_obs, Dy).
        n: draws at each.
        seed: of the draws and the exact draws.
        refined: moves the draws (n, Dx) of a y (Dy,); adds `refined_mmd2` and `refined_err_resim`.
        on_progress: called with what is being done, in words, and the share of this that is done.

    Returns: an array (n_obs,) for each name.
    Reference: Kruse et al. 2021, Benchmarking invertible architectures on inverse problems, arXiv:2101.10763.
    """
    found: dict[str, list[float]] = {}
    for k, y in enumerate(ys):
        on_progress(f"MMD to exact draws at {k:,} of {len(ys):,} ys", k / len(ys))
        own_seed = int(np.random.SeedSequence([seed, DRAWS, k]).generate_state(1)[0])
        draws = {"": trained.sample(y[None], n, own_seed)[0]}
        if refined is not None:
            draws["refined_"] = refined(draws[""], y)
        reference = task.reference_posterior(y, n, np.random.default_rng([seed, REFERENCE, k]))
        for name, x in draws.items():
            x = x[np.isfinite(x).all(1)]
            value = mmd2_to_reference(x, reference) if len(x) > 1 else np.nan
            found.setdefault(f"{name}mmd2", []).append(value)
            if task.can_simulate:
                error = resimulation_error(task.observe, x, y) if len(x) else np.nan
                found.setdefault(f"{name}err_resim", []).append(error**2)
    return {name: np.array(values) for name, values in found.items()}


def count_nonfinite(found: Evaluation, draws: np.ndarray) -> None:
    """Sets `nonfinite_draws` to the share of `draws` (..., Dx) that are not finite, if it is the largest so far."""
    share = float(1 - np.isfinite(draws).all(-1).mean())
    found.metrics["nonfinite_draws"] = max(share, found.metrics.get("nonfinite_draws", 0.0))


def knows_prior(task: Task) -> bool:
    """Whether the task's `prior` draws from the density that was learned; that of a table gives its rows."""
    return not task.is_measured


def first_distinct(y: np.ndarray, n: int) -> np.ndarray:
    """The first n distinct rows, in their order. Shape: y (m, Dy), out (at most n, Dy)."""
    return y[np.sort(np.unique(y, axis=0, return_index=True)[1])[:n]]


def _in_words(y: np.ndarray) -> str:
    """An observation, (Dy,), as a verdict names it."""
    few = ", ".join(shown(float(value), sd=10, least=4) for value in y[:NAMED])
    return f"{few}, ..." if len(y) > NAMED else few
