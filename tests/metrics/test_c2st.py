"""The batched two-sample test against scikit-learn's own classifier, net by net."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier

from inncli.metrics.c2st import _batches, c2st, c2st_scores


def pair(shift, n=300, dim=2, seed=0):
    """Draws and reference, n a side, normals whose means are `shift` apart in each unknown."""
    x, reference = np.random.default_rng(seed).standard_normal((2, n, dim))
    return x + shift, reference


def by_scikit_learn(x, reference, seed=1):
    """The published definition, computed by scikit-learn."""
    rows = (np.concatenate([reference, x]) - reference.mean(0)) / reference.std(0, ddof=1)
    width = 10 * x.shape[1]
    classifier = MLPClassifier((width, width), max_iter=1000, random_state=seed)
    folds = KFold(5, shuffle=True, random_state=seed)
    side = np.repeat([0, 1], [len(reference), len(x)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1,000 epochs are part of the definition
        return cross_val_score(classifier, rows, side, cv=folds, scoring="accuracy").mean()


def test_in_double_precision_scores_are_scikit_learns_to_the_last_row():
    # A row far out asks for double precision. 301 + 300 rows: folds of two sizes, a last batch that is not full.
    x, reference = pair(0.5)
    compared = [(x, np.concatenate([reference, [[1e6, 0]]])), (x[:90], reference[:60])]
    expected = [by_scikit_learn(*both) for both in compared]
    assert c2st(*compared[0]) == pytest.approx(expected[0], abs=1e-12)
    x[0] = 1e6  # in the draws of the second pair too
    expected = [by_scikit_learn(*both) for both in compared]
    assert c2st_scores(compared) == pytest.approx(expected, abs=1e-12)


def test_in_single_precision_they_differ_by_rounding_alone():
    compared = [pair(shift, n=250, seed=k) for k, shift in enumerate((0.0, 0.3, 1.0))]
    differences = np.array(c2st_scores(compared)) - [by_scikit_learn(*both) for both in compared]
    assert np.abs(differences).max() < 0.015 and abs(differences.mean()) < 0.008


def test_scores_are_the_same_on_any_number_of_cores():
    compared = [pair(shift, seed=k) for k, shift in enumerate((0.0, 1.0, 0.3, 0.0))]
    threads = torch.get_num_threads()
    scores = c2st_scores(compared, cores=1)
    assert scores == c2st_scores(compared, cores=2) and torch.get_num_threads() == threads
    # the best classifier of the second pair asks which side of the middle a row lies on: Phi(sqrt(2) / 2)
    assert abs(scores[0] - 0.5) < 0.07 and scores[1] == pytest.approx(0.760, abs=0.05)


@pytest.mark.parametrize("n, dim, most", [(20_000, 2, 15), (4_000, 10, 5), (1_000_000, 2, 5), (10_000_000, 2, 1)])
def test_nets_that_learn_together_fit_the_cache_and_the_memory(n, dim, most):
    nets = [(pair, fold) for pair in range(10) for fold in range(5)]
    batches = _batches(nets, 5, n, dim)
    assert sum(batches, []) == nets and max(map(len, batches)) <= most
    assert len(batches) == -(-len(nets) // most)


def test_an_unknown_that_never_varies_is_no_obstacle():
    x, reference = pair(1.0)
    x[:, 1] = reference[:, 1] = 3.0
    assert c2st(x, reference) == pytest.approx(0.69, abs=0.06)  # Phi(1 / 2)


def test_progress_rises_to_one_and_an_interruption_ends_every_thread():
    seen = []
    compared = [pair(1.0, n=100, seed=k) for k in range(4)]
    c2st_scores(compared, cores=2, on_progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == pytest.approx(1) and len(seen) > 10

    def interrupted(share):
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        c2st_scores(compared, cores=2, on_progress=interrupted)
    assert threading.active_count() == before
