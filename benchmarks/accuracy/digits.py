"""Digits: likelihood against Gaussians of each class, draws before a classifier and beside their nearest neighbours."""

from __future__ import annotations

import json

import numpy as np
from common import SEEDS, WORK, inn, row, train
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal
from sklearn.svm import SVC

import inncli
from inncli.evaluation.evaluate import CELLS
from inncli.tasks.measured.digits import Digits

PER_CLASS = 100
CLASSIFIER = dict(gamma=0.001, C=10.0)  # scikit-learn's own example


def digits() -> None:
    """`inn train` experiment=digits, inn invert of all ten digits, three seeds; about 3 CPU-minutes."""
    task, labels = Digits(), np.repeat(np.arange(10), PER_CLASS)
    every, out = WORK / "every.csv", WORK / "digits.npz"
    every.write_text("digit\n" + "\n".join("0123456789") + "\n")
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(float(value))

    for seed in SEEDS:
        run, seconds = train("experiment=digits", f"seed={seed}")
        note("seconds", seconds)
        inn("invert", "--run", str(run.path), "--y-file", str(every), "--samples", str(PER_CLASS), "--out", str(out))
        draws = np.load(out)["x"].reshape(-1, 64)
        note("recorded", np.isin(draws, np.arange(17)).all())
        training, test = task.training_pairs(seed), task.test_pairs(seed)
        classifier = SVC(**CLASSIFIER).fit(training.x, training.y[:, 0])
        note("real", classifier.score(test.x, test.y[:, 0]))
        note("drawn", classifier.score(draws, labels))
        note("worst digit", min(classifier.score(draws[labels == k], labels[labels == k]) for k in range(10)))
        note("shuffled", classifier.score(draws, np.random.default_rng(seed).permutation(labels)))
        near = np.median(cdist(test.x, training.x).min(1))
        note("test nearest", near)
        note("nearest", np.median(cdist(draws, training.x).min(1)) / near)
        noisy = np.clip(np.round(draws + np.random.default_rng(seed).normal(0, 3, draws.shape)), 0, 16)
        note("noisy", np.median(cdist(noisy, training.x).min(1)) / near)
        note("copies", np.median(cdist(training.x[:1000], training.x).min(1)) / near)
        # the rows that `inn evaluate` scores, spread over their cells by the same numbers
        spread = test.x + np.random.default_rng([0, CELLS]).random(test.x.shape) - 0.5
        flow = inncli.load(run.path).log_prob(spread, test.y)
        evaluated = json.loads(inn("evaluate", "--json", "--run", str(run.path)).stdout)["metrics"]
        note("flow", flow.mean())
        note("agrees", abs(flow.mean() + evaluated["nll"]))
        note("invertible", evaluated["invertibility_error"])
        gaussians = by_class(task, training, spread, test.y[:, 0], seed)
        note("gaussian", gaussians.mean())
        note("gain", (flow - gaussians).mean())
        note("pooled", pooled(training, spread, seed).mean())
        wrong = inncli.load(run.path).log_prob(spread, (test.y + 1) % 10)
        note("wrong class", (wrong - gaussians).mean())
    for name, what, limit in (
        ("seconds", "training, wall seconds", ""),
        ("recorded", "all draws are recorded pixels, whole numbers from 0 to 16", "must be 1"),
        ("flow", "test log-likelihood, dequantised, nats", "asked: above the next"),
        ("gaussian", "the same of a Gaussian a class, shrunk by cross-validation (3 blank pixels free)", ""),
        ("gain", "the flow's over these Gaussians', paired", "asked: > 0"),
        ("pooled", "the same of one full-covariance Gaussian for all classes", ""),
        ("agrees", "difference to inn evaluate's nll", "must be 0"),
        ("real", f"share of real test images that SVC({CLASSIFIER}) recognises", ""),
        ("drawn", f"share of draws that it recognises, {PER_CLASS} a class", "asked: >= .85"),
        ("worst digit", "the same for the digit with the smallest share", ""),
        ("test nearest", "median distance of test images to the nearest training image, grey levels", ""),
        ("nearest", "the same of draws, over that of test images", "asked: .8 to 1.2"),
        ("invertible", "invertibility error, sds", ""),
        ("shuffled", "control: draws with their labels shuffled: share recognised", "must be about .1"),
        ("noisy", "control: draws with noise of 3 grey levels: nearest over that of test images", "must exceed 1.2"),
        ("copies", "control: training images themselves as the draws", "must be below .8"),
        (
            "wrong class",
            "control: each test image scored as the next digit, over the Gaussians' of its own",
            "must be < 0",
        ),
    ):
        row("7", f"digits, {what}" if not what.startswith("control") else what, found[name], limit)


def by_class(task: Digits, training, points: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Log density of points under a Gaussian of each class.

    Its covariance is full, shrunk towards the shared one and towards its diagonal, by the weights that serve held-out
    fifths of the training rows best.
    """
    live = np.array(task.x.bounds)[:, 1] > 0  # the others are uniform noise to the Gaussians too: 0 nats
    x = (training.x + np.random.default_rng(seed).random(training.x.shape) - 0.5)[:, live]
    y, fold = training.y[:, 0], np.random.default_rng(seed).permutation(len(training)) % 5

    def fit(rows, classes, shared, diagonal):
        centred = {k: rows[classes == k] - rows[classes == k].mean(0) for k in range(10)}
        common = sum(c.T @ c for c in centred.values()) / len(rows)
        for k, c in centred.items():
            own = (1 - shared) * c.T @ c / (len(c) - 1) + shared * common
            covariance = (1 - diagonal) * own + diagonal * np.diag(np.diag(own)) + 1e-6 * np.eye(len(own))
            yield k, multivariate_normal(rows[classes == k].mean(0), covariance)

    def score(rows, classes, at, at_classes, weights):
        out = np.empty(len(at))
        for k, gaussian in fit(rows, classes, *weights):
            out[at_classes == k] = gaussian.logpdf(at[at_classes == k])
        return out

    grid = [(shared, diagonal) for shared in (0, 0.03, 0.1, 0.2, 0.4) for diagonal in (0, 0.03, 0.06, 0.1, 0.2)]
    held_out = {
        weights: sum(score(x[fold != f], y[fold != f], x[fold == f], y[fold == f], weights).sum() for f in range(5))
        for weights in grid
    }
    return score(x, y, points[:, live], labels, max(held_out, key=held_out.get))


def pooled(training, points: np.ndarray, seed: int) -> np.ndarray:
    """Log density under one Gaussian for all classes."""
    x = training.x + np.random.default_rng(seed).random(training.x.shape) - 0.5
    return multivariate_normal(x.mean(0), np.cov(x.T)).logpdf(points)


FIGURES = {"digits": digits}
