"""The linear-Gaussian start: the exact posterior of a linear problem, whatever its width."""

import numpy as np
import pytest
import torch

from inncli.transforms.whitening import Whitening, shrinkage


def problem(noise, rows=4_000):
    """x ~ N(0, I), y = x + noise; the sd of the exact posterior of each unknown."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 2))
    y = x + np.array(noise) * rng.standard_normal((rows, 2))
    return torch.as_tensor(x), torch.as_tensor(y), np.array(noise) / np.sqrt(1 + np.square(noise))


@pytest.mark.parametrize("noise", [(1.0, 0.3), (1e-5, 1.0), (1e-9, 1e-2)])
def test_it_is_the_exact_posterior_however_narrow(noise):
    x, y, sd = problem(noise)
    layer = Whitening(2, 2)
    z = layer.initialise(x, y)
    np.testing.assert_allclose(torch.linalg.inv(layer.w).diagonal().numpy(), sd, rtol=0.04)
    np.testing.assert_allclose(z.std(0).numpy(), 1, atol=0.02)


def test_a_difference_known_to_a_ten_thousandth_stays_so():
    rng = np.random.default_rng(0)
    common = rng.standard_normal((2_000, 1))
    x = torch.as_tensor(np.hstack([common, common + 1e-4 * rng.standard_normal((2_000, 1))]))
    layer = Whitening(2)
    layer.initialise(x)
    draws = layer.inverse(torch.as_tensor(rng.standard_normal((20_000, 2))))[0]
    np.testing.assert_allclose(float((draws[:, 1] - draws[:, 0]).std()), 1e-4, rtol=0.05)


def test_thirty_columns_at_a_correlation_of_r_9999():
    rng = np.random.default_rng(0)
    covariance = 0.9999 * np.ones((30, 30)) + 0.0001 * np.eye(30)
    x = torch.as_tensor(rng.multivariate_normal(np.zeros(30), covariance, 1_200, method="cholesky"))
    layer = Whitening(30)
    layer.initialise(x[:600])
    z, ladj = layer(x[600:])
    truth = torch.distributions.MultivariateNormal(torch.zeros(30).double(), torch.as_tensor(covariance))
    off = truth.log_prob(x[600:]) - torch.distributions.Normal(0, 1).log_prob(z).sum(1) - ladj
    assert abs(float(off.mean())) < 1.2


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_it_survives_fewer_rows_than_columns(rows):
    layer = Whitening(10, 3)
    assert layer.initialise(torch.randn(rows, 10).double(), torch.randn(rows, 3).double()).isfinite().all()


def test_a_column_that_y_tells_to_the_last_digit_keeps_some_width():
    x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).double()
    layer = Whitening(2, 1)
    z = layer.initialise(x, x[:, :1])
    assert z.isfinite().all() and 0 < float(1 / layer.w[0, 0]) < 1e-11


def test_few_rows_of_many_independent_columns_believe_no_correlation():
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.standard_normal((60, 50)))
    layer = Whitening(50)
    layer.initialise(x[:40])
    z, ladj = layer(x[40:])
    normal = torch.distributions.Normal(0, 1)
    off = normal.log_prob(x[40:]).sum(1) - normal.log_prob(z).sum(1) - ladj
    assert shrinkage(x[:40]) >= 0.3 and abs(float(off.mean())) < 5


def test_more_readings_than_rows_are_told_apart_by_the_regression_of_y_on_x():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 5))
    noise = np.exp(2 * rng.standard_normal(600))  # of each reading
    y = torch.as_tensor(x @ rng.standard_normal((5, 600)) + noise * rng.standard_normal((300, 600)))
    x = torch.as_tensor(x)
    layer = Whitening(5, 600)
    layer.initialise(x[:100], y[:100])
    assert float((x[100:] - layer.mean(y[100:])).std()) < 0.015  # a ridge alone is off by .05
    assert 0.8 < float(layer(x[100:], y[100:])[0].std()) < 1.2
