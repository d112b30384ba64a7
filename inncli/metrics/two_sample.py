"""The classifier two-sample test."""

from __future__ import annotations

import warnings

import numpy as np

CLASSIFIER = "scikit-learn MLP, 2 hidden layers of 10 * Dx, 5-fold"


def c2st(x: np.ndarray, reference: np.ndarray, seed: int = 1, folds: int = 5) -> float:
    """Accuracy with which a classifier tells draws from reference draws: .5 perfect, 1 useless.

    The published classifier: scikit-learn's MLP with two hidden layers of 10 * Dx, ReLU, Adam, at
    most 1,000 iterations, 5-fold cross-validated accuracy; both sides z-scored by the reference.

    Shape: x (n, Dx), reference (n, Dx), as many rows each.
    Reference: Lopez-Paz and Oquab 2017, arXiv:1610.06545; settings of Lueckmann et al. 2021,
        Benchmarking simulation-based inference, arXiv:2101.04653.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neural_network import MLPClassifier

    mean, sd = reference.mean(0), reference.std(0, ddof=1)
    rows = (np.concatenate([reference, x]) - mean) / sd
    side = np.concatenate([np.zeros(len(reference)), np.ones(len(x))])
    width = 10 * x.shape[1]
    classifier = MLPClassifier(
        activation="relu", hidden_layer_sizes=(width, width), max_iter=1000, solver="adam", random_state=seed)
    shuffle = KFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1,000 iterations are part of the definition
        return float(cross_val_score(classifier, rows, side, cv=shuffle, scoring="accuracy").mean())
