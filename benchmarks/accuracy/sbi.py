"""The tasks of the benchmark of simulation-based inference.

The files of sbibm are needed for the references: `pip install --no-deps sbibm==1.1.0`. About 45 CPU-minutes, most of
them the classifier's.
"""

from __future__ import annotations

import json
import resource

import numpy as np
from common import SEEDS, inn, row, train

from inncli.metrics.c2st import c2st_scores
from inncli.tasks.benchmarks import published
from inncli.tasks.benchmarks.gaussian_linear import VARIANCE, GaussianLinear
from inncli.tasks.benchmarks.sir import Sir
from inncli.tasks.benchmarks.slcp import Slcp
from inncli.tasks.benchmarks.two_moons import RADIUS_SD, TwoMoons

TASKS = {
    "two_moons": (TwoMoons(), 10_000),
    "gaussian_linear": (GaussianLinear(), 2_000),
    "slcp": (Slcp(), 2_000),
    "sir": (Sir(), 10_000),
}


def _references(name: str) -> None:
    """C2ST of our exact draws against those of the wheel at its ten observations, and of draws that are too wide."""
    task, n = TASKS[name]
    ours = [
        task.reference_posterior(y, n, np.random.default_rng([0, k]))
        for k, y in enumerate(task.published_observations())
    ]
    theirs = [published.draws(name, k + 1)[:n] for k in range(len(ours))]
    scores = c2st_scores(list(zip(ours, theirs, strict=True)))
    row("1", f"{name}: C2ST of exact draws to the wheel's, 10 observations", scores, "asked: .5 +- .03 each")
    wide = ours[0].mean(0) + 1.5 * (ours[0] - ours[0].mean(0))
    row(
        "",
        f"control: {name}: the first of them made 1.5 times too wide",
        c2st_scores([(wide, theirs[0])]),
        "must be above .53",
    )


def two_moons_references() -> None:
    """Exact draws of two_moons against those of the wheel."""
    _references("two_moons")


def gaussian_linear_references() -> None:
    """Exact draws of gaussian_linear against those of the wheel."""
    _references("gaussian_linear")


def slcp_references() -> None:
    """Exact draws of slcp against those of the wheel."""
    _references("slcp")


def sir_references() -> None:
    """Draws of sir against those of the wheel."""
    _references("sir")


def rejection() -> None:
    """C2ST of exact draws against rejection sampling from the prior, at the observation where it is cheapest."""
    for name, number, n, log_bound in (
        ("two_moons", 1, 3_000, -np.log(RADIUS_SD * np.sqrt(2 * np.pi)) - np.log(np.pi * 0.06)),
        ("gaussian_linear", 5, 2_000, -5 * np.log(2 * np.pi * VARIANCE)),
    ):
        task, _ = TASKS[name]
        y, rng, kept = task.published_observations()[number - 1], np.random.default_rng(1), []
        while sum(map(len, kept)) < n:
            x = task.prior(200_000, rng)
            kept.append(x[np.log(rng.random(len(x))) < task.log_likelihood(y[None], x) - log_bound])
        accepted = np.concatenate(kept)[:n]
        exact = task.reference_posterior(y, n, rng)
        row(
            "1",
            f"{name}: C2ST of {n:,} exact draws to rejection sampling",
            c2st_scores([(exact, accepted)]),
            "asked: .5 +- .03",
        )


def _evaluated(*words: str, samples: int | None = None) -> tuple[dict, float]:
    """What `inn evaluate` finds of a run trained by these words, and the CPU-seconds of the training."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run, _ = train(*words)
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    few = [] if samples is None else ["--samples", str(samples)]
    return json.loads(inn("evaluate", "--run", str(run.path), "--json", *few).stdout), seconds


def _benchmark(line: str, words: list[str], seeds: tuple[int, ...], limit: str) -> None:
    found, seconds = zip(*[_evaluated(*words, f"seed={seed}") for seed in seeds], strict=True)
    what = " ".join(words)
    row(line, f"{what}: C2ST", [entry["metrics"]["c2st"] for entry in found], limit)
    row(line, f"{what}: sd over the 10 observations", [entry["metrics"]["c2st_sd"] for entry in found])
    row(line, f"{what}: effective sample size", [entry["metrics"]["ess"] for entry in found])
    row(line, f"{what}: CPU-seconds of training", seconds)


def two_moons() -> None:
    """Two moons at 10,000 simulations by the recipe, at the wheel's ten observations."""
    _benchmark(
        "4", ["experiment=two_moons"], SEEDS, "asked: <= .55; stretch .535; sbi's NSF .553 in 215 CPU-s, published .606"
    )
    found, _ = _evaluated("experiment=two_moons", "trainer.max_steps=200")
    row("", "control: the same stopped after 200 steps", found["metrics"]["c2st"], "must be above .55")


def two_moons_defaults() -> None:
    """The same budget by the default trainer and model."""
    _benchmark("4", ["task=two_moons", "task.n_train=10000", "model=spline"], (0,), "asked: <= .55")


def gaussian_linear() -> None:
    """Gaussian linear at 10,000 simulations."""
    _benchmark(
        "4", ["task=gaussian_linear", "task.n_train=10000", "model=spline"], SEEDS, "published .552; no figure asked"
    )


def slcp() -> None:
    """SLCP at 10,000 simulations."""
    _benchmark("4", ["task=slcp", "task.n_train=10000", "model=spline"], (0,), "published .901; no figure asked")


def sir() -> None:
    """SIR at 10,000 simulations."""
    _benchmark("4", ["task=sir", "task.n_train=10000", "model=spline"], (0,), "published .680; no figure asked")


FIGURES = {
    "two_moons_references": two_moons_references,
    "gaussian_linear_references": gaussian_linear_references,
    "slcp_references": slcp_references,
    "sir_references": sir_references,
    "rejection": rejection,
    "two_moons": two_moons,
    "two_moons_defaults": two_moons_defaults,
    "gaussian_linear": gaussian_linear,
    "slcp": slcp,
    "sir": sir,
}
