"""The eight 2-D densities of the flow literature, learned by the shipped spline flow. About 7 CPU-minutes."""

from __future__ import annotations

import numpy as np
from common import SEEDS, row, train

import inncli
from inncli.config import plan
from inncli.config.registry import instantiate
from inncli.tasks.densities.checkerboard import ENTROPY, Checkerboard
from inncli.tasks.densities.circles import Circles

EIGHT = ("checkerboard", "swissroll", "eight_gaussians", "pinwheel", "circles", "moons", "two_spirals", "rings")


def densities() -> None:
    """`inn train` task=NAME model=spline: KL(p || model) over 10,000 held-out draws."""
    for name in EIGHT:
        task, found, errors = task_of_name(name), [], []
        for seed in SEEDS if name == "checkerboard" else SEEDS[:1]:
            run, seconds = train(f"task={name}", "model=spline", f"seed={seed}")
            # what `inn evaluate` calls kl, on ten times as many draws and without its classifier
            x = task.test_pairs(seed, 10_000).x
            difference = task.log_density(x) - inncli.load(run.path).log_prob(x)
            found.append(difference.mean())
            errors.append(difference.std() / 100)
        row(
            "",
            f"{name}, spline: KL(p || model), nats",
            found,
            f"+- {max(errors):.4f}; entropy {-task.log_density(x).mean():.4f}; {seconds:.0f} s",
        )
    row(
        "",
        "checkerboard: nll of the exact density over its own draws",
        -Checkerboard().log_density(Checkerboard().test_pairs(0).x).mean(),
        f"must be ln 32 = {ENTROPY:.5f}",
    )
    trained = inncli.load(train("task=circles", "model=spline", "trainer.max_steps=300")[0].path)
    x = Circles().test_pairs(0).x
    row(
        "",
        "control: spline of 300 steps on circles: KL",
        (Circles().log_density(x) - trained.log_prob(x)).mean(),
        "must exceed circles' above",
    )
    moved = Checkerboard().log_density(Checkerboard().test_pairs(0).x + 0.1)
    row(
        "",
        "control: share of the board's draws that stay on it when moved by .1",
        np.isfinite(moved).mean(),
        "must be < 1",
    )


def task_of_name(name: str):
    """The task, built with its defaults."""
    (job,) = plan([f"task={name}"])
    return instantiate(job.config["task"])


FIGURES = {"densities": densities}
