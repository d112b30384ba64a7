"""What a trained model is worth: numbers on held-out pairs, their standard errors, a verdict for each question.

    held-out (x*, y*) --model--> round trip, likelihood, draws --task--> resimulation error, C2ST

What the model or the task can't give is absent, never NaN. Everything random comes from `seed`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from inncli.calibrated import add_calibration
from inncli.errors import RequestError
from inncli.inverter import Inverter
from inncli.kept import Evaluation, keep, kept
from inncli.metrics.resimulation import resimulation_error
from inncli.metrics.two_sample import CLASSIFIER, c2st
from inncli.metrics.verdicts import matches_truth, reproduces_y, round_trip
from inncli.pipeline import held_out_pairs, open_run, task_of
from inncli.run import RunDir
from inncli.runtime import generator
from inncli.tasks.base import Task
from inncli.tasks.data import Pairs

OBSERVATIONS = 3  # ys at which the draws are compared with exact ones, where none are asked for
RESIMULATED_DRAWS = 10  # a y: many ys of few draws each, since it is the ys that differ
FULL_DRAWS, FEW_DRAWS, MANY_UNKNOWNS = 10_000, 2_000, 4  # the published settings of the C2ST
REFERENCE, CELLS = 1, 2  # streams of random numbers that the model's draws don't share


def evaluate_kept(
    run: RunDir, *, inverter: Inverter | None = None, config_dir: str | Path | None = None, fresh: bool = False,
    tell: Callable[[str], None] = lambda text: None, **asked,
) -> Evaluation:
    """`evaluate`, or what an earlier one that was asked the same found: see `inncli.kept`.

    Args:
        inverter: the opened run, where it is at hand; else it is opened if need be, with `config_dir`.
        fresh: measures anew, and keeps that.
        tell: is told what is being done.
        asked: seed, samples, y, resimulate as in `evaluate`, and device as in `open_run`.
    """
    before = None if fresh else kept(run, **asked)
    if before is not None:
        return before[0]
    how = {name: value for name, value in asked.items() if name != "device"}
    inverter = open_run(run, asked.get("device"), config_dir) if inverter is None else inverter
    return keep(run, evaluate(inverter, run, tell=tell, **how), **asked)


def evaluate(
    inverter: Inverter, run: RunDir, *, seed: int = 0, samples: int | None = None, y: np.ndarray | None = None,
    resimulate: bool = False, tell: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """What a run is worth on pairs it never saw, see `measure` and `pipeline.held_out_pairs`.

    A simulator file of the user's is run only where `resimulate` is given. `tell` is told what is being done.

    Raises: RequestError for `resimulate` without such a file, and for `y` where the task has no exact posterior.
    """
    with_file = run.config()["task"].keys() >= {"file", "workers"}
    if resimulate and not with_file:
        raise RequestError(f"--resimulate: run {run.id} has no simulator file; leave it out")
    task = None if with_file and not resimulate else task_of(run)
    if y is not None and (task is None or not task.has_reference):
        raise RequestError(f"--y: the task of run {run.id} has no exact posterior to compare with there; leave it out")
    pairs, source = held_out_pairs(run, task, seed)
    found = measure(inverter, pairs, task, seed=seed, samples=samples, y=y, tell=tell)
    found.settings |= {"run": run.id, "held_out_from": source}
    return found


def measure(
    inverter: Inverter, pairs: Pairs, task: Task | None, *, seed: int = 0, samples: int | None = None,
    y: np.ndarray | None = None, tell: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """All that a model, its held-out pairs and its task allow to be measured.

    Args:
        pairs: rows that training did not see.
        task: where it may be asked; None leaves out what needs a simulator or a truth.
        seed: of the draws, of the reference draws and of the classifier's folds.
        samples: draws a side of the C2ST; None is 10,000, or 2,000 of more than 4 unknowns.
        y: where to compare with exact draws, (n_obs, Dy); None is the first 3 distinct held-out ys.
        tell: is told, in words, what is being done.
    """
    dtype = inverter.meta["config"]["dtype"]
    found = Evaluation(settings={"seed": seed, "held_out": len(pairs), "dtype": dtype})
    _own_checks(found, inverter, pairs, seed)
    if inverter.has_density:
        _likelihood(found, inverter, pairs, task, seed)
    if inverter.y is not None:
        add_calibration(found, inverter, pairs, seed, tell)
    if task is not None and task.can_simulate and pairs.y is not None:
        _resimulation(found, inverter, pairs, task, seed)
    if task is not None and (task.has_reference if inverter.y else _knows_prior(task)):
        few = FEW_DRAWS if inverter.x.dim > MANY_UNKNOWNS else FULL_DRAWS
        _two_sample(found, inverter, pairs, task, samples or few, y, seed)
    return found


def _own_checks(found: Evaluation, inverter: Inverter, pairs: Pairs, seed: int) -> None:
    """The model's own numbers at the held-out pairs: the round trip, and what it has to say beside."""
    x = torch.as_tensor(pairs.x, device=inverter.device)
    y = None if pairs.y is None else torch.as_tensor(pairs.y, device=inverter.device)
    with torch.no_grad():
        found.metrics |= inverter.model.diagnostics(x, y)
        found.metrics |= inverter.model.check(x, y, generator(inverter.device, seed, "check"))
    if "invertibility_error" in found.metrics:
        found.verdicts["invertible"] = round_trip(found.metrics["invertibility_error"], found.settings["dtype"])


