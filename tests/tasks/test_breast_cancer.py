"""The breast cancer rows: their units, their splits, the Gaussian they are compared with, and the recipe."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from inncli import config
from inncli.config import registry
from inncli.errors import ConfigError
from inncli.experiments.setup import build_setup, new_model, split_pairs
from inncli.tasks.measured.breast_cancer import BreastCancer
from inncli.training.group import alone


@pytest.fixture(scope="module")
def task():
    return BreastCancer()


def gaussian(rows):
    return multivariate_normal(rows.mean(0), np.cov(rows.T, bias=True))


def test_rows_are_standardised_and_named(task):
    rows = np.concatenate([task.training_pairs(0).x, task.test_pairs(0).x])
    assert rows.shape == (569, 30) and task.y is None
    assert np.abs(rows.mean(0)).max() < 1e-12 and np.abs(rows.std(0) - 1).max() < 1e-12
    assert task.x.names[:2] == ("mean_radius", "mean_texture") and task.x.names[-1] == "worst_fractal_dimension"
    assert task.fingerprint() is None and not task.fresh


def test_the_seed_is_the_split_and_test_rows_are_never_trained_on(task):
    training, test = task.training_pairs(1).x, task.test_pairs(1).x
    assert (len(training), len(test), task.budget) == (455, 114, 455)
    assert len(np.unique(np.concatenate([training, test]), axis=0)) == 569
    assert np.array_equal(BreastCancer().test_pairs(1).x, test)
    assert not np.array_equal(task.test_pairs(2).x, test)
    assert np.array_equal(task.test_pairs(1, 5).x, test[:5])


def test_the_gaussians_figure_is_the_published_one(task):
    # A few outlying rows carry the mean of a split: the median over splits is steadier.
    figures = [gaussian(task.training_pairs(s).x).logpdf(task.test_pairs(s).x).mean() for s in range(21)]
    assert np.median(figures) == pytest.approx(-9.41, abs=1)


def test_a_smaller_budget_and_a_wrong_one():
    assert len(BreastCancer(n_train=100).training_pairs(0)) == 100
    with pytest.raises(ConfigError, match="455 rows that breast_cancer has beside its test rows"):
        BreastCancer(n_train=500)


def test_the_recipe_starts_far_above_the_gaussian(task):
    (job,) = config.plan(["experiment=breast_cancer"])
    setup = build_setup(registry.check(job.config), alone(torch.device("cpu")))
    assert setup.task.name == "breast_cancer"
    pairs, test = setup.task.training_pairs(0), setup.task.test_pairs(0).x
    model = new_model(setup, split_pairs(setup, pairs))
    with torch.no_grad():
        flow = model.log_prob(torch.as_tensor(test), None).numpy()
    assert (flow - gaussian(pairs.x).logpdf(test)).mean() > 8


def test_a_run_is_evaluated_at_rows_that_it_was_not_trained_on(tmp_path, monkeypatch):
    from inncli.cli.app import main
    from inncli.data.pairs import load_pairs
    from inncli.inference.run_task import held_out_pairs, task_of
    from inncli.runs.registry import find_run

    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    assert main(["train", "task=breast_cancer", "model=nice", "seed=1", "trainer.max_steps=2"]) == 0
    run = find_run(None)
    held_out, source = held_out_pairs(run, task_of(run), seed=0)  # the seed of the evaluation, not of the split
    rows = {row.tobytes() for row in load_pairs(run.pairs).x}
    assert len(held_out) == 114 and source == "test rows of the table"
    assert not any(row.tobytes() in rows for row in held_out.x)
