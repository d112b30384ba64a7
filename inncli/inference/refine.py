"""Moving the draws of a run onto its simulator's own y = s(x)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from inncli.config.trust import NOTHING, Trust
from inncli.errors import RequestError, UserFileRefused
from inncli.inference.posterior_set import PosteriorSet
from inncli.inference.run_task import kept_pairs, task_of
from inncli.numerics import circle, gauss_newton
from inncli.numerics.statistics import sd
from inncli.runs.run_dir import RunDir
from inncli.tasks.base import Task


def task_to_refine(run: RunDir, resimulate: bool, ignore_noise: bool, trust: Trust = NOTHING) -> Task:
    """The task of a run, if draws can be moved onto its y = s(x).

    Args:
        run: the run.
        resimulate: whether a simulator file of the user's may be run.
        ignore_noise: whether a task with noise is allowed.
        trust: the config folders of the command.

    Raises: RequestError if the task can't be simulated, can't be differentiated, or has noise.
    """
    try:
        task = task_of(run, resimulate, trust)
    except UserFileRefused:
        raise RequestError(
            f"`refine=True` runs the simulator of run {run.id}, which is your own file; "
            "add `resimulate=True` to say so",
            "refine",
            "resimulate",
        ) from None
    if not task.can_simulate:
        raise RequestError(
            f"`refine=True` moves draws onto a simulator's y, and the task of run {run.id} ({task.name}) has "
            "none; leave it out",
            "refine",
        )
    if not task.differentiable:
        raise RequestError(
            f"`refine=True` needs a simulator that torch can differentiate, and task {task.name} of run "
            f"{run.id} does not say that it is one (differentiable = True); leave `refine` out",
            "refine",
        )
    if task.noisy and not ignore_noise:
        raise RequestError(
            f"`refine`: y of task {task.name} has noise, so that draws moved onto y = s(x) would be too "
            "narrow a posterior; leave it out, or add `ignore_noise=True`",
            "refine",
            "ignore_noise",
        )
    return task


def refined(run: RunDir, task: Task, posterior: PosteriorSet) -> tuple[PosteriorSet, list[dict[str, Any]]]:
    """The set with each draw moved onto the task's own y = s(x), and a report on each y.

    The moved draws have no density (NaN). `extra` keeps the numbers of the draws before the move; `moved` and `refined`
    are added.

    Args:
        run: the run; its pairs give the scales.
        task: of `task_to_refine`.
        posterior: draws of the run.
    """
    move = refiner(run, task)
    done = [move(x, y) for x, y in zip(posterior.x, posterior.y, strict=True)]
    reports = [part.report() for part in done]
    extra = {
        **posterior.extra,
        "refined": np.stack([part.converged for part in done]),
        "moved": np.stack([part.moved for part in done]),
    }
    meta = {**posterior.meta, "refined": reports}
    unknown = np.full_like(posterior.log_prob, np.nan)
    return replace(posterior, x=np.stack([part.x for part in done]), log_prob=unknown, meta=meta, extra=extra), reports


def refiner(run: RunDir, task: Task) -> Callable[[np.ndarray, np.ndarray], gauss_newton.Refined]:
    """A function of draws (n, Dx) and one y (Dy,), which moves the draws onto the task's own y = s(x).

    Lengths are measured in standard deviations of the run's pairs.
    """
    pairs = kept_pairs(run, run.info())
    assert pairs.y is not None  # those of a task that simulates
    columns = task.columns_of(pairs)[0]
    x_sd, y_sd = sd(pairs.x), sd(pairs.y)
    bounds = np.array(
        [
            [-np.inf if low is None or on else low, np.inf if high is None or on else high]
            for (low, high), on in zip(columns.bounds, columns.circles, strict=True)
        ]
    ).T
    fixed = np.array(columns.steps) > 0

    def move(x: np.ndarray, y: np.ndarray) -> gauss_newton.Refined:
        found = gauss_newton.refine(task.observe, x, y, x_sd, y_sd, bounds, fixed)
        for i, on in enumerate(columns.circles):
            if on is not None:
                found.x[:, i] = circle.turned(found.x[:, i], on)
        return found

    return move
