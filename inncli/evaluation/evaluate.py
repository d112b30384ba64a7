"""What a trained model is worth: numbers on held-out pairs, their standard errors, a verdict for each question.

    held-out (x*, y*) --model--> round trip, likelihood, draws --task--> resimulation error, C2ST

What the model or the task can't give is absent, never NaN. Everything random comes from `seed`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from inncli.config import registry
from inncli.data.pairs import Pairs
from inncli.errors import RequestError
from inncli.evaluation.cache import Answer, Evaluation, Question, cached, keep
from inncli.evaluation.calibration import add_calibration
from inncli.evaluation.reference import add_c2st, add_mmd2, count_nonfinite, first_distinct, knows_prior
from inncli.evaluation.request import EvaluationRequest
from inncli.evaluation.settings import EvaluationSettings
from inncli.inference.opening import open_run
from inncli.inference.refine import refiner, task_to_refine
from inncli.inference.run_task import held_out_pairs, task_to_ask
from inncli.inference.trained_model import TrainedModel
from inncli.metrics.ess import effective_sample_size
from inncli.metrics.resimulation import resimulation_error
from inncli.metrics.verdicts import reproduces_y, round_trip
from inncli.runs.run_dir import RunDir
from inncli.runtime import generator
from inncli.tasks.base import Task

WEIGHTED, WEIGHTED_DRAWS = 20, 1_000  # held-out ys, and draws at each of them that are importance-weighted
RESIMULATED_DRAWS = 10  # a y: many ys of few draws each, since it is the ys that differ
FULL_DRAWS, FEW_DRAWS, MANY_UNKNOWNS = 10_000, 2_000, 4  # the published settings of the C2ST
CELLS = 2  # a stream of random numbers that the model's draws don't share


def answer(
    question: Question,
    *,
    trained: TrainedModel | None = None,
    config_dir: str | Path | None = None,
    fresh: bool = False,
    on_progress: Callable[[str], None] = lambda text: None,
) -> Answer:
    """What the cache knows of a question or, if it knows nothing, what `evaluate` finds, which is then kept.

    Args:
        trained: the opened run, if it is at hand; else it is opened if need be, with `config_dir`.
        fresh: measures anew, and keeps that.
        on_progress: is told what is being done.
    """
    before = None if fresh else cached(question)
    if before is not None:
        return before
    trained = open_run(question.run, question.request.device, config_dir) if trained is None else trained
    question.settle()
    return keep(question, evaluate(trained, question.run, question.request, on_progress))


def evaluate(
    trained: TrainedModel,
    run: RunDir,
    request: EvaluationRequest,
    on_progress: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """What a run is worth on pairs it never saw, see `measure` and `run_task.held_out_pairs`.

    A simulator file of the user's is run only if the request says `resimulate`. `refine` adds the comparison of draws
    moved onto y = s(x), see `refine.task_to_refine`. `on_progress` is told what is being done.

    Raises: RequestError for `resimulate` without such a file, and for `y` where the task has no exact posterior.
    """
    seed, y, resimulate = request.seed, request.points, request.resimulate
    task = task_to_ask(run, resimulate, trained.trust)
    if y is not None and (task is None or not task.has_reference):
        raise RequestError(
            f"`y`: the task of run {run.id} has no exact posterior to compare with there; leave it out", "y"
        )
    pairs, source = held_out_pairs(run, task, seed)
    refined = None
    if request.refine:
        move = refiner(run, task_to_refine(run, resimulate, ignore_noise=False, trust=trained.trust))
        if not task.has_reference:
            raise RequestError(
                f"`refine`: the task of run {run.id} has no exact posterior to compare refined draws with; "
                "leave it out",
                "refine",
            )
        refined = lambda x, y: move(x, y).x  # noqa: E731
    settings = registry.make(
        registry.check(run.config(), trained.trust)["evaluation"], EvaluationSettings, trained.trust
    )
    found = measure(
        trained,
        pairs,
        task,
        seed=seed,
        samples=request.samples,
        y=y,
        settings=settings,
        refined=refined,
        on_progress=on_progress,
    )
    found.settings |= {"run": run.id, "held_out_from": source}
    return found


def measure(
    trained: TrainedModel,
    pairs: Pairs,
    task: Task | None,
    *,
    seed: int = 0,
    samples: int | None = None,
    y: np.ndarray | None = None,
    settings: EvaluationSettings | None = None,
    refined: Callable | None = None,
    on_progress: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """All that a model, its held-out pairs and its task allow to be measured.

    Args:
        pairs: rows that training did not see.
        task: where it may be asked; None leaves out what needs a simulator or a truth.
        seed: of the draws, of the reference draws and of the classifier's folds.
        samples: draws a side of the C2ST; None is 10,000, or 2,000 of more than 4 unknowns.
        y: where to compare with exact draws, (n_obs, Dy); None is the task's published observations, or the first 3
            distinct held-out ys.
        settings: of the comparison by MMD; None leaves it out.
        refined: moves draws (n, Dx) of y (Dy,), which are then compared beside those not moved.
        on_progress: is told, in words, what is being done.
    """
    dtype = trained.meta["config"]["dtype"]
    found = Evaluation(settings={"seed": seed, "held_out": len(pairs), "dtype": dtype})
    _own_checks(found, trained, pairs, seed)
    if trained.has_density:
        _likelihood(found, trained, pairs, task, seed)
    if trained.y is not None:
        add_calibration(found, trained, pairs, seed, on_progress)
    if task is not None and task.can_simulate and pairs.y is not None:
        _resimulation(found, trained, pairs, task, seed)
    if task is not None and task.has_log_prior and task.has_log_likelihood and trained.has_density and trained.y:
        _importance(found, trained, pairs, task, seed)
    if task is not None and (task.has_reference if trained.y else knows_prior(task)):
        few = FEW_DRAWS if trained.x.dim > MANY_UNKNOWNS else FULL_DRAWS
        add_c2st(found, trained, pairs, task, samples or few, y, seed)
    if settings is not None and task is not None and task.has_reference and trained.y is not None:
        add_mmd2(found, trained, pairs, task, settings, seed, refined)
    if pairs.y is not None:
        _familiarity(found, trained, pairs)
    return found


def _familiarity(found: Evaluation, trained: TrainedModel, pairs: Pairs) -> None:
    """`unfamiliar_ys`, the share of held-out ys called unfamiliar, about the level; and each observation's own."""
    held_out = trained.familiarity(pairs.y)
    if held_out is None:
        return
    found.add("unfamiliar_ys", np.array([not entry["familiar"] for entry in held_out]))
    for entry in found.observations:
        (entry["familiarity"],) = trained.familiarity([entry["y"]])


