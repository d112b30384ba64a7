"""The arm and the ball: exact posteriors against rejection, solvers against their equations, the comparison by MMD."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import lambertw

from inncli.errors import ConfigError
from inncli.evaluation.reference import compare_with_exact
from inncli.inference.trained_model import TrainedModel
from inncli.metrics.mmd2 import mmd2_to_reference
from inncli.models.base import Model
from inncli.models.flow import ConditionalFlow
from inncli.nn.features import Edges
from inncli.tasks.benchmarks.inverse_ballistics import GRAVITY, TAU, InverseBallistics, _root, _shape
from inncli.tasks.benchmarks.inverse_kinematics import InverseKinematics
from inncli.tasks.sampling.grid_rejection import sample_cells
from inncli.transforms.blocks import SplineBlock
from inncli.variables import Variables

ARM, BALL = InverseKinematics(), InverseBallistics()


def rng(seed=0):
    return np.random.default_rng(seed)


def moments(x):
    """First and second moments, in which two samples are compared."""
    i, j = np.triu_indices(x.shape[1])
    return np.column_stack([x, x[:, i] * x[:, j]])


def largest_z(x, other):
    """The largest difference of a moment, in standard errors."""
    a, b = moments(x), moments(other)
    error = np.sqrt(a.var(0) / len(a) + b.var(0) / len(b))
    return np.max(np.abs(a.mean(0) - b.mean(0)) / np.where(error > 0, error, 1.0))


# --- the arm ------------------------------------------------------------------------------------------------


def rejected_arms(y, width, n=1_500_000):
    """Arms of the prior whose y1 is within `width` of y's, accepted by the x1 that y2 asks for."""
    x = ARM.prior(n, rng(1))
    x = x[np.abs(ARM.observe(x)[:, 0] - y[0]) < width]
    x[:, 0] += y[1] - ARM.observe(x)[:, 1]
    return x[rng(2).random(len(x)) < np.exp(-0.5 * (x[:, 0] / 0.25) ** 2)]


# bent, the middle of the prior, nearly and almost quite stretched out; a y1 on the logarithm's side of r = 1
@pytest.mark.parametrize(
    "y, width", [((0.6, 1.6), 0.01), ((1.5, 0.8), 0.006), ((1.95, 0.1), 0.001), ((1.99, 0.3), 0.0005)]
)
def test_arms_agree_with_rejection(y, width):
    accepted = rejected_arms(np.array(y), width)
    assert len(accepted) > 1_000
    assert largest_z(accepted, ARM.reference_posterior(np.array(y), 20_000, rng())) < 4.5
    other = ARM.reference_posterior(np.array(y) + np.array([0, 0.1]), 20_000, rng())
    assert largest_z(accepted, other) > 4.5


def test_arms_reach_y_wherever_it_lies():
    ys = np.concatenate(
        [
            ARM.test_pairs(0, 50).y,
            [[2, 0.1], [2 - 1e-9, 0], [1, 0], [1 + 1e-12, 3], [0, 0], [-1.9, 1], [-2, 0], [0.3, 7]],
        ]
    )
    for k, y in enumerate(ys):
        x = ARM.reference_posterior(y, 200, rng(k))
        assert x.shape == (200, 4) and np.isfinite(x).all()
        assert ((ARM.observe(x) - y) ** 2).sum(1).max() ** 0.5 <= 1e-12
    with pytest.raises(ConfigError, match="from -2 to 2"):
        ARM.reference_posterior(np.array([2.01, 0.0]), 10, rng())


def test_arms_of_all_ys_together_are_the_prior():
    x = np.concatenate([ARM.reference_posterior(y, 5, rng(k)) for k, y in enumerate(ARM.test_pairs(1, 150).y)])
    # five draws share a y: the standard error is that of fewer rows, and the prior's sds are known
    assert x.std(0) == pytest.approx([0.25, 0.5, 0.5, 0.5], rel=0.15)


