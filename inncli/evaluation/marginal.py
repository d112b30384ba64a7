"""Does a model beat ignoring y? A paired difference on held-out rows.

log q(x*|y*) - log m(x*), m the better of   a normal law fitted to the training xs
                                            the mixture of the model's own answers at other rows' ys
without a density: energy score of the training xs less that of the draws
"""

from __future__ import annotations

import numpy as np

from inncli.evaluation.answers import Answers
from inncli.evaluation.cache import Evaluation
from inncli.evaluation.held_out_draws import HeldOutDraws
from inncli.evaluation.normal_law import NormalLaw
from inncli.evaluation.progress import Tell
from inncli.inference.trained_model import CHUNK
from inncli.metrics.paired import beats_marginal, energy_scores
from inncli.numerics import circle
from inncli.types import Float

OTHERS, ANSWERS = 100, 30_000  # answers at other rows' ys: at most for a row, and in all
NUMBERS = 2**20  # of y in a call to the model
MOST = 20.0  # nats an unknown that a row counts at most: one without a density isn't all that counts
SAME = 1e-3  # nats: answers that differ by less are one, in single precision too
TRAINING_ROWS = 500  # that stand for the law of x where there is no density
CELLS, ORDER = 2, 6  # streams of random numbers; the first is that of the likelihood


def add_beats_marginal(
    found: Evaluation, drawn: HeldOutDraws, seed: int, on_progress: Tell = lambda words, share: None
) -> None:
    """Adds `beats_marginal_by` with its error and the verdict `beats_marginal`.

    Args:
        found: to which they are added.
        drawn: who answers at held-out rows with a y, and the draws there.
        seed: of what is drawn.
        on_progress: called with what is being done, in words, and the share of this that is done.
    """
    if drawn.answers.first.has_density:
        differences, against, same = _by_density(drawn.answers, seed, on_progress)
        unit = "nats"
    else:
        differences, against = _by_energy(drawn, seed, on_progress)
        unit, same = "of the energy score", False
    if len(differences) > 1:
        found.add("beats_marginal_by", differences)
    found.settings["beats_marginal"] = {"observations": len(differences), "against": against, "unit": unit}
    found.verdicts["beats_marginal"] = beats_marginal(differences, against, unit, same)


def _by_density(answers: Answers, seed: int, on_progress: Tell) -> tuple[Float[np.ndarray, " rows"], str, bool]:
    """Differences of log densities, what they are against, and whether the model gives one answer at every y."""
    trained, pairs, rows = answers.first, answers.pairs, np.arange(len(answers.pairs))
    rng = np.random.default_rng([seed, CELLS])
    x = pairs.x + np.array(trained.x.steps) * (rng.random(pairs.x.shape) - 0.5)
    own = _known(answers.log_prob(rows, x, pairs.y))
    others = _at_other_ys(answers, x, seed, on_progress)
    competitors = {}
    if len(others):
        mixture = np.logaddexp.reduce(others, axis=0) - np.log(len(others))
        competitors["the mixture of its own answers at other ys"] = mixture
    trained_on = [(some, xs) for some, xs in answers.training_xs() if xs is not None and len(xs) > 1]
    if trained_on:
        of_law = np.empty(len(x))
        for some, xs in trained_on:
            law = NormalLaw(trained.model.x, trained.free_rows(xs).cpu().numpy())
            of_law[some] = law.log_prob(trained.free_rows(x[some]).cpu().numpy())
        competitors["a normal law of the training xs"] = of_law
    most = MOST * trained.x.dim
    with np.errstate(invalid="ignore"):  # where neither has a density they are alike
        by = {words: np.clip(np.nan_to_num(own - m, nan=0.0), -most, most) for words, m in competitors.items()}
    if not by:
        return np.zeros(0), "nothing", False
    words = min(by, key=lambda name: float(by[name].mean()))
    seen = np.isfinite(own)
    same = len(others) > 0 and bool(
        (np.abs(others[:, seen] - own[seen]) <= SAME * np.maximum(1.0, np.abs(own[seen]))).all()
    )
    return by[words], words, same


def _at_other_ys(answers: Answers, x: np.ndarray, seed: int, on_progress: Tell) -> Float[np.ndarray, "others rows"]:
    """Log density of each x at the ys of other rows, (others, rows): each row's y serves as many others."""
    y, n = answers.pairs.y, len(x)
    assert y is not None  # the caller asks
    count = min(OTHERS, n - 1, max(ANSWERS // n, 1))
    rng = np.random.default_rng([seed, ORDER])
    order, steps = rng.permutation(n), 1 + rng.permutation(n - 1)[:count]
    place = np.argsort(order)
    together = max(min(CHUNK // n, NUMBERS // (n * y.shape[1])), 1)
    found = []
    for start in range(0, count, together):
        on_progress("its answers at other ys", start / count)
        some = steps[start : start + together]
        rows = np.concatenate([order[(place + step) % n] for step in some])
        of = np.tile(np.arange(n), len(some))
        found.append(_known(answers.log_prob(of, x[of], y[rows])).reshape(len(some), n))
    return np.concatenate(found) if found else np.zeros((0, n))


def _known(log_prob: np.ndarray) -> np.ndarray:
    """What is no number has no density."""
    return np.where(np.isnan(log_prob), -np.inf, log_prob)


def _by_energy(drawn: HeldOutDraws, seed: int, on_progress: Tell) -> tuple[Float[np.ndarray, " rows"], str]:
    """Differences of energy scores, in units of about an sd of x, far values drawn in; and what they are against."""
    draws, truth, circles = drawn.get(on_progress), drawn.pairs.x, drawn.answers.first.x.circles
    # Of several nets each was trained on the rows of the others: all of them, but for the row that is judged.
    training_x = None if drawn.answers.cross_validated else drawn.answers.training_xs()[0][1]
    rng = np.random.default_rng([seed, ORDER])
    if training_x is None or len(training_x) < 2:
        rows, against = truth, "the xs of the other held-out rows"
    else:
        rows, against = rng.permutation(training_x)[:TRAINING_ROWS], "rows of the training xs"
    flat = circle.embedded(rows, circles)
    middle, (low, high) = np.median(flat, axis=0), np.quantile(flat, (0.25, 0.75), axis=0)
    scale = np.where(high > low, (high - low) / 1.349, flat.std(0))
    scale = np.where(scale > 0, scale, 1.0)

    def units(values: np.ndarray) -> np.ndarray:
        return np.arcsinh((circle.embedded(values, circles) - middle) / scale)

    finite = np.isfinite(draws).all(2)
    farthest = np.arcsinh(np.finfo(float).max)  # where draws that are no numbers are put: they count as far off
    mine = np.where(finite[..., None], units(np.where(finite[..., None], draws, 0.0)), farthest)
    ignoring = energy_scores(units(rows)[None], units(truth), among=rows is truth)
    return ignoring - energy_scores(mine, units(truth)), against
