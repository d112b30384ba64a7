"""What a trained model is worth: numbers on held-out pairs, their standard errors, a verdict for each question.

    held-out (x*, y*) --model--> round trip, likelihood, draws --task--> resimulation error, C2ST

A number that the model or the task can't give is absent, never NaN. All random numbers come from `seed`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import torch

from inncli.config import registry as config_registry
from inncli.data.pairs import Pairs
from inncli.errors import RequestError
from inncli.evaluation.answers import Answers
from inncli.evaluation.cache import Answer, Evaluation, Question, cached, store
from inncli.evaluation.calibration import add_calibration
from inncli.evaluation.cross_validation import Train, cross_validated, say
from inncli.evaluation.held_out_draws import HeldOutDraws
from inncli.evaluation.marginal import add_beats_marginal
from inncli.evaluation.progress import Step, Tell
from inncli.evaluation.progress import run as run_steps
from inncli.evaluation.reference import OBSERVATIONS, add_c2st, add_mmd2, count_nonfinite, first_distinct, knows_prior
from inncli.evaluation.request import EvaluationRequest
from inncli.evaluation.settings import EvaluationSettings
from inncli.inference.opening import open_run
from inncli.inference.refine import refiner, task_to_refine
from inncli.inference.run_task import held_out_pairs, task_to_ask, training_xs
from inncli.inference.trained_model import TrainedModel
from inncli.metrics import registry
from inncli.metrics.ess import effective_sample_size
from inncli.metrics.resimulation import resimulation_error
from inncli.metrics.verdicts import Verdict, reproduces_y, round_trip
from inncli.numerics.statistics import mean_and_variance
from inncli.runs.run_dir import RunDir
from inncli.runtime import generator
from inncli.tasks.base import Task

Move = Callable[[np.ndarray, np.ndarray], np.ndarray]  # moves draws (n, Dx) of one y (Dy,)

WEIGHTED, WEIGHTED_DRAWS = 20, 1_000  # held-out ys, and draws at each of them that are importance-weighted
RESIMULATED_DRAWS = 10  # at each y: many ys with few draws each, since the error depends most on y
FULL_DRAWS, FEW_DRAWS, MANY_UNKNOWNS = 10_000, 2_000, 4  # the published settings of the C2ST
TRAINING = 0.9  # share of the time that nets of a cross-validation take
CELLS = 2  # a stream of random numbers that the model's draws don't use


def answer(
    question: Question,
    *,
    trained: TrainedModel | None = None,
    config_dir: str | Path | None = None,
    fresh: bool = False,
    train_folds: Train | None = None,
    on_progress: Tell = lambda words, share: None,
) -> Answer:
    """The answer in the cache or, if there is none, that of `evaluate`, which is then cached.

    Args:
        question: the run and the request.
        trained: the opened run; None opens it if the cache has no answer.
        config_dir: the user's config folder with which it is opened.
        fresh: whether to measure anew, and to cache that.
        train_folds: trains the nets of a cross-validation, where the request asks for one.
        on_progress: called with what is being done, in words, and the share of the whole that is done.

    Raises: as `evaluate` and `open_run`.
    """
    before = None if fresh else cached(question)
    if before is not None:
        return before
    trained = open_run(question.run, question.request.device, config_dir) if trained is None else trained
    question.settle()
    return store(question, evaluate(trained, question.run, question.request, on_progress, train_folds))


def evaluate(
    trained: TrainedModel,
    run: RunDir,
    request: EvaluationRequest,
    on_progress: Tell = lambda words, share: None,
    train_folds: Train | None = None,
) -> Evaluation:
    """Evaluates a run on pairs that it was not trained on, see `measure` and `run_task.held_out_pairs`.

    A simulator file of the user's is run only if the request says `resimulate`. `refine` adds the comparison of draws
    moved onto y = s(x), see `refine.task_to_refine`.

    Args:
        trained: the run, opened.
        run: its directory.
        request: what is asked.
        on_progress: called with what is being done, in words, and the share of the whole that is done.
        train_folds: trains the nets of a cross-validation, where the request asks for one.

    Raises: RequestError for `resimulate` without such a file, and for `y` if the task has no exact posterior.
    """
    seed, y, resimulate = request.seed, request.points, request.resimulate
    task = task_to_ask(run, resimulate, trained.trust)
    if y is not None and (task is None or not task.has_reference):
        raise RequestError(
            f"`y`: the task of run {run.id} has no exact posterior to compare with there; leave it out", "y"
        )
    pairs, source = held_out_pairs(run, task, seed)
    refined: Move | None = None
    if request.refine:
        refinable = task_to_refine(run, resimulate, ignore_noise=False, trust=trained.trust)
        move = refiner(run, refinable)
        if not refinable.has_reference:
            raise RequestError(
                f"`refine`: the task of run {run.id} has no exact posterior to compare refined draws with; "
                "leave it out",
                "refine",
            )

        def refined(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return move(x, y).x

    settings = config_registry.make(
        config_registry.check(run.config(), trained.trust)["evaluation"], EvaluationSettings, trained.trust
    )
    before = TRAINING if request.folds else 0.0  # share of the time

    def training(words: str, share: float) -> None:
        on_progress(words, before * share)

    def measuring(words: str, share: float) -> None:
        on_progress(words, before + (1 - before) * share)

    answers = cross_validated(trained, run, task, request.folds, request.steps, train_folds, training)
    found = measure(
        trained,
        pairs,
        task,
        answers=answers,
        seed=seed,
        samples=request.samples,
        y=y,
        settings=settings,
        refined=refined,
        training_x=None if trained.y is None else training_xs(run, task),
        only=request.steps,
        on_progress=measuring,
    )
    if answers is not None:
        say(found, answers)
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
    refined: Move | None = None,
    training_x: np.ndarray | None = None,
    answers: Answers | None = None,
    only: Collection[registry.Step] | None = None,
    on_progress: Tell = lambda words, share: None,
) -> Evaluation:
    """Measures all that a model, its held-out pairs and its task allow.

    Args:
        trained: the run.
        pairs: rows on which the run was not trained.
        task: the run's task, if it may be run; None leaves out what needs a simulator or exact draws.
        seed: of the draws, of the reference draws and of the classifier's folds.
        samples: draws of each side of the C2ST; None is 10,000, or 2,000 of more than 4 unknowns.
        y: where to compare with exact draws, (n_obs, Dy); None is the task's published observations, or the first 3
            distinct held-out ys.
        settings: of the comparison by MMD; None leaves it out.
        refined: moves draws onto y = s(x); they are compared too.
        training_x: the xs that the run was trained on, (m, Dx), which show what is known without y; None does without.
        answers: who answers at which rows for calibration, likelihood and what ignores y; None is the run at the pairs.
        only: the steps to run, with the metrics that these steps alone give; None is all.
        on_progress: called with what is being done, in words, and the share of the whole that is done.
    """
    dtype = trained.meta["config"]["dtype"]
    found = Evaluation(settings={"seed": seed, "held_out": len(pairs), "dtype": dtype})
    answers = answers or Answers.of_one(trained, pairs, training_x)
    steps = _steps(found, trained, pairs, task, seed, samples, y, settings, refined, answers)
    if only is None:
        run_steps(steps, on_progress)
        return found
    if settings is not None and settings.same_draws and "resimulation" in only:
        only = {*only, "mmd2"}  # which gives err_resim there
    run_steps([step for step in steps if step.name in only], on_progress)
    for numbers in (found.metrics, found.se):
        for name in [name for name in numbers if not set(registry.find(name).steps) <= set(only)]:
            del numbers[name]
    found.settings["steps"] = sorted(only)
    return found


def _steps(
    found: Evaluation,
    trained: TrainedModel,
    pairs: Pairs,
    task: Task | None,
    seed: int,
    samples: int | None,
    y: np.ndarray | None,
    settings: EvaluationSettings | None,
    refined: Move | None,
    answers: Answers,
) -> list[Step]:
    """The steps that apply, in their order, each of which adds to `found`; the arguments are those of `measure`."""
    steps = [Step("own", "round trip", 0.2, lambda tell: _own_checks(found, trained, pairs, seed))]
    if trained.has_density:
        steps.append(Step("likelihood", "likelihood", 0.2, lambda tell: _likelihood(found, answers, task, seed)))
    if trained.y is not None:
        drawn = HeldOutDraws(answers, seed)
        steps += [
            Step(
                "calibration",
                "calibration",
                2.0,
                lambda tell: add_calibration(found, trained, pairs, seed, tell, drawn, answers.training_xs()[0][1]),
            ),
            Step(
                "marginal",
                "what ignores y",
                0.5,
                lambda tell: add_beats_marginal(found, drawn, seed, tell),
            ),
        ]
    if task is not None and task.can_simulate and pairs.y is not None:
        steps.append(
            Step("resimulation", "resimulation", 0.3, lambda tell: _resimulation(found, trained, pairs, task, seed))
        )
    if task is not None and task.has_log_prior and task.has_log_likelihood and trained.has_density and trained.y:
        steps.append(
            Step("importance", "importance weights", 0.3, lambda tell: _importance(found, trained, pairs, task, seed))
        )
    if task is not None and (task.has_reference if trained.y else knows_prior(task)):
        n = samples or (FEW_DRAWS if trained.x.dim > MANY_UNKNOWNS else FULL_DRAWS)
        cost = (OBSERVATIONS if y is None else len(y)) * n / 3_000 * (trained.x.dim / 2) ** 1.5
        steps.append(
            Step(
                "c2st",
                "classifying draws and exact draws",
                cost,
                lambda tell: add_c2st(found, trained, pairs, task, n, y, seed, tell),
            )
        )
    if settings is not None and task is not None and task.has_reference and trained.y is not None:
        cost = 2.0 * settings.observations / 100 * (settings.draws / 1_000) ** 2
        steps.append(
            Step(
                "mmd2",
                "MMD",
                cost,
                lambda tell: add_mmd2(found, trained, pairs, task, settings, seed, refined, tell),
            )
        )
    if pairs.y is not None:
        steps.append(Step("familiarity", "familiarity", 0.1, lambda tell: _out_of_distribution(found, trained, pairs)))
    return steps


def _out_of_distribution(found: Evaluation, trained: TrainedModel, pairs: Pairs) -> None:
    """Adds `unfamiliar_ys`, the share of held-out ys called unfamiliar, and the score of each observation."""
    assert pairs.y is not None  # `measure` asks
    held_out = trained.familiarity(pairs.y)
    if held_out is None:
        return
    found.add("unfamiliar_ys", np.array([not entry["familiar"] for entry in held_out]))
    for entry in found.observations:
        scores = trained.familiarity([entry["y"]])
        assert scores is not None  # as of the held-out ys
        (entry["familiarity"],) = scores


def _own_checks(found: Evaluation, trained: TrainedModel, pairs: Pairs, seed: int) -> None:
    """Adds the model's own numbers at the held-out pairs: that of the round trip, and others."""
    x = trained.free_rows(pairs.x)
    y = None if pairs.y is None else torch.as_tensor(pairs.y, device=trained.device)
    with torch.no_grad():
        found.metrics |= trained.model.diagnostics(x, y)
        found.metrics |= trained.model.check(x, y, generator(trained.device, seed, "check"))
    if "invertibility_error" in found.metrics:
        found.verdicts["invertible"] = round_trip(found.metrics["invertibility_error"], found.settings["dtype"])


