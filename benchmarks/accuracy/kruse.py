"""Figures of the arm and the ball: exact samplers, the rows of Kruse et al., raw and refined.

About 35 CPU-minutes: 3 trainings of the arm take 30, the rest is evaluation.
"""

from __future__ import annotations

import json
import os
import resource

import numpy as np
from common import SEEDS, inn, row, train

from inncli.metrics.c2st import c2st
from inncli.tasks.benchmarks.inverse_ballistics import InverseBallistics
from inncli.tasks.benchmarks.inverse_kinematics import InverseKinematics

DRAWS = 2_000
ARMS = (([0.6, 1.6], 0.01), ([1.5, 0.8], 0.003), ([1.95, 0.1], 0.0005), ([1.99, 0.3], 0.0002))  # y, width of the slab
THROWS = (1.0, 8.0, 15.0)


def exact() -> None:
    """Exact samplers: resimulation error at 1,000 ys and at the ends of the range, C2ST to rejection draws."""
    arm, ball = InverseKinematics(), InverseBallistics()
    for name, task, ends in (
        ("kinematics", arm, [[2, 0.1], [2 - 1e-9, 0], [1, 0], [0, 0], [-2, 0], [1.5, 6]]),
        ("ballistics", ball, [[-1.5], [0.0], [30.0]]),
    ):
        ys = np.concatenate([task.test_pairs(0).y, ends])
        errors = [
            np.sqrt(((task.observe(task.reference_posterior(y, 100, np.random.default_rng(k))) - y) ** 2).sum(1)).max()
            for k, y in enumerate(ys)
        ]
        row("1", f"{name}: largest |s(x) - y| of exact draws, {len(ys):,} ys", max(errors), "asked: <= 1e-12")
    for y, width in ARMS:
        _against_rejection("kinematics", arm, np.array(y), lambda rng, y=y, width=width: _slab(arm, y, width, rng))
    for y in THROWS:
        _against_rejection("ballistics", ball, np.array([y]), lambda rng, y=y: _moved(ball, y, rng))


def _against_rejection(name, task, y, draw) -> None:
    rng, rejected = np.random.default_rng(0), []
    while sum(map(len, rejected)) < DRAWS:
        rejected.append(draw(rng))
    rejected = np.concatenate(rejected)[:DRAWS]
    row(
        "1",
        f"{name}, y = {y.tolist()}: C2ST of exact draws to rejection draws",
        c2st(task.reference_posterior(y, DRAWS, rng), rejected),
        "asked: .5 +- .03",
    )
    off = y + np.eye(len(y))[-1] * 0.3
    row(
        "",
        f"control: exact draws of y = {off.round(2).tolist()} in their place",
        c2st(task.reference_posterior(off, DRAWS, rng), rejected),
        "must exceed .53",
    )


def _slab(arm, y, width, rng) -> np.ndarray:
    """Arms of the prior whose y1 is within `width`, accepted by p(x1) of the x1 that y2 asks for."""
    x = arm.prior(1_000_000, rng)
    x = x[np.abs(arm.observe(x)[:, 0] - y[0]) < width]
    x[:, 0] += y[1] - arm.observe(x)[:, 1]
    return x[rng.random(len(x)) < np.exp(-0.5 * (x[:, 0] / 0.25) ** 2)]


def _moved(ball, y, rng) -> np.ndarray:
    """Throws of the prior moved to end at y, accepted by p(x1)."""
    x = ball.prior(100_000, rng)
    x[:, 0] += y - ball.observe(x)[:, 0]
    return x[rng.random(len(x)) < np.exp(-0.5 * (x[:, 0] / 0.5) ** 2)]


def prior() -> None:
    """The rows of a model that ignores y."""
    for task, post, resim in (("kinematics", 0.242, 2.73), ("ballistics", 0.105, 19.5)):
        found, _, _ = _row(
            f"experiment=kruse_{task}", "model=marginal", "trainer.max_steps=2000", more=()
        )  # enough for p(x)
        row("3", f"{task}, a model that ignores y: Err_post", found["mmd2"], f"asked: {post} within 5 %")
        row("3", f"{task}, a model that ignores y: Err_resim", found["err_resim"], f"asked: {resim} within 5 %")


def kinematics() -> None:
    """The arm's row by a spline flow, 3 seeds, raw and refined."""
    _rows("kinematics", {"mmd2": "asked: <= .008", "mmd2_median": "asked: <= .003", "err_resim": "asked: <= 2e-4"})


def ballistics() -> None:
    """The ball's row by a spline flow, 3 seeds; its speeds are integers, which no step of Newton's may move."""
    _rows("ballistics", {})


def _rows(task: str, limits: dict[str, str]) -> None:
    found, seconds, judged = zip(
        *(_row(f"experiment=kruse_{task}", "model=spline", f"seed={seed}") for seed in SEEDS), strict=True
    )
    row("3", f"{task}, spline: CPU-s of a training", seconds, "asked: <= 600" if limits else "")
    row("3", f"{task}, spline: CPU-s of an evaluation", judged)
    for prefix in ("", "refined_"):
        for name in ("mmd2", "mmd2_median", "mmd2_worst", "err_resim"):
            row(
                "3",
                f"{task}, spline: {prefix}{name}",
                [metrics[prefix + name] for metrics in found],
                "" if prefix else limits.get(name, ""),
            )


def _row(*words: str, more: tuple[str, ...] = ("--refine",)) -> tuple[dict[str, float], float, float]:
    """Metrics of `inn evaluate` of a run trained by these words, and CPU-s of training and of evaluation.

    The C2ST takes few draws: it is no column of the paper's table.
    """
    before = _children_seconds()
    run, _ = train(*words)
    trained = _children_seconds()
    env = {**os.environ, "INN_OUTPUTS": str(run.path.parent)}
    metrics = json.loads(inn("evaluate", "--run", str(run.path), *more, "-n", "500", "--json", env=env).stdout)[
        "metrics"
    ]
    return metrics, trained - before, _children_seconds() - trained


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


FIGURES = {"exact": exact, "prior": prior, "kinematics": kinematics, "ballistics": ballistics}