def _likelihood(found: Evaluation, inverter: Inverter, pairs: Pairs, task: Task | None, seed: int) -> None:
    """`nll` over the rows that have a density; recorded values are spread over their cells, as in training."""
    rng = np.random.default_rng([seed, CELLS])
    x = pairs.x + np.array(inverter.x.steps) * (rng.random(pairs.x.shape) - 0.5)
    log_prob = inverter.log_prob(x, pairs.y)
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


def _resimulation(found: Evaluation, inverter: Inverter, pairs: Pairs, task: Task, seed: int) -> None:
    """`err_resim`, the mean of |s(x) - y*|^2 over draws and held-out ys, and its square root.

    x* is itself a draw of p(x | y*), so an exact model's error is the truth's own in expectation, whatever
    the noise: that is what it is measured against.
    """
    draws = inverter.sample(pairs.y, RESIMULATED_DRAWS, seed)
    _count_nonfinite(found, draws)
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
    found.verdicts["reproduces_y"] = reproduces_y(error, truth, spread)


def _two_sample(
    found: Evaluation, inverter: Inverter, pairs: Pairs, task: Task, n: int, y: np.ndarray | None, seed: int
) -> None:
    """`c2st` of n draws to n exact draws, the mean over observations; once, to p(x), without a y."""
    if inverter.y is None:
        ys, draws = [None], inverter.sample(None, n, seed)
    else:
        ys = _first_distinct(pairs.y, OBSERVATIONS) if y is None else y
        draws = inverter.sample(ys, n, seed)
    _count_nonfinite(found, draws)
    scores = []
    for k, (x, y_obs) in enumerate(zip(draws, ys)):
        rng = np.random.default_rng([seed, REFERENCE, k])
        reference = task.prior(n, rng) if y_obs is None else task.reference_posterior(y_obs, n, rng)
        x = x[np.isfinite(x).all(1)]
        if len(x):
            scores.append(c2st(x, reference[:len(x)]))
            found.observations.append({"y": None if y_obs is None else y_obs.tolist(), "c2st": scores[-1]})
    if scores:
        found.add("c2st", np.array(scores))
        found.settings["c2st"] = {"observations": len(scores), "draws": n, "classifier": CLASSIFIER}
        found.verdicts["matches_truth"] = matches_truth(found.metrics["c2st"])


def _count_nonfinite(found: Evaluation, draws: np.ndarray) -> None:
    share = float(1 - np.isfinite(draws).all(-1).mean())
    found.metrics["nonfinite_draws"] = max(share, found.metrics.get("nonfinite_draws", 0.0))


def _knows_prior(task: Task) -> bool:
    """Whether `prior` draws the density that was learned, and not the rows of a table."""
    return task.fingerprint() is None


def _first_distinct(y: np.ndarray, n: int) -> np.ndarray:
    return y[np.sort(np.unique(y, axis=0, return_index=True)[1])[:n]]
