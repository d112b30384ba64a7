"""Tests whether a trained model is calibrated: draws at the held-out ys, tests, curves and one verdict.

held-out (x*, y*) --model--> draws at each y* --metrics.diagnosis--> ranks, coverage, verdict
"""

from __future__ import annotations

import numpy as np

from inncli.data.pairs import Pairs
from inncli.evaluation.answers import Answers
from inncli.evaluation.cache import Evaluation
from inncli.evaluation.held_out_draws import RANKS, HeldOutDraws
from inncli.evaluation.progress import Tell
from inncli.inference.trained_model import TrainedModel
from inncli.metrics import sbc as metric
from inncli.metrics.contradictions import Numbers, beyond_all, carried_by_one, contradictions, discrepancies, z_of_draws
from inncli.metrics.diagnosis import ALPHA, Diagnosis, diagnose, unrolled
from inncli.metrics.diagnosis_words import calibrated
from inncli.metrics.few_rows import calibrated_on_few
from inncli.metrics.verdicts import FEWEST
from inncli.numerics import circle
from inncli.variables import Circle, Variables

DENSITY_DRAWS = 20  # whose densities are compared with the true x's; a density costs as much as a draw
CELLS, LOG_PROB = 3, 5  # streams of random numbers
LEVELS = np.linspace(0, 1, 21)
PRINTED = (0.5, 0.8, 0.9)


def add_calibration(
    found: Evaluation,
    trained: TrainedModel,
    pairs: Pairs,
    seed: int,
    on_progress: Tell = lambda words, share: None,
    drawn: HeldOutDraws | None = None,
    training_x: np.ndarray | None = None,
) -> None:
    """Adds metrics, details and the verdict `calibrated`; of fewer than 20 rows the verdict alone. Nothing without a y.

    Recorded unknowns are spread over their quantisation bins, true values and draws alike, so that ranks are even. A
    circle is cut opposite to where the draws lie.

    Args:
        found: to which they are added.
        trained: the run.
        pairs: held-out pairs.
        seed: of the draws and the tests.
        on_progress: called with what is being done, in words, and the share of this that is done.
        drawn: the draws at them, where other steps ask for them too.
        training_x: the xs that the run was trained on, which tell how far x spreads where held-out rows are few.
    """
    if pairs.y is None or trained.y is None:
        return
    drawn = drawn or HeldOutDraws(Answers.of_one(trained, pairs), seed)
    x, y, n, draws = drawn.pairs.x, drawn.pairs.y, drawn.n, drawn.get(on_progress, 0.25)
    assert y is not None  # as of all pairs
    finite = np.isfinite(draws).all(2)
    share = float(1 - finite.mean())
    found.metrics["nonfinite_draws"] = max(share, found.metrics.get("nonfinite_draws", 0.0))
    some = finite.sum(1) >= 2
    x, y, draws = x[some], y[some], _filled(draws[some], finite[some], seed)
    rng = np.random.default_rng([seed, CELLS])
    steps, circles = np.array(trained.x.steps), trained.x.circles
    truth = x + steps * (rng.random(x.shape) - 0.5)
    draws = draws + steps * (rng.random(draws.shape) - 0.5)
    found.settings["calibration"] = {"observations": len(truth), "draws": n}
    if len(truth) < FEWEST:
        xs = truth if training_x is None else training_x
        draws, truth = unrolled(draws, truth, circles)
        found.verdicts["calibrated"] = calibrated_on_few(draws, truth, trained.x.names, _lines(xs, circles), share)
        return
    log_prob, without = None, 0.0
    if trained.has_density:
        log_prob, without = _log_prob_ranks(drawn.answers, np.flatnonzero(some), draws, truth, seed, on_progress)
    on_progress("testing for calibration", 0.35)
    draws, truth = unrolled(draws, truth, circles)
    diagnosis = diagnose(draws, truth, numbers(y, trained.y), trained.x.names, seed, log_prob, circles)
    said = _metrics(found, diagnosis, draws, truth, circles, share, without)
    against = contradictions(said, ALPHA)
    if not against and not diagnosis.faults:
        against = discrepancies(said)
    found.verdicts["calibrated"] = calibrated(diagnosis, found.metrics["coverage_90"], found.se["coverage_90"], against)


def _lines(xs: np.ndarray, circles: tuple[Circle | None, ...]) -> np.ndarray:
    """Each circle cut opposite to the mean direction. Shape: (n, Dx)."""
    cut = [column if on is None else circle.cut(column, on)[0] for column, on in zip(xs.T, circles, strict=True)]
    return np.column_stack(cut) if len(xs) else xs


def numbers(y: np.ndarray, variables: Variables) -> np.ndarray:
    """Y with a one-hot column for each label, since codes are no distances.

    Shape: y (n, Dy); the result (n, Dy or more).
    """
    columns = [
        y[:, [k]] if labels is None else y[:, [k]] == np.arange(len(labels))
        for k, labels in enumerate(variables.labels)
    ]
    return np.hstack(columns).astype(np.float64)


def _filled(draws: np.ndarray, finite: np.ndarray, seed: int) -> np.ndarray:
    """The draws, where those that are not finite are replaced by others at the same y."""
    if finite.all():
        return draws
    rng = np.random.default_rng([seed, RANKS])
    draws = draws.copy()
    for row, good in zip(draws, finite, strict=True):
        row[~good] = row[rng.choice(np.flatnonzero(good), (~good).sum())]
    return draws


