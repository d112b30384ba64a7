"""The eight modes of the INN paper: where they lie, what their labels tell, and the exact posterior."""

from __future__ import annotations

import numpy as np
import pytest

from inncli.tasks.toy.gaussian_modes import SD, GaussianModes


def test_centres_are_the_papers():
    centers = GaussianModes().centers
    expected = [
        (-2.4142, 1),
        (-1, 2.4142),
        (1, 2.4142),
        (2.4142, 1),
        (2.4142, -1),
        (1, -2.4142),
        (-1, -2.4142),
        (-2.4142, -1),
    ]
    assert np.abs(centers - expected).max() < 1e-4


@pytest.mark.parametrize(
    "labels, modes_of",
    [("all", [[k] for k in range(8)]), ("some", [[0, 1, 2, 3], [4, 5], [6], [7]]), ("none", [list(range(8))])],
)
def test_labels_and_exact_posterior(labels, modes_of):
    task = GaussianModes(labels)
    assert task.y.labels == (tuple(str(k) for k in range(len(modes_of))),)
    pairs = task.training_pairs(0)  # a single label is no error
    nearest = np.linalg.norm(pairs.x[:, None] - task.centers, axis=2).argmin(1)
    for label, modes in enumerate(modes_of):
        rows = pairs.y[:, 0] == label
        assert set(nearest[rows]) == set(modes)
        assert rows.mean() == pytest.approx(len(modes) / 8, abs=0.02)
        x = task.reference_posterior(np.array([float(label)]), 20_000, np.random.default_rng(1))
        shares, far = task.mode_shares(x)
        assert np.abs(shares[modes] - 1 / len(modes)).max() < 0.02 and shares[modes].sum() == 1
        assert far < 0.002  # exp(-8) = .0003 of a normal in the plane
        k = np.linalg.norm(x[:, None] - task.centers, axis=2).argmin(1)
        assert (x - task.centers[k]).std(0) == pytest.approx(SD, rel=0.03)


def test_shares_of_draws_by_hand():
    task = GaussianModes()
    x = np.concatenate([task.centers[[0, 0, 3]], task.centers[[5]] + [0, 0.9]])
    shares, far = task.mode_shares(x)
    assert np.array_equal(shares, [0.5, 0, 0, 0.25, 0, 0.25, 0, 0]) and far == 0.25


def test_log_density_integrates_to_one_and_is_the_mixture():
    task = GaussianModes("some")
    axis = np.linspace(-5, 5, 801)
    grid = np.stack([g.ravel() for g in np.meshgrid(axis, axis)], 1)
    assert np.exp(task.log_density(grid)).sum() * 0.0125**2 == pytest.approx(1, abs=1e-6)
    at_mode = np.log(1 / (8 * 2 * np.pi * SD**2))
    assert task.log_density(task.centers) == pytest.approx(at_mode, abs=1e-9)


def test_same_seed_same_pairs_and_a_prior_without_labels():
    task = GaussianModes("all", n_train=500)
    assert np.array_equal(task.training_pairs(1).x, GaussianModes("all", n_train=500).training_pairs(1).x)
    x = task.prior(8000, np.random.default_rng(0))
    assert np.abs(task.mode_shares(x)[0] - 1 / 8).max() < 0.02
    assert task.describe()[-1] == "modes of each label: 0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1"
