"""The built-in tasks against closed forms and rejection sampling; drawing and splitting of pairs."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from inncli.config.trust import Trust, gate
from inncli.data.pairs import BLOCK, Pairs, draw_blocks, load_pairs, row_groups, save_pairs, split
from inncli.errors import CheckpointError, ConfigError, DataError, ShapeError
from inncli.tasks.base import Task
from inncli.tasks.benchmarks.gaussian_linear import GaussianLinear
from inncli.tasks.benchmarks.inverse_ballistics import InverseBallistics
from inncli.tasks.benchmarks.inverse_kinematics import InverseKinematics
from inncli.tasks.benchmarks.sir import Sir
from inncli.tasks.benchmarks.slcp import Slcp
from inncli.tasks.benchmarks.two_moons import TwoMoons
from inncli.tasks.densities.checkerboard import Checkerboard
from inncli.tasks.densities.circles import Circles
from inncli.tasks.densities.eight_gaussians import ENTROPY, RADIUS, EightGaussians
from inncli.tasks.densities.moons import Moons
from inncli.tasks.densities.pinwheel import Pinwheel
from inncli.tasks.densities.rings import Rings
from inncli.tasks.densities.swissroll import Swissroll
from inncli.tasks.densities.two_spirals import TwoSpirals
from inncli.tasks.maxent.beta import MaxentBeta
from inncli.tasks.maxent.dirichlet import MaxentDirichlet
from inncli.tasks.maxent.exponential import MaxentExponential
from inncli.tasks.maxent.gamma import MaxentGamma
from inncli.tasks.maxent.gaussian import MaxentGaussian
from inncli.tasks.measured.breast_cancer import BreastCancer
from inncli.tasks.measured.digits import Digits
from inncli.tasks.measured.table import Table
from inncli.tasks.toy.gaussian_modes import GaussianModes
from inncli.tasks.toy.linear import Linear
from inncli.tasks.toy.monotone import Monotone
from inncli.tasks.toy.ring import Ring
from inncli.tasks.toy.sine import Sine
from inncli.tasks.user.simulator import Simulator
from inncli.variables import Variables

CONF = Path(__file__).parents[2] / "conf"
A = [[1.0, 0.5, -0.5, 0.0], [0.0, 1.0, 1.0, 2.0]]
BUILT_IN = {
    "ring": Ring,
    "linear": lambda **kw: Linear(A, [0.5, -1.0], 0.2, **kw),
    "eight_gaussians": EightGaussians,
    "monotone": Monotone,
    "sine": Sine,
    "two_moons": TwoMoons,
    "gaussian_linear": GaussianLinear,
    "slcp": Slcp,
    "sir": Sir,
    "inverse_kinematics": InverseKinematics,
    "inverse_ballistics": InverseBallistics,
    "checkerboard": Checkerboard,
    "circles": Circles,
    "moons": Moons,
    "pinwheel": Pinwheel,
    "rings": Rings,
    "swissroll": Swissroll,
    "two_spirals": TwoSpirals,
}


@pytest.fixture(params=BUILT_IN)
def build(request):
    return BUILT_IN[request.param]


def same(a: Pairs, b: Pairs) -> bool:
    return np.array_equal(a.x, b.x) and (a.y is b.y is None or np.array_equal(a.y, b.y))


# --- the contract, over every built-in task -----------------------------------------------------------------


def test_same_seed_same_pairs_and_streams_are_apart(build):
    one, two = build(n_train=1_500), build(n_train=1_500)
    assert same(one.training_pairs(3), two.training_pairs(3))
    assert len(one.training_pairs(3)) == one.budget == 1_500
    fresh = build(fresh=True)
    assert same(fresh.fresh_pairs(3, 1), build(fresh=True).fresh_pairs(3, 1))
    drawn = [
        one.training_pairs(3), one.training_pairs(4), one.test_pairs(3, 900), one.test_pairs(4, 900),
        fresh.fresh_pairs(3, 0), fresh.fresh_pairs(3, 1), fresh.fresh_pairs(4, 0),
    ]  # fmt: skip
    rows = np.concatenate([pairs.x for pairs in drawn])
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_blocks_differ_from_each_other(build):
    x = build(n_train=2 * BLOCK).training_pairs(0).x
    assert not np.array_equal(x[:BLOCK], x[BLOCK:])


def test_shapes_dtypes_and_names(build):
    task = build()
    pairs = task.test_pairs(0)
    assert pairs.x.shape == (1_000, task.x.dim)
    assert pairs.x.dtype == np.float64
    if task.y is None:
        assert pairs.y is None
        assert not task.can_simulate
    else:
        assert pairs.y.shape == (1_000, task.y.dim)
        assert pairs.y.dtype == np.float64
        residual = pairs.y - task.observe(pairs.x)
        if task.noise_sd is not None:
            assert residual.std(axis=0) == pytest.approx(task.noise_sd, rel=0.1)
    assert task.groups(pairs) is None
    assert task.fingerprint() is None
    assert task.budget == task.default_n_train
    assert all("\n" not in line for line in task.describe())


@pytest.mark.parametrize(
    "name",
    [
        "ring",
        "linear",
        "eight_gaussians",
        "gaussian_modes",
        "sine",
        "monotone",
        "table",
        "simulator",
        "breast_cancer",
        "two_moons",
        "gaussian_linear",
        "slcp",
        "sir",
        "inverse_kinematics",
        "inverse_ballistics",
        "checkerboard",
        "circles",
        "moons",
        "pinwheel",
        "rings",
        "swissroll",
        "two_spirals",
        "digits",
    ],
)
def test_the_yaml_says_every_argument_and_its_default(name):
    node = yaml.safe_load((CONF / "task" / f"{name}.yaml").read_text())
    module, _, cls = node.pop("_target_").rpartition(".")
    parameters = dict(inspect.signature(getattr(importlib.import_module(module), cls).__init__).parameters)
    del parameters["self"]
    assert list(node) == list(parameters)
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty
        assert node[key] == ("???" if required else json.loads(json.dumps(parameter.default))), key  # tuples as lists


def test_the_linear_yaml_builds_a_surjection():
    node = yaml.safe_load((CONF / "task" / "linear.yaml").read_text())
    task = Linear(node["A"], node["b"], node["noise"])
    assert (task.x.dim, task.y.dim, task.kind) == (4, 2, "surjective")


def test_fresh_and_n_train_exclude_each_other(build):
    with pytest.raises(ConfigError, match="pass only one"):
        build(n_train=100, fresh=True)
    with pytest.raises(ConfigError, match="at least 2"):
        build(n_train=1)


def test_what_a_task_lacks_it_refuses():
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="eight_gaussians has no reference posterior"):
        EightGaussians().reference_posterior(np.zeros(1), 3, rng)
    with pytest.raises(ConfigError, match="ring has no closed-form density"):
        Ring().log_density(np.zeros((1, 2)))
    with pytest.raises(ConfigError, match="can't compute y"):
        EightGaussians().observe(np.zeros((1, 2)))


@pytest.mark.parametrize("name", ["ring", "linear", "sine", "monotone", "inverse_kinematics", "inverse_ballistics"])
def test_observe_is_differentiable(name):
    import torch

    task = BUILT_IN[name]()
    assert task.differentiable
    x = task.prior(5, np.random.default_rng(0))
    tensor = torch.tensor(x, requires_grad=True)
    y = task.observe(tensor)
    np.testing.assert_allclose(y.detach().numpy(), task.observe(x), rtol=1e-12)
    y.sum().backward()
    step = 1e-6 * np.eye(task.x.dim)
    for j in range(task.x.dim):
        slope = (task.observe(x + step[j]) - task.observe(x - step[j])).sum(1) / 2e-6
        np.testing.assert_allclose(tensor.grad[:, j].numpy(), slope, rtol=1e-5, atol=1e-7)


class Failing(Task):
    """y is NaN where x is negative, or everywhere; x may be constant."""

    x, y = Variables(("a",)), Variables(("b",))

    def __init__(self, below=0.0, constant=False):
        super().__init__(n_train=2_000)
        self.below, self.constant = below, constant

    def prior(self, n, rng):
        return rng.standard_normal((n, 1))

    def simulate(self, x, rng):
        return np.where(x < self.below, np.nan, 3.0 if self.constant else x)


def test_failed_simulations_are_counted_and_dropped():
    task = Failing()
    pairs = task.training_pairs(0)
    assert len(pairs) + task.failed == 2_000
    assert 900 < task.failed < 1_100
    assert np.isfinite(pairs.y).all()
    assert (pairs.x >= 0).all()
    with pytest.raises(DataError, match=r"all 2,000 simulations failed"):
        Failing(below=np.inf).training_pairs(0)


def test_a_constant_column_is_refused_before_the_budget_is_spent():
    task = Failing(below=-np.inf, constant=True)
    drawn = []
    draw = task.draw_pairs
    task.draw_pairs = lambda n, rng: drawn.append(n) or draw(n, rng)
    with pytest.raises(DataError, match=r"^y column 'b' is 3 in all 1,000 rows, so there is nothing to learn from it"):
        task.training_pairs(0)
    assert drawn == [1_000]
    # Of x the prior tells; the ys that are constant beside it are named at once.
    task.prior = lambda n, rng: np.full((n, 1), 2.0)
    drawn.clear()
    with pytest.raises(DataError, match=r"^x column 'a' is 2 and y column 'b' is 3 in all .* them; leave them out"):
        task.training_pairs(0)
    assert drawn == [20]


# --- abilities ----------------------------------------------------------------------------------------------

SIMULATOR = """
def prior(n, rng):
    return rng.random((n, 2))