def test_a_stretched_arm_that_may_turn_does_turn():
    # Folded back on itself y1 = -1.6: an angle of half a turn is reached from either side.
    x = ARM.reference_posterior(np.array([-1.6, 0.0]), 2_000, rng())
    assert 0.4 < (x[:, 1:].sum(1) > 0).mean() < 0.6


def test_arm_prior_and_paths():
    x = ARM.prior(50, rng())
    sd = torch.tensor([0.25, 0.5, 0.5, 0.5], dtype=torch.float64)
    exact = torch.distributions.Normal(0, sd).log_prob(torch.as_tensor(x)).sum(1)
    np.testing.assert_allclose(ARM.log_prior(x), exact)
    paths = ARM.paths(x)
    assert paths.shape == (50, 4, 2)
    np.testing.assert_allclose(paths[:, 0], np.column_stack([np.zeros(50), x[:, 0]]))
    np.testing.assert_allclose(paths[:, -1], ARM.observe(x))
    np.testing.assert_allclose(np.linalg.norm(np.diff(paths, axis=1), axis=2), np.tile([0.5, 0.5, 1.0], (50, 1)))


def test_cells_draw_their_density():
    # p(s, t) = 4 s t on the unit square: E s = 2/3, E s t = 4/9
    def log_density(s, t):
        with np.errstate(divide="ignore"):
            return np.log(s * t)

    s, t = sample_cells(log_density, (np.linspace(0, 1, 9), np.linspace(0, 1, 6)), 40_000, rng())
    assert s.mean() == pytest.approx(2 / 3, abs=0.005) and t.mean() == pytest.approx(2 / 3, abs=0.005)
    assert (s * t).mean() == pytest.approx(4 / 9, abs=0.006)
    assert (s < 1 / 8).mean() == pytest.approx(1 / 64, abs=0.003)  # within a cell too


# --- the ball -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("v0", ["integer", "dequantised"])
@pytest.mark.parametrize("y", [1.0, 8.0, 15.0])
def test_throws_agree_with_rejection(v0, y):
    task = InverseBallistics(v0=v0)
    x = task.prior(400_000, rng(1))
    x[:, 0] += y - task.observe(x)[:, 0]
    accepted = x[rng(2).random(len(x)) < np.exp(-0.5 * (x[:, 0] / 0.5) ** 2)]
    assert len(accepted) > 1_500
    assert largest_z(accepted, task.reference_posterior(np.array([y]), 40_000, rng())) < 4.5
    other = task.reference_posterior(np.array([y + 0.5]), 40_000, rng())
    assert largest_z(accepted, other) > 4.5


def test_throws_reach_y_also_far_out():
    for k, y in enumerate([*BALL.test_pairs(0, 50).y[:, 0], -1.5, 0.0, 30.0]):
        x = BALL.reference_posterior(np.array([y]), 200, rng(k))
        assert np.abs(BALL.observe(x)[:, 0] - y).max() <= 1e-12
        assert (x[:, 1] >= 0).all() and (x[:, 3] == x[:, 3].round()).all()
        assert (np.rad2deg(x[:, 2]) >= 9 - 1e-9).all() and (np.rad2deg(x[:, 2]) <= 81 + 1e-9).all()
    with pytest.raises(ConfigError, match="further than any throw"):
        BALL.reference_posterior(np.array([1e3]), 10, rng())


def test_the_atom_of_throws_from_the_ground_is_kept():
    x = BALL.prior(200_000, rng(1))
    x[:, 0] += 8.0 - BALL.observe(x)[:, 0]
    weight = np.exp(-0.5 * (x[:, 0] / 0.5) ** 2)
    share = weight[x[:, 1] == 0].sum() / weight.sum()
    drawn = (BALL.reference_posterior(np.array([8.0]), 100_000, rng())[:, 1] == 0).mean()
    assert drawn == pytest.approx(share, abs=6e-4) and drawn > 5e-4