def _likelihood(found: Evaluation, answers: Answers, task: Task | None, seed: int) -> None:
    """Adds `nll` over the rows that have a density. Recorded values are spread over their bins, as in training."""
    pairs, rng = answers.pairs, np.random.default_rng([seed, CELLS])
    x = pairs.x + np.array(answers.first.x.steps) * (rng.random(pairs.x.shape) - 0.5)
    log_prob = answers.log_prob(np.arange(len(x)), x, pairs.y)
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
    """Adds `err_resim`, the mean of |s(x) - y*|^2 over draws and held-out ys, and its square root.

    x* is itself a draw of p(x | y*). So, whatever the noise, the error of an exact model has the expectation of the
    truth's own error, with which it is compared.
    """
    assert pairs.y is not None  # `measure` asks
    draws = trained.sample(pairs.y, RESIMULATED_DRAWS, seed)
    count_nonfinite(found, draws)
    squares = np.array([resimulation_error(task.observe, x, y) ** 2 for x, y in zip(draws, pairs.y, strict=True)])
    truth = resimulation_error(task.observe, pairs.x, pairs.y)
    lost = float(1 - np.isfinite(draws).all(-1).mean())
    spread = float(np.sqrt(mean_and_variance(pairs.y)[1].sum()))
    squares = squares[np.isfinite(squares)]  # all draws of a y may fail to simulate
    if not len(squares):
        found.verdicts["reproduces_y"] = Verdict(False, "no draw at any y could be simulated")
        return
    found.add("err_resim", squares)
    found.metrics["err_resim_median"] = float(np.median(squares))  # a few ys can carry the mean
    found.metrics["resimulation_error"] = error = float(np.sqrt(found.metrics["err_resim"]))
    if "err_resim" in found.se and error > 0:
        found.se["resimulation_error"] = found.se["err_resim"] / (2 * error)  # d sqrt(u) = du / 2 sqrt(u)
    found.metrics["resimulation_error_truth"] = truth
    found.settings["resimulation"] = {"observations": len(squares), "draws": RESIMULATED_DRAWS}
    found.verdicts["reproduces_y"] = reproduces_y(squares, truth, spread, lost)


def _importance(found: Evaluation, trained: TrainedModel, pairs: Pairs, task: Task, seed: int) -> None:
    """Adds `ess`, the effective share of draws weighted by prior times likelihood; the mean over held-out ys."""
    assert pairs.y is not None  # those of a run with a y
    ys = first_distinct(pairs.y, WEIGHTED)
    x = trained.sample(ys, WEIGHTED_DRAWS, seed).reshape(-1, trained.x.dim)
    y = np.repeat(ys, WEIGHTED_DRAWS, axis=0)
    log_weights = np.full(len(x), -np.inf)
    good = np.isfinite(x).all(1) & np.isfinite(task.log_prior(x))
    x, y = x[good], y[good]
    log_weights[good] = task.log_prior(x) + task.log_likelihood(y, x) - trained.log_prob(x, y)
    found.add("ess", np.array([effective_sample_size(row)[0] for row in log_weights.reshape(len(ys), -1)]))
    found.settings["ess"] = {"observations": len(ys), "draws": WEIGHTED_DRAWS}
