"""The classifier two-sample test."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from inncli.io.worker_life import begin
from inncli.io.worker_path import safe_path
from inncli.numerics.statistics import mean_and_sd
from inncli.types import Real

CLASSIFIER = "scikit-learn MLP, 2 hidden layers of 10 * Dx, 5-fold"
ENOUGH_ROWS = 20_000  # in all: below, starting further processes takes longer than they save


def c2st(x: Real[np.ndarray, "n dim"], reference: Real[np.ndarray, "m dim"], seed: int = 1, folds: int = 5) -> float:
    """Accuracy with which a classifier tells draws from reference draws: .5 perfect, 1 useless.

    The published classifier: scikit-learn's MLP with two hidden layers of 10 * Dx, ReLU, Adam, at
    most 1,000 iterations, 5-fold cross-validated accuracy; both sides z-scored by the reference.

    Shape: x (n, Dx), reference (m, Dx); .5 is perfect where n = m.
    Reference: Lopez-Paz and Oquab 2017, arXiv:1610.06545; settings of Lueckmann et al. 2021,
        Benchmarking simulation-based inference, arXiv:2101.04653.
    """
    return c2st_scores([(x, reference)], seed, folds)[0]


def c2st_scores(
    compared: Sequence[tuple[np.ndarray, np.ndarray]], seed: int = 1, folds: int = 5, cores: int | None = None
) -> list[float]:
    """`c2st` of each pair (x, reference), every fold of every pair a job of its own.

    Each job computes on one thread, in whatever process, so that the numbers don't depend on `cores`.

    Args:
        compared: pairs of (x, reference), both (rows, Dx).
        seed: of the classifiers and of the split into folds.
        folds: parts of the rows; each is judged by a classifier that learned on the others.
        cores: processes; None takes all cores there are, or one where the rows are few.
    """
    jobs = [(x, reference, seed, folds, k) for x, reference in compared for k in range(folds)]
    if cores is None:
        cores = joblib.cpu_count() if sum(len(x) + len(y) for x, y in compared) >= ENOUGH_ROWS else 1
    if cores == 1:
        with threadpool_limits(1):
            accuracies = [_accuracy(*job) for job in jobs]
    else:
        settings = {"n_jobs": cores, "inner_max_num_threads": 1, "initializer": begin, "initargs": (os.getpid(),)}
        with safe_path(), joblib.parallel_config("loky", **settings):
            accuracies = joblib.Parallel()(joblib.delayed(_accuracy)(*job) for job in jobs)
    return np.reshape(accuracies, (-1, folds)).mean(1).tolist()


def _accuracy(
    x: Real[np.ndarray, "n dim"], reference: Real[np.ndarray, "m dim"], seed: int, folds: int, fold: int
) -> float:
    """The accuracy on one fold of a classifier that learned on the others."""
    mean, sd = mean_and_sd(reference, ddof=1)
    rows = (np.concatenate([reference, x]) - mean) / sd
    side = np.concatenate([np.zeros(len(reference)), np.ones(len(x))])
    width = 10 * x.shape[1]
    classifier = MLPClassifier(
        activation="relu", hidden_layer_sizes=(width, width), max_iter=1000, solver="adam", random_state=seed
    )
    train, test = list(KFold(n_splits=folds, shuffle=True, random_state=seed).split(rows))[fold]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1,000 iterations are part of the definition
        return float(classifier.fit(rows[train], side[train]).score(rows[test], side[test]))