def test_the_crossing_is_lamberts_and_behind_the_apex():
    x = BALL.prior(20_000, rng())
    height, rise = _shape(*x.T[1:])
    s = _root(height, rise)
    assert np.abs(s - height + rise * np.expm1(-s)).max() < 1e-14
    np.testing.assert_allclose(s, height + rise + lambertw(-rise * np.exp(-height - rise)).real, rtol=1e-7)
    assert (rise * np.exp(-s) <= 1 + 1e-9).all()  # falling


@pytest.mark.parametrize(
    "x2, angle, v0, s",
    [
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 0.5, 0.0, 0.0),
        (-1.0, 0.5, 0.1, np.nan),
        (0.0, 0.5, 1e-6, None),
        (1e-12, 0.3, 0.0, None),
    ],
)
def test_the_crossing_at_its_ends(x2, angle, v0, s):
    height, rise = _shape(*(np.array([v]) for v in (x2, angle, v0)))
    found = _root(height, rise)[0]
    if s is None:  # near the double zero: F(s) ~ s^2 / 2 - (B - 1) s - H
        lift = rise[0] - 1
        s = lift + np.sqrt(lift**2 + 2 * height[0])
    assert found == pytest.approx(s, rel=1e-3, nan_ok=True)


def test_a_row_of_the_crossing_does_not_depend_on_others():
    x = np.concatenate([BALL.prior(200, rng()), [[0.0, 0.0, 0.2, 1e-8]]])
    alone = np.concatenate([BALL.observe(row[None]) for row in x])
    np.testing.assert_array_equal(BALL.observe(x), alone)


def test_trajectories_end_on_the_ground_at_y_and_obey_their_equation():
    x = BALL.prior(20, rng())
    paths, times = BALL.paths(x), BALL.flight_time(x)
    assert paths.shape == (20, 100, 2)
    np.testing.assert_allclose(paths[:, 0], x[:, :2], atol=1e-12)
    np.testing.assert_allclose(paths[:, -1, 0], BALL.observe(x)[:, 0])
    np.testing.assert_allclose(paths[:, -1, 1], 0, atol=1e-12)
    assert (paths[:, :, 1] > -1e-12).all()
    # z'' = -g - z'/tau by finite differences
    dt = (times / 99)[:, None]
    speed = (paths[:, 2:, 1] - paths[:, :-2, 1]) / (2 * dt)
    second = (paths[:, 2:, 1] - 2 * paths[:, 1:-1, 1] + paths[:, :-2, 1]) / dt**2
    np.testing.assert_allclose(second, -GRAVITY - speed / TAU, rtol=2e-3, atol=0.02)


def test_an_angle_range_is_held():
    angle = np.rad2deg(InverseBallistics(angle=[30, 40]).prior(500, rng())[:, 2])
    assert 30 <= angle.min() < angle.max() <= 40
    for wrong in ([40, 30], [0, 91], [1, 2, 3]):
        with pytest.raises(ConfigError, match="task.angle"):
            InverseBallistics(angle=wrong)


# --- the comparison, bounds of y, a model that ignores y ----------------------------------------------------


def test_mmd2_is_zero_where_draws_agree_and_the_double_sum_everywhere():
    x, other = rng().standard_normal((2, 400, 3)) * 0.3
    assert abs(mmd2_to_reference(x, other)) < 0.01
    moved = other + 0.5

    def k(a, b):
        d2 = ((a[:, None] - b) ** 2).sum(-1)
        return sum(h**2 / (h**2 + d2) for h in (0.05, 0.2, 0.9))

    n = len(x)
    brute = sum((k(a, a).sum() - 3 * n) / (n * (n - 1)) for a in (x, moved)) - 2 * k(x, moved).mean()
    assert mmd2_to_reference(x, moved) == pytest.approx(brute, abs=1e-10) and brute > 0.1