def simulate(x, rng):
    return x.sum(1) + rng.normal(size=len(x))
"""
LOG_LIKELIHOOD = """
def log_likelihood(y, x):
    return -((y[:, 0] - x.sum(1)) ** 2) / 2
"""


def _table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i % 7}\n" for i in range(60)))
    return Table(str(path), y="b")


def _simulator(tmp_path, text=SIMULATOR):
    path = tmp_path / "own.py"
    path.write_text(text)
    with gate(Trust(files=frozenset({str(path)}))):
        return Simulator(str(path))


# name -> what builds it in a folder. A new task is one line, here or in BUILT_IN.
CATALOGUE = {
    **{name: lambda _, build=build: build() for name, build in BUILT_IN.items()},
    "gaussian_modes": lambda _: GaussianModes(),
    "breast_cancer": lambda _: BreastCancer(),
    "digits": lambda _: Digits(),
    "maxent_beta": lambda _: MaxentBeta(),
    "maxent_dirichlet": lambda _: MaxentDirichlet(),
    "maxent_exponential": lambda _: MaxentExponential(),
    "maxent_gamma": lambda _: MaxentGamma(),
    "maxent_gaussian": lambda _: MaxentGaussian(),
    "table": _table,
    "simulator": _simulator,
    "simulator with a likelihood": lambda folder: _simulator(folder, SIMULATOR + LOG_LIKELIHOOD),
}
# flag -> the call that it promises, of a task and pairs of it, and the shape of the answer (None: any length)
ABILITIES = {
    "can_simulate": (lambda task, x, y, rng: task.observe(x), lambda x, y: (len(x), y.shape[1])),
    "has_reference": (lambda task, x, y, rng: task.reference_posterior(y[0], 7, rng), lambda x, y: (7, x.shape[1])),
    "has_log_prior": (lambda task, x, y, rng: task.log_prior(x), lambda x, y: (len(x),)),
    "has_log_likelihood": (lambda task, x, y, rng: task.log_likelihood(y, x), lambda x, y: (len(x),)),
    "has_log_density": (lambda task, x, y, rng: task.log_density(x), lambda x, y: (len(x),)),
    "has_paths": (lambda task, x, y, rng: task.paths(x), lambda x, y: (len(x), None, 2)),
}


def test_every_shipped_task_is_in_the_catalogue():
    shipped = {path.stem for path in (CONF / "task").glob("*.yaml")}
    assert shipped == set(CATALOGUE) - {"simulator with a likelihood"}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_task_does_what_its_flags_say_and_refuses_the_rest(name, tmp_path):
    task, rng = CATALOGUE[name](tmp_path), np.random.default_rng(0)
    pairs = task.test_pairs(0, 5)
    x, y = pairs.x, np.zeros((len(pairs), 1)) if pairs.y is None else pairs.y
    for flag, (call, shape) in ABILITIES.items():
        able = getattr(task, flag)
        assert isinstance(able, bool), flag
        if not able:
            with pytest.raises((ConfigError, DataError)) as refusal:
                call(task, x, y, rng)
            assert "\n" not in str(refusal.value), flag
            continue
        answer, expected = call(task, x, y, rng), shape(x, y)
        assert answer.ndim == len(expected), flag
        assert all(want in (None, got) for got, want in zip(answer.shape, expected, strict=True)), (flag, answer.shape)


def test_overridden_is_able_and_a_flag_alone_promises_nothing():
    class Quiet(Failing):
        """Takes nothing over but a prior and a simulator."""

    class Boastful(Failing):
        has_reference = has_log_prior = True  # without the methods

    class Able(Failing):
        def log_prior(self, x):
            return np.zeros(len(x))

    assert not any(getattr(Quiet(), flag) for flag in ABILITIES)
    assert not any(getattr(Boastful(), flag) for flag in ABILITIES)
    assert [flag for flag in ABILITIES if getattr(Able(), flag)] == ["has_log_prior"]
    assert Able.has_log_prior and not Quiet.has_log_prior
    boastful = Quiet()
    boastful.has_reference = True
    assert not boastful.has_reference
    with pytest.raises(ConfigError, match="task quiet has no reference posterior"):
        boastful.reference_posterior(np.zeros(1), 3, np.random.default_rng(0))


def test_flags_of_release_0_4_still_say_what_they_said():
    class Old(Failing):
        has_reference = can_simulate = True
        has_log_prior = False

        def __init__(self, exact=True):
            super().__init__()
            self.has_log_prior = exact  # by a setting

        def observe(self, x):
            return x

        def reference_posterior(self, y, n, rng):
            return np.zeros((n, 1))

        def log_prior(self, x):
            return np.zeros(len(x))

    class Changed(Old):
        has_reference = False  # with another prior the inherited one is wrong

    class Again(Changed):
        has_reference = True

    assert [flag for flag in ABILITIES if getattr(Old(), flag)] == ["can_simulate", "has_reference", "has_log_prior"]
    assert not Old(exact=False).has_log_prior
    assert not Changed().has_reference and Changed().can_simulate and not Changed.has_reference
    assert Again().has_reference


def test_a_task_of_ones_own_needs_a_prior_and_a_simulator(inn):
    plugin = str(Path(__file__).parents[1] / "plugin")
    small = ["model.n_blocks=1", "task.n_train=600", "trainer.batch_size=64", "trainer.max_steps=20", "device=cpu"]
    inn("train", "--config-dir", plugin, "task=crescent", "task.bend=0.25", *small)
    inn("invert", "--config-dir", plugin, "--y", "0.3", "-n", "50", "--out", "draws.npz")
    assert np.load("draws.npz")["x"].shape == (1, 50, 2)
    found = json.loads(inn("evaluate", "--config-dir", plugin, "--json"))
    # No exact posterior and no s(x) without noise: what they would tell is left out, the rest is there.
    assert set(found["verdicts"]) == {"invertible", "calibrated", "beats_marginal"}


# --- the ring -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [0.02, 0.3, 2.0])
@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_ring_reference_agrees_with_rejection_sampling(y, noise):
    task, rng = Ring(noise=noise), np.random.default_rng(1)
    x = task.prior(600_000, rng)
    u = (x**2).sum(1)
    accepted = u[rng.random(len(u)) < np.exp(-((y - u) ** 2) / (2 * noise**2))]
    reference = (task.reference_posterior(np.array([y]), 20_000, rng) ** 2).sum(1)
    assert len(accepted) > 8_000
    assert stats.ks_2samp(accepted, reference).pvalue > 1e-3


def test_ring_reference_has_a_uniform_angle_and_any_y():
    task = Ring()
    x = task.reference_posterior(np.array([0.3]), 20_000, np.random.default_rng(0))
    angle = np.arctan2(x[:, 1], x[:, 0])
    assert all(abs(np.exp(1j * k * angle).mean()) < 0.03 for k in range(1, 9))
    far = (task.reference_posterior(np.array([-10.0]), 20_000, np.random.default_rng(0)) ** 2).sum(1)
    # far in the tail the cut normal is exponential with rate -(y - sd^2/2)/sd^2
    assert far.mean() == pytest.approx(0.05**2 / (10 + 0.05**2 / 2), rel=0.03)


def test_ring_without_noise_is_a_circle():
    task = Ring(noise=0.0)
    assert not task.noisy and Ring().noisy
    x = task.reference_posterior(np.array([0.3]), 20_000, np.random.default_rng(0))
    np.testing.assert_allclose((x**2).sum(1), 0.3, atol=1e-15)
    angle = np.arctan2(x[:, 1], x[:, 0])
    assert all(abs(np.exp(1j * k * angle).mean()) < 0.03 for k in range(1, 9))
    with pytest.raises(ConfigError, match="no x has without noise"):
        task.reference_posterior(np.array([-0.1]), 5, np.random.default_rng(0))


# --- the sine -----------------------------------------------------------------------------------------------

LOOKS = {
    "x1": lambda x: x[:, 0], "x2": lambda x: x[:, 1], "x1 x2": lambda x: x[:, 0] * x[:, 1],
    "wave": lambda x: np.sin(3 * np.pi * x[:, 0]), "level": lambda x: Sine().observe(x)[:, 0],
}  # fmt: skip


@pytest.mark.parametrize("y", [1.5, 0.5, -0.3, -1.2])
def test_sine_reference_agrees_with_rejection_in_a_thin_shell(y):
    task, rng = Sine(), np.random.default_rng(2)
    x = task.prior(2_500_000, rng)
    accepted = x[np.abs(task.observe(x)[:, 0] - y) < 0.004]
    reference = task.reference_posterior(np.array([y]), 20_000, rng)
    np.testing.assert_allclose(task.observe(reference)[:, 0], y, atol=1e-13)
    assert np.abs(reference).max() <= 1 and len(accepted) > 3_000
    for name in ("x1", "x2", "x1 x2", "wave"):
        assert stats.ks_2samp(LOOKS[name](accepted), LOOKS[name](reference)).pvalue > 1e-3, name
    count, island = task.islands(y, reference)
    shares = np.bincount(island, minlength=count) / len(island)
    expected = np.bincount(task.islands(y, accepted)[1], minlength=count) / len(accepted)
    assert np.abs(shares - expected).max() < 0.03


@pytest.mark.parametrize(("y", "noise"), [(1.9, 0.3), (0.0, 0.3), (-1.0, 0.1), (2.4, 0.2)])
def test_noisy_sine_reference_agrees_with_rejection_sampling(y, noise):
    task, rng = Sine(noise=noise), np.random.default_rng(3)
    x = task.prior(1_000_000, rng)
    accepted = x[rng.random(len(x)) < np.exp(-((task.observe(x)[:, 0] - y) ** 2) / (2 * noise**2))]
    reference = task.reference_posterior(np.array([y]), 20_000, rng)
    assert len(accepted) > 1_500
    for name, look in LOOKS.items():
        assert stats.ks_2samp(look(accepted), look(reference)).pvalue > 1e-3, name


def test_sine_reference_at_its_edges():
    rng = np.random.default_rng(0)
    top = Sine().reference_posterior(np.array([2.0]), 500, rng)
    np.testing.assert_allclose(np.sin(3 * np.pi * top[:, 0]), 1, atol=1e-12)
    saddles = Sine().reference_posterior(np.array([0.0]), 500, rng)
    np.testing.assert_allclose(Sine().observe(saddles)[:, 0], 0, atol=1e-12)
    far = Sine(noise=0.05).reference_posterior(np.array([100.0]), 2_000, rng)
    # far beyond the top the level is exponential below 2, with rate (y - 2)/sd^2
    assert (2 - Sine().observe(far)[:, 0]).mean() == pytest.approx(0.05**2 / 98, rel=0.1)
    with pytest.raises(ConfigError, match="expected a y from -2 to 2, got 2.1"):
        Sine().reference_posterior(np.array([2.1]), 5, rng)


@pytest.mark.parametrize(("y", "count"), [(1.5, 9), (1.99, 9), (-1.5, 12), (0.5, 12)])
def test_sine_islands_are_those_one_can_count(y, count):
    # y > 1: one round each of the 3 x 3 maxima; y < -1: 3 x 4 minima, of which six are cut in half by the edge;
    # 0 < y < 1: the nine, and three at the left edge, where x1 = -1 starts at s = 0.
    found, which = Sine().islands(y, Sine().reference_posterior(np.array([y]), 3_000, np.random.default_rng(0)))
    assert found == count and set(which) == set(range(count))


# --- the linear problem -------------------------------------------------------------------------------------


def test_linear_posterior_is_gaussian_conditioning():
    task = Linear(A, [0.5, -1.0], 0.8)
    a, y = np.array(A), np.array([1.5, 0.7])
    gain = a.T @ np.linalg.inv(a @ a.T + 0.64 * np.eye(2))
    mean, covariance = task.posterior(y)
    np.testing.assert_allclose(mean, gain @ (y - [0.5, -1.0]), atol=1e-12)
    np.testing.assert_allclose(covariance, np.eye(4) - gain @ a, atol=1e-12)
    draws = task.reference_posterior(y, 200_000, np.random.default_rng(0))
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.01)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.01)


def test_linear_posterior_agrees_with_its_own_simulations():
    # For a Gaussian the regression of x on y is the posterior mean, with its covariance in the residuals.
    task = Linear(A, [0.5, -1.0], 0.2, n_train=200_000)
    pairs = task.training_pairs(0)
    design = np.column_stack([np.ones(len(pairs)), pairs.y])
    slope, *_ = np.linalg.lstsq(design, pairs.x, rcond=None)
    y = np.array([2.0, -3.0])
    mean, covariance = task.posterior(y)
    np.testing.assert_allclose(np.array([1.0, *y]) @ slope, mean, atol=0.02)
    np.testing.assert_allclose(np.cov((pairs.x - design @ slope).T), covariance, atol=0.01)


@pytest.mark.parametrize(
    ("a", "kind", "nullity"),
    [
        ([[2.0, 1.0], [0.0, 3.0]], "bijective", 0),
        ([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], "injective", 0),
        (A, "surjective", 2),
        ([[1.0, 2.0], [2.0, 4.0]], "neither", 1),
    ],
)
def test_linear_kind_inverse_and_null_space(a, kind, nullity):
    task = Linear(a, noise=0.0)
    assert task.kind == kind
    assert any(kind in line for line in task.describe())
    np.testing.assert_allclose(task.pinv, np.linalg.pinv(np.array(a)), atol=1e-12)
    basis = task.null_space
    assert basis.shape == (len(a[0]), nullity)
    np.testing.assert_allclose(np.array(a) @ basis, 0, atol=1e-12)
    np.testing.assert_allclose(basis.T @ basis, np.eye(nullity), atol=1e-12)
    if kind == "bijective":
        np.testing.assert_allclose(task.pinv @ np.array(a), np.eye(2), atol=1e-12)


def test_linear_without_noise_reproduces_y_exactly():
    task = Linear(A, noise=0.0)
    y = np.array([0.3, -0.4])
    draws = task.reference_posterior(y, 1_000, np.random.default_rng(0))
    np.testing.assert_allclose(task.observe(draws), np.tile(y, (1_000, 1)), atol=1e-12)
    assert (draws @ task.null_space).std(0) == pytest.approx([1, 1], rel=0.1)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ([[1.0, 2.0], [3.0]], None, "rows of equal length"),
        ([], None, "rows of equal length"),
        ([[]], None, "rows of equal length"),
        ([[1.0, float("nan")]], None, "finite"),
        ([[0.0, 0.0]], None, "task.A is zero"),
        ([[1.0, 2.0]], [1.0, 2.0], "each of the 1 rows"),
    ],
)
def test_linear_refuses_a_wrong_matrix(a, b, words):
    with pytest.raises(ConfigError, match=words):
        Linear(a, b)


# --- eight gaussians ----------------------------------------------------------------------------------------


def test_eight_gaussians_density_integrates_to_one():
    axis = np.linspace(-6, 6, 601)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    p = np.exp(EightGaussians().log_density(grid))
    assert p.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-6)


def test_eight_gaussians_draws_match_the_density():
    task = EightGaussians()
    x = task.prior(200_000, np.random.default_rng(0))
    surprise = -task.log_density(x)
    assert surprise.mean() == pytest.approx(ENTROPY, abs=4 * surprise.std() / np.sqrt(len(x)) + 0.0007)
    assert pytest.approx(2.82885, abs=1e-5) == RADIUS
    nearest = ((x[:, None] - task.centers) ** 2).sum(-1).argmin(1)
    counts = np.bincount(nearest, minlength=8)
    assert stats.chisquare(counts).pvalue > 1e-3


# --- pairs: split, save, load -------------------------------------------------------------------------------


def test_split_is_a_partition_of_the_asked_size():
    pairs = Pairs(np.arange(103.0)[:, None], np.zeros((103, 1)))
    train, validation = split(pairs, 0.1, np.random.default_rng(0))
    assert len(validation) == 10
    assert sorted(np.concatenate([train.x, validation.x]).ravel()) == list(range(103))
    again = split(pairs, 0.1, np.random.default_rng(0))
    other = split(pairs, 0.1, np.random.default_rng(1))
    assert same(validation, again[1])
    assert not same(validation, other[1])


def test_split_keeps_groups_whole():
    x = np.repeat(np.arange(30.0), 1 + np.arange(30) % 4)[:, None]
    pairs = Pairs(x, x)
    for seed in range(20):
        train, validation = split(pairs, 0.2, np.random.default_rng(seed), row_groups(pairs))
        assert not set(train.x.ravel()) & set(validation.x.ravel())
        assert len(train) + len(validation) == len(x)
        assert abs(len(validation) - 0.2 * len(x)) <= 2


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("fraction", [0.001, 0.5, 0.999])
def test_split_never_leaves_a_side_empty(n, fraction):
    pairs = Pairs(np.arange(float(n))[:, None])
    assert all(len(side) for side in split(pairs, fraction, np.random.default_rng(0)))


def test_split_of_two_large_groups_and_of_one():
    groups = np.array([0] * 6 + [1] * 4)
    pairs = Pairs(groups[:, None].astype(float))
    train, validation = split(pairs, 0.1, np.random.default_rng(0), groups)
    assert (len(train), len(validation)) == (6, 4)
    with pytest.raises(DataError, match="at least 2 different rows"):
        split(pairs, 0.1, np.random.default_rng(0), np.zeros(10, int))


def test_row_groups_joins_equal_rows_only():
    ids = row_groups(Pairs([[1, 2], [1, 2], [1, 2], [1, 3]], [[0], [0], [1], [0]]))
    assert ids[0] == ids[1]
    assert len(set(ids.tolist())) == 3


def test_draw_blocks_is_the_same_for_any_map_and_draws_no_more_than_asked():
    sizes = []

    def draw(n, rng):
        sizes.append(n)
        return Pairs(rng.random((n, 1)))

    def backwards(function, *arguments):
        return [function(*args) for args in list(zip(*arguments, strict=True))[::-1]][::-1]

    forwards = draw_blocks(draw, 2_500, (0, 1))
    assert sizes == [1_000, 1_000, 500]
    assert same(forwards, draw_blocks(draw, 2_500, (0, 1), backwards))


def test_pairs_check_their_shapes():
    with pytest.raises(ShapeError, match="2-D"):
        Pairs(np.zeros(3))
    with pytest.raises(ShapeError, match="got 3 and 2"):
        Pairs(np.zeros((3, 1)), np.zeros((2, 1)))
    assert Pairs([[1], [2]]).x.dtype == np.float64


@pytest.mark.parametrize("y", [None, np.arange(4.0).reshape(2, 2)])
def test_pairs_file_round_trip_and_same_bytes(tmp_path, y):
    pairs = Pairs(np.array([[1.0], [np.pi]]), y)
    save_pairs(tmp_path / "data" / "pairs.npz", pairs)
    assert same(load_pairs(tmp_path / "data" / "pairs.npz"), pairs)
    save_pairs(tmp_path / "again.npz", pairs)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "data" / "pairs.npz").read_bytes()
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["pairs.npz"]


def test_a_damaged_pairs_file_is_refused(tmp_path):
    path = tmp_path / "pairs.npz"
    with pytest.raises(CheckpointError, match="missing"):
        load_pairs(path)
    save_pairs(path, Pairs(np.zeros((300, 2)), np.zeros((300, 1))))
    whole = path.read_bytes()
    with open(tmp_path / "array.npy", "wb") as f:
        np.save(f, np.zeros((3, 2)))
    bad = bytearray(whole)
    bad[1_000] ^= 255
    for data in (b"", b"junk", whole[: len(whole) // 2], bytes(bad), (tmp_path / "array.npy").read_bytes()):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="not a whole pairs file"):
            load_pairs(path)
