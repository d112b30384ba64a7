"""The tasks of the benchmark of simulation-based inference against quadrature, rejection and importance sampling."""

from __future__ import annotations

import bz2
import sys

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import solve_ivp

from inncli.errors import ConfigError, ConvergenceError, RequestError
from inncli.tasks.benchmarks import published
from inncli.tasks.benchmarks.gaussian_linear import GaussianLinear
from inncli.tasks.benchmarks.sir import DAYS, LOG_MEAN, LOG_SD, POPULATION, TESTED, Sir
from inncli.tasks.benchmarks.slcp import LIMIT, Slcp
from inncli.tasks.benchmarks.two_moons import TwoMoons
from inncli.tasks.sampling.adaptive_rejection import plane_draws

TASKS = {"two_moons": TwoMoons, "gaussian_linear": GaussianLinear, "slcp": Slcp, "sir": Sir}


def rng(*seed):
    return np.random.default_rng(seed or 0)


def same_moments(weights, x, draws, limit=4.5):
    """Means and second moments of weighted rows against draws, within their standard errors."""
    weights = weights / weights.sum()
    for power in (1, 2):
        a, b = x**power, draws**power
        mean = weights @ a
        se = np.sqrt(weights**2 @ (a - mean) ** 2 + b.var(0) / len(b))
        np.testing.assert_array_less(np.abs(mean - b.mean(0)) / se, limit)


# --- all four -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_ten_observations_each_with_draws_inside_the_support(name):
    task = TASKS[name]()
    ys = task.published_observations()
    assert task.name == name and ys.shape == (10, task.y.dim) and len(np.unique(ys, axis=0)) == 10
    for k in (0, 9):
        draws = task.reference_posterior(ys[k], 300, rng(1))
        assert draws.shape == (300, task.x.dim) and len(np.unique(draws, axis=0)) == 300
        assert np.isfinite(task.log_prior(draws) + task.log_likelihood(ys[k : k + 1], draws)).all()
        np.testing.assert_array_equal(draws, task.reference_posterior(ys[k], 300, rng(1)))


@pytest.mark.parametrize("name", TASKS)
def test_log_prior_is_that_of_the_draws(name):
    task = TASKS[name]()
    marginals = {
        "two_moons": [stats.uniform(-1, 2)] * 2,
        "slcp": [stats.uniform(-3, 6)] * 5,
        "gaussian_linear": [stats.norm(0, np.sqrt(0.1))] * 10,
        "sir": [stats.lognorm(0.5, scale=0.4), stats.lognorm(0.2, scale=0.125)],
    }[name]
    x = task.prior(4_000, rng(2))
    expected = sum(marginal.logpdf(column) for marginal, column in zip(marginals, x.T, strict=True))
    np.testing.assert_allclose(task.log_prior(x), expected, atol=1e-10)
    for marginal, column in zip(marginals, x.T, strict=True):
        assert stats.kstest(column, marginal.cdf).pvalue > 1e-3
    if name != "gaussian_linear":
        assert (task.log_prior(x - 10) == -np.inf).all()


@pytest.mark.parametrize("name", TASKS)
def test_observe_is_the_mean_of_y(name):
    task = TASKS[name]()
    x = np.repeat(task.prior(2, rng(3)), 5_000, axis=0)
    y = task.simulate(x, rng(4)).reshape(2, 5_000, -1)
    expected = task.observe(x[::5_000])
    error = np.abs(y.mean(1) - expected) / np.maximum(y.std(1) / np.sqrt(5_000), 1e-3)
    assert error.max() < 4.5


@pytest.mark.parametrize("name", ["two_moons", "gaussian_linear"])
def test_observe_takes_tensors_and_their_gradients(name):
    task = TASKS[name]()
    x = task.prior(5, rng(5))
    tensor = torch.tensor(x, requires_grad=True)
    y = task.observe(tensor)
    np.testing.assert_allclose(y.detach().numpy(), task.observe(x), atol=1e-15)
    y.sum().backward()
    step = 1e-6 * np.eye(task.x.dim)
    slopes = [(task.observe(x + h).sum(1) - task.observe(x - h).sum(1)) / 2e-6 for h in step]
    np.testing.assert_allclose(tensor.grad.numpy(), np.stack(slopes, 1), atol=1e-8)


# --- the files of the benchmark -----------------------------------------------------------------------------