def _own_checks(found: Evaluation, trained: TrainedModel, pairs: Pairs, seed: int) -> None:
    """The model's own numbers at the held-out pairs: the round trip, and what it has to say beside."""
    x = torch.as_tensor(pairs.x, device=trained.device)
    y = None if pairs.y is None else torch.as_tensor(pairs.y, device=trained.device)
    with torch.no_grad():
        found.metrics |= trained.model.diagnostics(x, y)
        found.metrics |= trained.model.check(x, y, generator(trained.device, seed, "check"))
    if "invertibility_error" in found.metrics:
        found.verdicts["invertible"] = round_trip(found.metrics["invertibility_error"], found.settings["dtype"])


def _likelihood(found: Evaluation, trained: TrainedModel, pairs: Pairs, task: Task | None, seed: int) -> None:
    """`nll` over the rows that have a density; recorded values are spread over their cells, as in training."""
    rng = np.random.default_rng([seed, CELLS])
    x = pairs.x + np.array(trained.x.steps) * (rng.random(pairs.x.shape) - 0.5)
    log_prob = trained.log_prob(x, pairs.y)
    inside = np.isfinite(log_prob)
    if not inside.all():
        found.metrics["share_without_density"] = float(1 - inside.mean())
    if not inside.any():
        return
    found.add("nll", -log_prob[inside])
    if task is not None and task.has_log_density and pairs.y is None:
        exact = task.log_density(x[inside])
        found.add("nll_exact", -exact)
        found.add("kl", exact - log_prob[inside])  # KL(p || model), since x ~ p


def _resimulation(found: Evaluation, trained: TrainedModel, pairs: Pairs, task: Task, seed: int) -> None:
    """`err_resim`, the mean of |s(x) - y*|^2 over draws and held-out ys, and its square root.

    x* is itself a draw of p(x | y*), so an exact model's error is the truth's own in expectation, whatever
    the noise: that is what it is measured against.
    """
    draws = trained.sample(pairs.y, RESIMULATED_DRAWS, seed)
    count_nonfinite(found, draws)
    squares = np.array([resimulation_error(task.observe, x, y) ** 2 for x, y in zip(draws, pairs.y)])
    truth = resimulation_error(task.observe, pairs.x, pairs.y)
    squares = squares[np.isfinite(squares)]  # all draws of a y may fail to simulate
    if not len(squares):
        return
    found.add("err_resim", squares)
    found.metrics["err_resim_median"] = float(np.median(squares))  # a few ys can carry the mean
    found.metrics["resimulation_error"] = error = float(np.sqrt(found.metrics["err_resim"]))
    if "err_resim" in found.se and error > 0:
        found.se["resimulation_error"] = found.se["err_resim"] / (2 * error)  # d sqrt(u) = du / 2 sqrt(u)
    found.metrics["resimulation_error_truth"] = truth
    found.settings["resimulation"] = {"observations": len(squares), "draws": RESIMULATED_DRAWS}
    spread = float(np.sqrt(pairs.y.var(0).sum()))
    found.verdicts["reproduces_y"] = reproduces_y(squares, truth, spread)


def _importance(found: Evaluation, trained: TrainedModel, pairs: Pairs, task: Task, seed: int) -> None:
    """`ess`, the share of draws left when they are weighted by prior times likelihood; the mean over held-out ys."""
    ys = first_distinct(pairs.y, WEIGHTED)
    x = trained.sample(ys, WEIGHTED_DRAWS, seed).reshape(-1, trained.x.dim)
    y = np.repeat(ys, WEIGHTED_DRAWS, axis=0)
    log_weights = np.full(len(x), -np.inf)
    good = np.isfinite(x).all(1) & np.isfinite(task.log_prior(x))
    x, y = x[good], y[good]
    log_weights[good] = task.log_prior(x) + task.log_likelihood(y, x) - trained.log_prob(x, y)
    found.add("ess", np.array([effective_sample_size(row)[0] for row in log_weights.reshape(len(ys), -1)]))
    found.settings["ess"] = {"observations": len(ys), "draws": WEIGHTED_DRAWS}