class Exact(Model):
    """The arm's exact posterior, x1 moved by `shift`."""

    def __init__(self, shift=0.0):
        super().__init__(ARM.x, ARM.y)
        self.shift = shift

    def sample(self, y, n, generator):
        own = np.random.default_rng(generator.initial_seed())
        draws = np.array([ARM.reference_posterior(row, n, own) for row in y.numpy()])
        return torch.as_tensor(draws + self.shift * np.eye(4)[0])


def test_the_comparison_finds_what_is_wrong_and_what_refinement_mends():
    ys = ARM.test_pairs(0, 12).y

    def compared(model, y=ys, **words):
        trained = TrainedModel(model, {"config": {"dtype": "float64"}}, "exact", torch.device("cpu"))
        return compare_with_exact(trained, ARM, y, 400, 0, **words)

    right = compared(Exact())
    assert abs(right["mmd2"].mean()) < 5e-3 and right["err_resim"].max() < 1e-20
    wrong = compared(Exact(0.3), refined=lambda x, y: x - 0.3 * np.eye(4)[0])
    assert wrong["mmd2"].mean() > 0.1 and wrong["err_resim"] == pytest.approx(np.full(12, 0.09))
    assert abs(wrong["refined_mmd2"].mean()) < 5e-3 and wrong["refined_err_resim"].max() < 1e-20
    np.testing.assert_array_equal(compared(Exact(0.3), ys[:5])["mmd2"], wrong["mmd2"][:5])


def test_edges_are_the_log_distances_to_the_bounds():
    y = Variables.numbered("y", 3, bounds=((-2.0, 2.0), (None, None), (None, 1.0)))
    edges = Edges(y)
    rows = torch.tensor([[1.0, 5.0, 0.0], [-1.0, 5.0, 0.5], [1.9, 0.0, 0.9]], dtype=torch.float64)
    logs = torch.stack([(rows[:, 0] + 2).log(), (2 - rows[:, 0]).log(), (1 - rows[:, 2]).log()], 1)
    torch.testing.assert_close(edges(rows), logs)
    edges.initialise(rows)
    torch.testing.assert_close(edges(rows), (logs - logs.mean(0)) / logs.std(0, correction=0))
    assert edges(torch.tensor([[2.0, 0.0, 3.0]], dtype=torch.float64)).isfinite().all()


def test_a_flow_sees_bounds_of_y_and_one_that_ignores_y_sees_nothing():
    pairs = ARM.test_pairs(0, 300)
    x, y = torch.as_tensor(pairs.x), torch.as_tensor(pairs.y)
    sees = ConditionalFlow(ARM.x, ARM.y, block=lambda *args, **kw: SplineBlock(*args, [8], **kw), n_blocks=1)
    assert sees.embedding.net[0].in_features == 4  # two numbers, two distances
    blind = ConditionalFlow(
        ARM.x, ARM.y, block=lambda *args, **kw: SplineBlock(*args, [8], **kw), n_blocks=1, ignore_y=True
    )
    blind.initialise(x, y, torch.Generator())
    torch.testing.assert_close(blind.log_prob(x, y), blind.log_prob(x, y.flip(0)), rtol=0, atol=0)
    assert blind.sample(y[:3], 5, torch.Generator()).shape == (3, 5, 4)


@pytest.mark.parametrize("experiment", ["kruse_kinematics", "kruse_ballistics"])
def test_the_experiment_fits_every_model_and_the_command_line_wins(experiment):
    from inncli import config
    from inncli.config import registry

    for model in config.choices("model"):
        (job,) = config.plan([f"experiment={experiment}", f"model={model}", "trainer.batch_size=64"])
        assert job.config["names"]["model"] == model and job.config["trainer"]["batch_size"] == 64
        assert registry.check(job.config)["evaluation"] == {
            "_target_": "inncli.evaluation.settings.EvaluationSettings",
            "observations": 1000,
            "draws": 1000,
            "same_draws": True,
        }