def _log_prob_ranks(
    answers: Answers,
    rows: np.ndarray,
    draws: np.ndarray,
    truth: np.ndarray,
    seed: int,
    on_progress: Tell,
) -> tuple[np.ndarray, float]:
    """The rank of log q(x*|y) among log q of draws, and the share of the true x without a density.

    A true x outside the model's support has -inf, the lowest.
    """
    on_progress("densities of the draws", 0.25)
    few = draws[:, :DENSITY_DRAWS]
    n = few.shape[1]
    assert answers.pairs.y is not None  # the caller asks
    y, many = answers.pairs.y[rows], np.repeat(rows, n)
    of_draws = answers.log_prob(many, few.reshape(-1, few.shape[2]), answers.pairs.y[many]).reshape(len(y), n)
    of_truth = answers.log_prob(rows, truth, y)
    rng = np.random.default_rng([seed, LOG_PROB])
    lowest = -np.finfo(float).max
    u = metric.ranks(
        np.nan_to_num(of_draws, nan=lowest, neginf=lowest), np.nan_to_num(of_truth, nan=lowest, neginf=lowest), rng
    )
    return u, float(1 - np.isfinite(of_truth).mean())


def _metrics(
    found: Evaluation,
    diagnosis: Diagnosis,
    draws: np.ndarray,
    truth: np.ndarray,
    circles: tuple[Circle | None, ...],
    nonfinite: float,
    without_density: float,
) -> Numbers:
    """Adds metrics and details; what of them can speak against a yes.

    Args:
        found: to which they are added.
        diagnosis: of the draws.
        draws: at each y, finite and unrolled, (n, S, Dx).
        truth: the true x of each, (n, Dx).
        circles: of the columns.
        nonfinite: share of the draws that were no numbers.
        without_density: share of the true x where the model has no density.
    """
    checks = diagnosis.checks
    names = list(diagnosis.recalibrations)
    u = np.column_stack([checks.u[name] for name in names])
    for level in PRINTED:
        found.add(f"coverage_{100 * level:.0f}", metric.inside(u, level).mean(1))
    found.metrics["sbc_p"] = min(1.0, len(names) * min(checks.p[f"ranks of {name}"] for name in names))
    found.metrics["tarp_p"] = checks.p["tarp"]
    found.metrics["follows_y"], found.se["follows_y"] = checks.y_dependence.share, checks.y_dependence.share_se
    if not np.isfinite(checks.y_dependence.share):
        del found.metrics["follows_y"], found.se["follows_y"]
    contraction, error = metric.contraction(draws, truth, circles)
    told = [k for k in range(len(names)) if not carried_by_one(truth[:, k])]
    if len(told) == len(names):  # else a variance of x, by which it is held, is that of one row
        found.metrics["contraction"], found.se["contraction"] = float(contraction.mean()), float(error.mean())
    z = metric.z_scores(draws, truth)
    found.add("z_score", (z**2).mean(1))
    found.metrics["z_score"] = float(np.sqrt(found.metrics["z_score"]))
    found.se["z_score"] /= 2 * found.metrics["z_score"]  # d sqrt(u) = du / 2 sqrt(u)
    levels = LEVELS.round(2).tolist()
    found.details["calibration"] = {
        "n": len(truth),
        "draws": draws.shape[1],
        "names": list(checks.u),
        "ranks": {name: metric.histogram(values).tolist() for name, values in checks.u.items()},
        "levels": levels,
        "coverage": {name: metric.coverage(values, LEVELS).tolist() for name, values in checks.u.items()},
        "tarp": {"levels": levels, "coverage": (checks.u["tarp"][:, None] <= LEVELS).mean(0).tolist()},
        "contraction": dict(zip(names, contraction.tolist(), strict=True)),
        "contraction_se": dict(zip(names, error.tolist(), strict=True)),
        "z_score": {
            name: [float(column.mean()), float(column.std(ddof=1))] for name, column in zip(names, z.T, strict=True)
        },
        "shift": {name: [fix.shift, fix.shift_se] for name, fix in diagnosis.recalibrations.items()},
        "width": {name: [fix.width, fix.width * fix.log_width_se] for name, fix in diagnosis.recalibrations.items()},
        "p": checks.p,
        "p_alarm": checks.level,
        "faults": diagnosis.faults,
        "follows_y": {"ranks": metric.histogram(checks.y_dependence.u).tolist(), "r2": checks.y_dependence.r2},
    }
    coverage = {}
    for level in PRINTED:
        name = f"coverage_{100 * level:.0f}"
        least = np.sqrt(level * (1 - level) / u.size)  # where all true values lie inside, or none
        coverage[level] = (found.metrics[name], max(found.se[name], least))
    return Numbers(
        coverage=coverage,
        z=(found.metrics["z_score"], found.se["z_score"]),
        z_own=z_of_draws(draws),
        contraction={names[k]: (float(contraction[k]), float(error[k])) for k in told},
        beyond={name: beyond_all(draws[:, :, k], truth[:, k]) for k, name in enumerate(names)},
        follows=(checks.y_dependence.share, checks.y_dependence.share_se) if "follows_y" in found.metrics else None,
        nonfinite=nonfinite,
        without_density=without_density,
    )