def test_published_draws_are_read_without_importing_their_package(tmp_path, monkeypatch):
    folder = tmp_path / "sbibm" / "tasks" / "sir" / "files" / "num_observation_3"
    folder.mkdir(parents=True)
    (tmp_path / "sbibm" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    with bz2.open(folder / "reference_posterior_samples.csv.bz2", "wt") as file:
        file.write("$\\beta$,$\\gamma$\n0.5,0.25\n0.75,0.125\n")
    monkeypatch.syspath_prepend(tmp_path)
    np.testing.assert_array_equal(published.draws("sir", 3), [[0.5, 0.25], [0.75, 0.125]])
    assert "sbibm" not in sys.modules


def test_without_that_package_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(published, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match="pip install --no-deps sbibm==1.1.0"):
        published.draws("slcp", 1)


# --- two moons ----------------------------------------------------------------------------------------------


def test_two_moons_likelihood_integrates_to_one_and_is_that_of_the_simulator():
    task, x = TwoMoons(), np.array([[0.3, -0.5]])
    u, v = np.linspace(0, 0.16, 401)[1:] - 2e-4, np.linspace(-0.16, 0.16, 801)[1:] - 2e-4
    corner = task.observe(x)[0] - [0.1 * 2 / np.pi, 0]
    grid = corner + np.stack(np.meshgrid(u, v, indexing="ij"), -1).reshape(-1, 2)
    log_p = task.log_likelihood(grid, np.repeat(x, len(grid), 0))
    p = np.exp(log_p) * 4e-4**2
    assert p.sum() == pytest.approx(1, abs=1e-4)
    radius = np.hypot(*(grid - corner).T)
    assert p @ radius == pytest.approx(0.1, abs=2e-4)  # without the 1/r of the density .101
    y = task.simulate(np.repeat(x, 50_000, 0), rng(6))
    surprise = task.log_likelihood(y, np.repeat(x, len(y), 0))
    assert surprise.mean() == pytest.approx(p @ np.where(p > 0, log_p, 0), abs=4 * surprise.std() / 50_000**0.5)


# The last is a y for which |x1 + x2| near 0 cuts the moon; at the one before, the edge of the square does.
@pytest.mark.parametrize("y", [(-0.64, 0.16), (0.146, -1.17), (0.3, 0.2)])
def test_two_moons_reference_agrees_with_rejection_sampling(y):
    task, y = TwoMoons(), np.array([y])
    x = task.prior(3_000_000, rng(7))
    near = np.abs(task.observe(x) - y).max(1) < 0.2
    x = x[near]
    log_p = task.log_likelihood(y, x)
    kept = x[np.log(rng(8).random(len(x))) < log_p - np.log(40 / (np.pi * 0.06))]
    reference = task.reference_posterior(y[0], 20_000, rng(9))
    assert len(kept) > 400
    for look in (lambda x: x[:, 0], lambda x: x[:, 1], lambda x: x.sum(1), lambda x: np.abs(x.sum(1))):
        assert stats.ks_2samp(look(kept), look(reference)).pvalue > 1e-3


def test_two_moons_says_when_no_x_has_a_y():
    with pytest.raises(ConfigError, match="expected a y that some x can have"):
        TwoMoons().reference_posterior(np.array([1.0, 0.0]), 10, rng())


# --- gaussian linear ----------------------------------------------------------------------------------------


def test_gaussian_linear_posterior_is_prior_times_likelihood():
    task = GaussianLinear()
    y = task.published_observations()[:1]
    x = task.reference_posterior(y[0], 100_000, rng(10))
    log_q = stats.norm(y / 2, np.sqrt(0.05)).logpdf(x).sum(1)
    evidence = stats.norm(0, np.sqrt(0.2)).logpdf(y).sum()
    np.testing.assert_allclose(task.log_prior(x) + task.log_likelihood(y, x) - log_q, evidence, atol=1e-9)
    np.testing.assert_allclose(x.mean(0), y[0] / 2, atol=0.004)
    np.testing.assert_allclose(np.cov(x.T), 0.05 * np.eye(10), atol=0.001)


# --- slcp ---------------------------------------------------------------------------------------------------


def test_slcp_likelihood_is_that_of_four_normal_points():
    task = Slcp()
    x = task.prior(20, rng(11))
    y = task.simulate(x, rng(12))
    for row_x, row_y, value in zip(x, y, task.log_likelihood(y, x), strict=True):
        s, t, rho = row_x[2] ** 2, row_x[3] ** 2, np.tanh(row_x[4])
        covariance = [[s**2, rho * s * t], [rho * s * t, t**2]]
        normal = stats.multivariate_normal(row_x[:2], covariance, allow_singular=True)
        assert value == pytest.approx(normal.logpdf(row_y.reshape(4, 2)).sum(), rel=1e-6)
    y = task.simulate(np.repeat([[1.0, -1.0, 1.2, -0.8, 0.5]], 100_000, 0), rng(13)).reshape(-1, 4, 2)
    moments = np.cov(y[:, 2].T)
    np.testing.assert_allclose(
        moments, [[1.44**2, np.tanh(0.5) * 1.44 * 0.64], [np.tanh(0.5) * 1.44 * 0.64, 0.64**2]], rtol=0.03
    )
    assert np.abs(np.corrcoef(y[:, 0, 0], y[:, 3, 0])[0, 1]) < 0.02


@pytest.mark.parametrize(
    "x", [(0.5, -1.0, 1.6, 1.5, 0.4), (2.5, 0.0, 2.9, 1.7, -1.0)], ids=["inside", "cut by the box"]
)
def test_slcp_reference_agrees_with_weighted_draws_of_the_prior(x):
    task = Slcp()
    y = task.simulate(np.array([x]), rng(14))
    prior = task.prior(1_500_000, rng(15))
    log_p = task.log_likelihood(y, prior)
    weights = np.exp(log_p - log_p.max())
    assert weights.sum() ** 2 / (weights**2).sum() > 400
    draws = task.reference_posterior(y[0], 20_000, rng(16))
    assert np.abs(draws).max() <= LIMIT

    def looks(x):
        return np.column_stack([x, np.abs(x), x[:, :1] * x[:, 1:], np.log(np.abs(x[:, 2:]))])

    same_moments(weights, looks(prior), looks(draws))


def test_slcp_says_when_hardly_any_x_has_a_y():
    with pytest.raises(ConfigError, match="expected a y that some x can have"):
        Slcp().reference_posterior(1000 + np.arange(8.0) ** 2, 10, rng())


# --- sir ----------------------------------------------------------------------------------------------------


def test_sir_solves_its_equations():
    # the original equations, a row at a time, to a hundred times the digits
    task = Sir()
    x = np.concatenate([task.prior(12, rng(17)), np.exp(LOG_MEAN + LOG_SD * [[4.3, -3], [4.3, 3], [-4.3, 3]])])

    def alone(beta, gamma):
        def slope(_, u):
            return [-beta * u[0] * u[1], beta * u[0] * u[1] - gamma * u[1]]

        start = [1 - 1 / POPULATION, 1 / POPULATION]
        return solve_ivp(slope, (0, DAYS[-1]), start, "DOP853", t_eval=DAYS, rtol=1e-12, atol=1e-15).y[1]

    np.testing.assert_allclose(task.observe(x) / TESTED, [alone(*row) for row in x], rtol=0, atol=2e-9)
    odd = np.array([[0.4, np.nan], [-0.1, 0.1], [1e9, 0.1], [64.0, 0.1]])
    assert np.isnan(task.observe(odd[:2])).all() and (task.observe(odd[2:3]) == task.observe(odd[3:])).all()


def test_sir_rows_do_not_depend_on_each_other():
    x = Sir().prior(64, rng(18))
    x[0] = 4.0, 0.05  # a step chosen by this one's error would show
    np.testing.assert_allclose(Sir().observe(x)[7:8], Sir().observe(x[7:8]), rtol=1e-12)


def test_sir_likelihood_sums_to_one_and_few_pairs_are_enough():
    task, x = Sir(n_train=50), np.array([[0.5, 0.15]])
    counts = np.tile(np.round(task.observe(x)), (TESTED + 1, 1))
    counts[:, 3] = np.arange(TESTED + 1)
    p = np.exp(task.log_likelihood(counts, np.repeat(x, len(counts), 0)))
    others = np.exp(stats.binom.logpmf(counts[0], TESTED, task.observe(x)[0] / TESTED))
    assert p.sum() == pytest.approx(np.delete(others, 3).prod(), rel=1e-9)
    assert len(task.training_pairs(0)) == 50  # of whom none may be infected on day 0


@pytest.mark.parametrize("y", ["zeros", 6, 9])
def test_sir_reference_agrees_with_a_brute_force_grid(y):
    task = Sir()
    if y == "zeros":  # no epidemic was seen: most of the prior is left
        y, low, high, n = np.zeros((1, 10)), LOG_MEAN - 5 * LOG_SD, LOG_MEAN + 5 * LOG_SD, 80
    else:
        middle = {6: np.array([-1.43, -2.11]), 9: np.array([-0.55, -2.1])}[y]
        y, low, high, n = task.published_observations()[y : y + 1], middle - [0.1, 0.25], middle + [0.1, 0.25], 110
    axes = [np.linspace(a, b, n) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    log_p = task.log_likelihood(y, np.exp(grid)) + task.log_prior(np.exp(grid)) + grid.sum(1)
    p = np.exp(log_p - log_p.max())
    draws = np.log(task.reference_posterior(y[0], 20_000, rng(19)))
    for k in range(2):
        cumulated = np.cumsum(p.reshape(n, n).sum(1 - k)) / p.sum()
        middles = axes[k] + (axes[k][1] - axes[k][0]) / 2
        assert np.abs(np.searchsorted(np.sort(draws[:, k]), middles) / len(draws) - cumulated).max() < 0.015
    mean = p @ grid / p.sum()
    covariance = (grid - mean).T * p @ (grid - mean) / p.sum()
    np.testing.assert_allclose(
        np.corrcoef(draws.T)[0, 1], covariance[0, 1] / np.sqrt(covariance.diagonal().prod()), atol=0.04
    )
    # the tenth observation has a thousandth of its mass seven sds away
    far = grid[:, 0] > mean[0] + 5 * np.sqrt(covariance[0, 0])
    share = p[far].sum() / p.sum()
    assert (draws[:, 0] > mean[0] + 5 * np.sqrt(covariance[0, 0])).mean() == pytest.approx(
        share, abs=4 * np.sqrt(share / 2e4) + 1e-5
    )


def test_sir_reference_of_a_fast_epidemic():
    # the posterior of this one is so narrow a ridge in the prior that a grid over its mean and covariance missed it
    y = np.array([0.0, 355, 117, 21, 1, 0, 0, 0, 0, 0])
    draws = Sir().reference_posterior(y, 2_000, rng(23))
    assert (np.abs(Sir().observe(draws).mean(0) - y) < 4 * np.sqrt(y + 1)).all()


def test_sir_asks_for_counts():
    for y in (np.full(10, 0.5), np.full(10, 1001.0), np.full(10, -1.0)):
        with pytest.raises(ConfigError, match="expected counts from 0 to 1,000"):
            Sir().reference_posterior(y, 10, rng())


# --- draws in the plane -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size, bend", [(1e-5, 0), (0.1, 1), (1.0, 1)])
def test_plane_draws_of_a_banana(size, bend):
    # u ~ N(0, 1), v | u ~ N(u^2, .5^2), in units of `size` about (3, -2): a speck of where the search begins
    def log_p(x):
        u, v = (x - [3, -2]).T / size
        return -0.5 * u**2 - 2 * (v - bend * u**2) ** 2

    draws = plane_draws(log_p, np.full(2, -30.0), np.full(2, 45.0), 40_000, rng(20), np.zeros(1))
    u, v = (draws - [3, -2]).T / size
    assert stats.kstest(u, stats.norm.cdf).pvalue > 1e-3
    assert stats.kstest((v - bend * u**2) / 0.5, stats.norm.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(u, v - bend * u**2)[0, 1]) < 0.02


def test_plane_draws_find_two_modes_and_their_shares():
    # sds .02 and .01, of equal height: four fifths of the mass lie in the wider
    def log_p(x):
        wide, narrow = (((x - centre) ** 2).sum(1) / sd**2 for centre, sd in (((-3, 2), 0.02), ((4, 1), 0.01)))
        return np.logaddexp(-0.5 * wide, -0.5 * narrow)

    draws = plane_draws(log_p, np.full(2, -5.0), np.full(2, 5.0), 40_000, rng(21), np.zeros(1))
    left = draws[:, 0] < 0
    assert left.mean() == pytest.approx(0.8, abs=0.008)
    for side, centre, sd in ((left, (-3, 2), 0.02), (~left, (4, 1), 0.01)):
        for k in range(2):
            assert stats.kstest((draws[side, k] - centre[k]) / sd, stats.norm.cdf).pvalue > 1e-3


def test_plane_draws_find_a_ridge_three_hundred_times_longer_than_wide():
    def log_p(x):
        along, across = (x @ np.array([[0.6, -0.8], [0.8, 0.6]])).T
        return -0.5 * along**2 - 0.5 * (across * 300) ** 2

    draws = plane_draws(log_p, np.full(2, -5.0), np.full(2, 5.0), 10_000, rng(22), np.zeros(1))
    along, across = (draws @ np.array([[0.6, -0.8], [0.8, 0.6]])).T
    assert stats.kstest(along, stats.norm.cdf).pvalue > 1e-3
    assert stats.kstest(across * 300, stats.norm.cdf).pvalue > 1e-3


def test_plane_draws_refuse_what_their_cells_can_not_show():
    def ripples(x):
        return -0.5 * (x**2).sum(1) + 3 * np.cos(1_000 * x[:, 0]) * np.cos(1_000 * x[:, 1])

    with pytest.raises(ConvergenceError, match=r"y = \[0.0\] needs more than 1,000,000 cells"):
        plane_draws(ripples, np.full(2, -5.0), np.full(2, 5.0), 1_000, rng(), np.zeros(1))

    def peak(x):  # without a top, a third of a cell away from its corners
        return -6 * np.log(np.linalg.norm(x - 10 / 3, axis=1))

    with pytest.raises(ConvergenceError, match="is not smooth"):
        plane_draws(peak, np.full(2, -5.0), np.full(2, 5.0), 1_000, rng(), np.zeros(1))
