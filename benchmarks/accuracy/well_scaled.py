"""What was well scaled already, beside 0.4.0: one command trains by both, one evaluation judges both."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from common import ROOT, SEEDS, release, row, train

from inncli.evaluation.evaluate import evaluate
from inncli.evaluation.request import EvaluationRequest
from inncli.inference.opening import open_run

TASKS = {
    "ring": ["task=ring"],
    "linear": ["task=linear"],
    "sine": ["task=sine", "model=spline"],
    "two_moons": ["experiment=two_moons"],
    "gaussian_linear": ["task=gaussian_linear", "model=spline"],
    "slcp": ["task=slcp", "model=spline"],
    "sir": ["task=sir", "model=spline"],
    "inverse_kinematics": ["task=inverse_kinematics"],
    "concrete": ["experiment=concrete"],
}
ALLOWED = {"nll": 0.02, "c2st": 0.01}  # nats, and a share: no median may be worse by more


def beside(task: str) -> None:
    """Likelihood and C2ST of this checkout and of 0.4.0, on the same held-out pairs and at the same observations."""
    found = {}
    for name, tree in (("0.4.0", release()), ("now", ROOT)):
        measured = [_measured(train(*TASKS[task], "threads=1", f"seed={seed}", tree=tree)[0]) for seed in SEEDS]
        for metric in ALLOWED:
            if metric in measured[0]:
                found[metric, name] = [one[metric] for one in measured]
                row("", f"{task}, {name}: {metric}", found[metric, name])
    for metric, most in ALLOWED.items():
        if (metric, "now") in found:
            worse = np.median(found[metric, "now"]) - np.median(found[metric, "0.4.0"])
            row("3", f"{task}: the median {metric} less that of 0.4.0", worse, f"asked: <= {most}")


def control() -> None:
    """A training of a tenth of the steps must be worse by more than is allowed."""
    whole, short = (_measured(train("task=ring", *words)[0]) for words in ([], ["trainer.max_steps=300"]))
    for metric, most in ALLOWED.items():
        row("", f"control: ring in 300 steps: {metric}, worse by", short[metric] - whole[metric], f"must exceed {most}")


def _measured(run) -> dict[str, float]:
    return evaluate(open_run(run), run, EvaluationRequest(steps=("likelihood", "c2st"))).metrics


def _figure(task: str) -> Callable[[], None]:
    figure = functools.partial(beside, task)
    figure.__doc__ = beside.__doc__
    return figure


FIGURES = {**{task: _figure(task) for task in TASKS}, "control": control}
