"""The flows against exact posteriors of the ring, and against Gaussians on measured columns."""

from __future__ import annotations

import resource

import numpy as np
from common import SEEDS, row, train

import inncli
from inncli.metrics.c2st import c2st
from inncli.tasks.measured.breast_cancer import BreastCancer
from inncli.tasks.toy.ring import Ring

YS = (0.3, 1.0, 2.0, 4.0)
LIMITS = {"spline": "<= .53"}
DRAWS = 10_000


def ring() -> None:
    """C2ST to the exact posterior of the ring at four ys, of each flow as shipped."""
    task = Ring()
    for model in ("nice", "rnvp", "glow", "spline", "maf", "iaf"):
        scores, seconds, errors = {y: [] for y in YS}, [], []
        for seed in SEEDS:
            before = _children_seconds()
            run, _ = train(f"model={model}", f"seed={seed}")
            seconds.append(_children_seconds() - before)
            trained = inncli.load(run.path)
            errors.append(trained.diagnostics(DRAWS)["invertibility_error"])
            for y in YS:
                reference = task.reference_posterior(np.array([y]), DRAWS, np.random.default_rng(seed))
                scores[y].append(c2st(trained.sample([[y]], DRAWS, seed)[0], reference))
        for y, values in scores.items():
            row("2", f"ring, {model}, y = {y}: C2ST", values, f"asked: {LIMITS[model]}" if model in LIMITS else "")
        row("2", f"ring, {model}: CPU-s of a training", seconds, "asked: <= 120")
        row("1", f"ring, {model}: round trip in float32, 10,000 rows", errors)
    wide = reference * np.array([1.05, 1.0])
    row("", "control: exact draws at y = 4, one axis stretched by .05: C2ST", c2st(wide, reference), "must exceed .53")


def breast_cancer() -> None:
    """Held-out log-likelihood of each flow over the full-covariance Gaussian's, on the same 5 splits."""
    from scipy.stats import multivariate_normal

    task, trained = BreastCancer(), None
    concavity = task.x.names.index("mean_concavity")
    lowest = np.concatenate([task.training_pairs(0).x, task.test_pairs(0).x])[:, concavity].min()

    def against(words: list[str]) -> tuple[list[float], list[float], list[float]]:
        nonlocal trained
        flows, differences, elsewhere = [], [], []
        for seed in range(5):
            trained = inncli.load(train("experiment=breast_cancer", f"seed={seed}", *words)[0].path)
            rows, test = task.training_pairs(seed).x, task.test_pairs(seed).x
            gaussian = multivariate_normal(rows.mean(0), np.cov(rows.T, bias=True)).logpdf(test)
            found = trained.log_prob(test)
            flows.append(found.mean())
            differences.append((found - gaussian).mean())
            # 13 tumours have a concavity of exactly 0: a density could grow without end on them.
            positive = test[:, concavity] > lowest
            elsewhere.append((found - gaussian)[positive].mean())
        return flows, differences, elsewhere

    for model in ("nice", "rnvp", "glow", "spline", "maf", "iaf", "iresnet"):
        flows, differences, elsewhere = against([f"model={model}"])
        row("8", f"breast cancer, {model}: test log-likelihood, 5 splits", flows)
        error = np.std(differences, ddof=1) / np.sqrt(5)
        row(
            "8",
            f"breast cancer, {model}: over the Gaussian's, paired",
            differences,
            f"mean {np.mean(differences):.2f} +- {error:.2f}; asked: > 0 for spline, maf, iresnet",
        )
        row("8", f"breast cancer, {model}: the same without rows of concavity 0", elsewhere)
    gaussians = [a - b for a, b in zip(flows, differences, strict=True)]
    row("8", "breast cancer, full-covariance Gaussian on all 455 rows", gaussians, "field.md: about -9.41")
    _, differences, _ = against(["trainer.max_steps=1", "trainer.lr=1e-12"])
    row("8", "breast cancer, power map and closed form alone, over the Gaussian's", differences)
    for model in ("spline", "maf"):
        _, differences, _ = against([f"model={model}", "model.power=false"])
        row("8", f"breast cancer, {model} without the power map, over the Gaussian's", differences)
    test, rng = task.test_pairs(4).x, np.random.default_rng(0)
    shuffled = trained.log_prob(np.column_stack([rng.permutation(column) for column in test.T]))
    row(
        "",
        "control: the last of these at test rows whose columns are shuffled, against the true ones",
        (shuffled - trained.log_prob(test)).mean(),
        "must be below 0",
    )


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


FIGURES = {f.__name__: f for f in (ring, breast_cancer)}
