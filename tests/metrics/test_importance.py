"""Effective sample size against closed forms; published observations in `inn evaluate`."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import stats

from inncli.cli.app import main
from inncli.evaluation import reference as exact
from inncli.evaluation.evaluate import measure
from inncli.inference.trained_model import TrainedModel
from inncli.metrics.ess import effective_sample_size
from inncli.models.base import Model
from inncli.tasks.benchmarks.gaussian_linear import GaussianLinear

TASK = GaussianLinear()


def log_weights(seed, n, mean, sd):
    """Draws of N(0, 1), weighted towards N(mean, sd^2), with a constant that must not matter."""
    x = np.random.default_rng(seed).standard_normal(n)
    return stats.norm(mean, sd).logpdf(x) - stats.norm.logpdf(x) + 700


@pytest.mark.parametrize("mean, sd", [(0.0, 1.0), (0.5, 1.0), (0.3, 0.6), (0.0, 1.15)])
def test_share_is_that_of_a_normal_proposal_for_a_normal_target(mean, sd):
    # E_q[(p/q)^2] = exp(m^2 / (2 - s^2)) / (s sqrt(2 - s^2)) where s^2 < 2
    expected = sd * np.sqrt(2 - sd**2) * np.exp(-(mean**2) / (2 - sd**2))
    share, se = effective_sample_size(log_weights(0, 200_000, mean, sd))
    assert share == pytest.approx(expected, abs=max(4 * se, 1e-9)) and se < 0.01


def test_standard_error_is_the_spread_of_repetitions():
    found = np.array([effective_sample_size(log_weights(seed, 500, 0.4, 0.8)) for seed in range(300)])
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.15)


def test_excluded_draws_count_as_nothing():
    assert effective_sample_size(np.array([0.0, -np.inf, 0.0, -np.inf]))[0] == 0.5
    assert effective_sample_size(np.full(3, -np.inf)) == (0.0, 0.0)


class Normal(Model):
    """The exact posterior of gaussian_linear, made too wide or too narrow."""

    def __init__(self, width=1.0):
        super().__init__(TASK.x, TASK.y)
        self.sd = width * np.sqrt(0.05)

    def sample(self, y, n, generator):
        return y[:, None] / 2 + self.sd * torch.randn(len(y), n, 10, generator=generator, dtype=torch.float64)

    def log_prob(self, x, y):
        return torch.distributions.Normal(y / 2, self.sd).log_prob(x).sum(1)


def judged(width, monkeypatch, **kwargs):
    """What is found, and what went into the two-sample test, whose classifier is left out."""
    compared = []
    monkeypatch.setattr(
        exact, "c2st_scores", lambda pairs, **_: compared.extend(pairs) or [0.5 + 0.01 * k for k in range(len(pairs))]
    )
    trained = TrainedModel(Normal(width), {"config": {"dtype": "float64"}}, "normal", torch.device("cpu"))
    return measure(trained, TASK.test_pairs(0), TASK, samples=500, **kwargs), compared


def test_exact_draws_keep_their_size_and_others_lose_what_the_closed_form_says(monkeypatch):
    own = judged(1.0, monkeypatch)[0]
    assert own.metrics["ess"] == pytest.approx(1, abs=1e-9)
    for width in (0.9, 1.2):
        found = judged(width, monkeypatch)[0]
        ratio = 1 / width  # of the target's sd to the proposal's
        assert found.metrics["ess"] == pytest.approx((ratio * np.sqrt(2 - ratio**2)) ** 10, abs=0.05)
        assert found.se["ess"] > 0 and found.settings["ess"] == {"observations": 20, "draws": 1_000}


def test_a_task_with_published_observations_is_compared_at_these(monkeypatch):
    found, compared = judged(1.0, monkeypatch)
    ys = TASK.published_observations()
    np.testing.assert_array_equal([entry["y"] for entry in found.observations], ys)
    for (x, reference), y in zip(compared, ys, strict=True):
        np.testing.assert_allclose([x.mean(0), reference.mean(0)], [y / 2, y / 2], atol=0.06)
    assert found.settings["c2st"]["published"] is True and found.settings["c2st"]["observations"] == 10
    assert found.metrics["c2st"] == pytest.approx(0.545)
    assert found.metrics["c2st_sd"] == pytest.approx(np.std(0.01 * np.arange(10), ddof=1))
    assert found.se["c2st"] == pytest.approx(found.metrics["c2st_sd"] / np.sqrt(10))
    given = judged(1.0, monkeypatch, y=np.zeros((1, 10)))[0]
    assert [entry["y"] for entry in given.observations] == [[0.0] * 10]
    assert given.settings["c2st"]["published"] is False and "c2st_sd" not in given.metrics


@pytest.mark.parametrize("task", ["two_moons", pytest.param("sir", marks=pytest.mark.slow)])
def test_the_command_reports_both(task, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exact, "c2st_scores", lambda pairs, **_: [0.75] * len(pairs))
    assert main(["train", f"task={task}", "task.n_train=300", "trainer.max_steps=5", "model.n_blocks=1"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--json", "-n", "100"]) == 0
    found = json.loads(capsys.readouterr()[0])
    assert found["settings"]["c2st"]["observations"] == 10 and len(found["observations"]) == 10
    assert "scikit-learn MLP" in found["settings"]["c2st"]["classifier"]
    assert 0 <= found["metrics"]["ess"] < 1 and np.isfinite(found["se"]["ess"])
