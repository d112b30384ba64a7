"""The eight 2-D densities of the flow literature: each log density against mass one and against its own draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from inncli.tasks.densities import curves
from inncli.tasks.densities.checkerboard import Checkerboard
from inncli.tasks.densities.circles import Circles
from inncli.tasks.densities.eight_gaussians import EightGaussians
from inncli.tasks.densities.moons import Moons
from inncli.tasks.densities.pinwheel import Pinwheel
from inncli.tasks.densities.rings import Rings
from inncli.tasks.densities.swissroll import Swissroll
from inncli.tasks.densities.two_spirals import TwoSpirals

TASKS = {
    task.__name__: task
    for task in (Swissroll, EightGaussians, Pinwheel, Circles, Moons, TwoSpirals, Checkerboard, Rings)
}
SIDE, FINE, COARSE = 5.12, 192, 32  # a window; cells of the integral, cells of the counts, along one side


@pytest.fixture(scope="module", params=TASKS)
def case(request):
    """A task, and its mass in each cell of the coarse grid by the midpoint rule on the fine one."""
    task = TASKS[request.param]()
    edge = np.linspace(-SIDE, SIDE, FINE + 1)
    middle = (edge[1:] + edge[:-1]) / 2
    points = np.stack(np.meshgrid(middle, middle, indexing="ij"), -1).reshape(-1, 2)
    p = np.exp(task.log_density(points)).reshape(FINE, FINE) * (2 * SIDE / FINE) ** 2
    share = FINE // COARSE
    return task, p.reshape(COARSE, share, COARSE, share).sum((1, 3))


def counts(x):
    """Draws in each cell of the coarse grid."""
    edge = np.linspace(-SIDE, SIDE, COARSE + 1)
    return np.histogram2d(x[:, 0], x[:, 1], bins=[edge, edge])[0]


def p_value(found, mass, n):
    """Chi-square of cell counts against masses; cells of few draws, and what is outside, are one cell."""
    few = n * mass < 10
    found = np.append(found[~few], n - found[~few].sum())
    expected = np.append(n * mass[~few], n - n * mass[~few].sum())
    keep = expected > 1  # on the board nothing is left over
    return stats.chisquare(found[keep], expected[keep] * found[keep].sum() / expected[keep].sum()).pvalue


def test_the_density_integrates_to_one(case):
    task, mass = case
    # the rule is exact for smooth densities; the board's edges at +-2 and +-4 cut through its cells
    assert mass.sum() == pytest.approx(1, abs=0.02 if isinstance(task, Checkerboard) else 1e-5)


def test_draws_fall_into_cells_as_the_density_says(case):
    task, mass = case
    if isinstance(task, Checkerboard):
        pytest.skip("its cells have a test of their own")
    x = task.prior(200_000, np.random.default_rng(0))
    assert p_value(counts(x), mass, len(x)) > 1e-3
    assert p_value(counts(1.02 * x), mass, len(x)) < 1e-9  # the test can fail


def test_the_board_has_eight_even_squares_and_nothing_beside():
    task = Checkerboard()
    x = task.prior(80_000, np.random.default_rng(0))
    edge = np.linspace(-4, 4, 5)
    found = np.histogram2d(x[:, 0], x[:, 1], bins=[edge, edge])[0]
    black = np.add.outer(np.arange(4), np.arange(4)) % 2 == 0
    assert found[~black].sum() == 0 and found.sum() == len(x)
    assert stats.chisquare(found[black]).pvalue > 1e-3
    assert stats.kstest(x.ravel() % 2 / 2, "uniform").pvalue > 1e-3
    assert -task.log_density(x).mean() == pytest.approx(3.46574, abs=1e-5)  # ln 32 for every draw
    assert np.all(task.log_density(np.array([[-1.0, 1.0], [5.0, 5.0], [4.0, 3.0]])) == -np.inf)
    assert "entropy: ln 32 = 3.46574 nats" in task.describe()


def test_far_out_the_log_density_is_finite_and_falls(case):
    task, _ = case
    if isinstance(task, Checkerboard):
        return
    far = task.log_density(np.array([[8.0, 0.0], [16.0, 0.0], [40.0, 30.0]]))
    assert np.isfinite(far).all() and far[0] > far[1] > far[2]


@pytest.mark.parametrize("task", [Moons, Swissroll, TwoSpirals], ids=lambda task: task.__name__)
def test_twice_the_nodes_give_the_same_density(task, monkeypatch):
    x = task().prior(500, np.random.default_rng(1)) + np.random.default_rng(2).normal(0, 0.3, (500, 2))
    found = task().log_density(x)
    once = curves.nodes
    module = __import__(task.__module__, fromlist=["nodes"])
    monkeypatch.setattr(module, "nodes", lambda low, high, n: once(low, high, 2 * n))
    np.testing.assert_allclose(task().log_density(x), found, rtol=0, atol=1e-9)
    monkeypatch.setattr(module, "nodes", lambda low, high, n: once(low, high, n // 8))
    assert np.abs(task().log_density(x) - found).max() > 1e-3  # too few are seen to be


@pytest.mark.parametrize("task", [Circles, Rings], ids=lambda task: task.__name__)
def test_the_bessel_form_is_the_integral_over_the_angle(task):
    module = __import__(task.__module__, fromlist=["RADII", "SD"])
    x = task().prior(50, np.random.default_rng(1))
    angle = np.linspace(0, 2 * np.pi, 4_000, endpoint=False)  # periodic: the plain mean is exact
    on = np.concatenate([r * np.column_stack([np.cos(angle), np.sin(angle)]) for r in module.RADII])
    brute = np.log(np.exp(curves.log_normal(x[:, None], on, module.SD)).mean(1))
    np.testing.assert_allclose(task().log_density(x), brute, rtol=1e-10)


def test_the_pinwheels_solutions_are_those_of_its_own_map():
    """By brute force: x pushed forward from a fine grid of f, the mass near each x counted."""
    task, rng = Pinwheel(), np.random.default_rng(0)
    f = np.array([1.0, 0.0]) + np.array([0.3, 0.1]) * rng.standard_normal((400, 2))
    theta = 0.25 * np.exp(f[:, 0]) + 2 * np.pi / 5 * rng.integers(5, size=400)
    turn = np.array(
        [[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]]
    )  # the published code's, row by matrix
    x = 2 * np.einsum("ni,ijn->nj", f, turn)
    # With one solution in each wing the density is that of f over the determinant, here by finite differences.
    step, columns = 1e-6, []
    for j in range(2):
        moved = []
        for sign in (1, -1):
            g = f + sign * step * np.eye(2)[j]
            t = 0.25 * np.exp(g[:, 0]) + theta - 0.25 * np.exp(f[:, 0])
            moved.append(
                2
                * np.column_stack(
                    [g[:, 0] * np.cos(t) + g[:, 1] * np.sin(t), -g[:, 0] * np.sin(t) + g[:, 1] * np.cos(t)]
                )
            )
        columns.append((moved[0] - moved[1]) / (2 * step))
    log_det = np.log(np.abs(np.linalg.det(np.stack(columns, -1))))
    own = stats.norm.logpdf(f[:, 0], 1, 0.3) + stats.norm.logpdf(f[:, 1], 0, 0.1) - np.log(5) - log_det
    found = task.log_density(x)
    assert np.all(found > own - 1e-6)  # its own wing, and what the others add
    assert np.median(found - own) < 1e-3
    # near the hub all five wings meet, and the density is even under a fifth of a turn
    c, s = np.cos(2 * np.pi / 5), np.sin(2 * np.pi / 5)
    np.testing.assert_allclose(task.log_density(x @ np.array([[c, -s], [s, c]])), found, rtol=1e-8, atol=1e-8)


def test_a_row_depends_on_no_other(case):
    task, _ = case
    x = task.prior(4_100, np.random.default_rng(3))
    whole = task.log_density(x)
    np.testing.assert_allclose(task.log_density(x[2_000:2_003]), whole[2_000:2_003], rtol=1e-12)


def test_the_draws_look_like_the_published_ones():
    """Two of scikit-learn's own generators, scaled as published: nearest neighbours as among draws of one kind."""
    from sklearn.datasets import make_moons, make_swiss_roll

    theirs = {
        Moons: 2 * make_moons(2_000, noise=0.1, random_state=0)[0] + np.array([-1, -0.2]),
        Swissroll: make_swiss_roll(2_000, noise=1.0, random_state=0)[0][:, [0, 2]] / 5,
    }
    for task, reference in theirs.items():
        ours = [task().prior(2_000, np.random.default_rng(seed)) for seed in (0, 1)]
        near = cdist(ours[0], reference).min(1).mean() / cdist(ours[0], ours[1]).min(1).mean()
        assert near == pytest.approx(1, abs=0.08)
