"""The eight 2-D densities of the flow literature, learned by the shipped spline flow. About 6 CPU-minutes."""

from __future__ import annotations

import importlib
import json

import numpy as np

import inncli
from common import SEEDS, inn, row, train
from inncli.tasks.checkerboard import ENTROPY, Checkerboard
from inncli.tasks.circles import Circles

EIGHT = ("swissroll", "eight_gaussians", "pinwheel", "circles", "moons", "two_spirals", "checkerboard", "rings")


def densities() -> None:
    """inn train task=NAME model=spline, inn evaluate: KL(p || model) over held-out draws."""
    for name in EIGHT:
        found = []
        for seed in SEEDS if name == "checkerboard" else SEEDS[:1]:
            run, _ = train(f"task={name}", "model=spline", f"seed={seed}")
            found.append(json.loads(inn("evaluate", "--json", "--run", str(run.path)).stdout))
        kl, se = ([one[key]["kl"] for one in found] for key in ("metrics", "se"))
        exact = found[0]["metrics"]["nll_exact"]
        row("", f"{name}, spline: KL(p || model), nats", kl, f"+- {np.mean(se):.3f}; entropy of 1,000 draws {exact:.4f}")
    row("", f"checkerboard: nll of the exact density, ln 32 = {ENTROPY:.5f}", exact_of("checkerboard"), "")
    trained = inncli.load(train("task=circles", "model=spline", "trainer.max_steps=300")[0].path)
    x = Circles().test_pairs(0).x
    row("", "control: spline of 300 steps on circles: KL", (Circles().log_density(x) - trained.log_prob(x)).mean(),
        "must exceed circles' above")
    moved = Checkerboard().log_density(Checkerboard().test_pairs(0).x + 0.1)
    row("", "control: share of the board's draws that stay on it when moved by .1", np.isfinite(moved).mean(), "must be < 1")


def exact_of(name: str) -> float:
    """Mean negative log density of 1,000 draws."""
    kind = "".join(word.capitalize() for word in name.split("_"))
    task = getattr(importlib.import_module(f"inncli.tasks.{name}"), kind)()
    return -task.log_density(task.test_pairs(0).x).mean()


FIGURES = {"densities": densities}
