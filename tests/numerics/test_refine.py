"""Refinement against closed forms: the shortest way onto s(x) = y, or nowhere at all."""

from __future__ import annotations

import json
import textwrap

import numpy as np
import pytest

from inncli.cli.app import main
from inncli.errors import RequestError
from inncli.inference import posterior_files
from inncli.numerics import gauss_newton as refinement
from inncli.numerics.gauss_newton import refine
from inncli.tasks.sampling.array_api import exp, stack
from inncli.tasks.toy.linear import Linear
from inncli.tasks.toy.ring import Ring
from inncli.tasks.toy.sine import Sine

OPEN2 = np.array([[-np.inf] * 2, [np.inf] * 2])
BOX2 = np.array([[-1.0] * 2, [1.0] * 2])
SD = np.full(2, 3**-0.5)


def rng():
    return np.random.default_rng(0)


def on_sine(x, y, **settings):
    return refine(Sine().observe, x, np.array([y]), SD, np.ones(1), BOX2, **settings)


def nearest(x, curve):
    """Distance in sds from each x to the nearest of many points of the curve."""
    return np.sqrt((((x[:, None] - curve[None]) / SD) ** 2).sum(-1)).min(1)


# ---- closed forms ----------------------------------------------------------------------------------------
def test_on_a_linear_task_it_is_the_projection():
    a = rng().standard_normal((2, 4))
    sd = np.array([0.5, 1.0, 2.0, 4.0])
    x, y = rng().standard_normal((200, 4)) * sd, np.array([1.0, -2.0])
    done = refine(Linear(a.tolist(), noise=0.0).observe, x, y, sd, np.ones(2), np.array([[-np.inf] * 4, [np.inf] * 4]))
    scaled = a * sd  # shortest in sds of x, so the pseudo-inverse is that of A diag(sd)
    truth = x + ((y - x @ a.T) @ np.linalg.pinv(scaled).T) * sd
    assert done.converged.all()
    np.testing.assert_allclose(done.x, truth, atol=1e-9)
    np.testing.assert_allclose(done.moved, np.linalg.norm((truth - x) / sd, axis=1), atol=1e-9)
    np.testing.assert_allclose(done.before, np.linalg.norm(x @ a.T - y, axis=1), atol=1e-12)
    assert done.after.max() < 1e-11


def test_on_the_ring_it_is_the_radial_projection():
    x = rng().standard_normal((500, 2))
    done = refine(Ring(noise=0.0).observe, x, np.array([0.3]), np.ones(2), np.full(1, 2.0), OPEN2)
    assert done.converged.all() and done.after.max() < 1e-11
    radius = np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(done.x, x / radius * 0.3**0.5, atol=1e-9)


@pytest.mark.parametrize("y", [1.5, 0.5, 0.0, -1.5, 1.99, 2.0, -2.0])
def test_on_the_sine_draws_end_on_the_level_near_to_where_they_were(y):
    # |y| = 2: the level is points where the gradient is zero, so J J^T is singular at the solution.
    task = Sine()
    exact = task.reference_posterior(np.array([y]), 800, rng())
    x = np.clip(exact + 0.03 * rng().standard_normal(exact.shape), -1, 1)
    done = on_sine(x, y)
    assert done.converged.all() and np.abs(done.x).max() <= 1
    error = np.abs(task.observe(done.x)[:, 0] - y)
    assert np.quantile(error, 0.99) <= 1e-10 and np.median(error) <= 1e-11
    np.testing.assert_allclose(done.after, error, atol=1e-15)
    curve = task.reference_posterior(np.array([y]), 10_000, np.random.default_rng(5))
    if abs(y) > 0.1:  # at 0 the curve crosses itself, and few of its points are drawn
        shortest = done.moved < 1.5 * nearest(x, curve) + 0.03
        assert shortest.mean() > 0.98 and done.moved.max() < 0.4, "the shortest way, or nearly, but at a saddle"
        assert np.array_equal(task.islands(y, done.x)[1], task.islands(y, x)[1]) or abs(y) < 1, "no jumps"


# ---- what it leaves alone --------------------------------------------------------------------------------
@pytest.mark.parametrize("y", [2.0001, -7.0, 1e6])
def test_where_no_x_has_y_the_draws_stay_as_they_were(y):
    x = Sine().prior(300, rng())
    done = on_sine(x, y)
    assert not done.converged.any() and np.array_equal(done.x, x) and not done.moved.any()
    np.testing.assert_array_equal(done.before, done.after)
    assert done.report()["unconverged"] == done.report()["draws"] == 300


def test_a_flat_place_and_a_failed_simulation_leave_only_their_own_rows():
    def observe(x):
        root = x[:, 0] ** 0.5 if isinstance(x, np.ndarray) else x[:, 0].sqrt()
        return stack([root + x[:, 1] ** 2])

    x = np.array([[4.0, 1.0], [-1.0, 1.0], [9.0, 0.0]])  # the second is NaN
    with np.errstate(invalid="ignore"):
        done = refine(observe, x, np.array([3.0]), np.ones(2), np.ones(1), OPEN2)
    assert done.converged.tolist() == [True, False, True]
    assert np.array_equal(done.x[1:], x[1:]), "one can't be computed, one is on the level already"
    flat = refine(
        Ring(noise=0.0).observe, np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0.5]), np.ones(2), np.ones(1), OPEN2
    )
    assert flat.converged.tolist() == [False, True] and flat.x[0].tolist() == [0, 0]
    assert np.isfinite(flat.x).all()


def test_too_few_steps_leave_rows_unmoved_and_the_step_limit_holds():
    x = Sine().prior(300, rng())
    once = on_sine(x, 0.5, max_steps=1, step_limit=0.01)
    assert not once.converged.all()
    assert np.array_equal(once.x[~once.converged], x[~once.converged])
    started = []

    def watched(rows):
        if not isinstance(rows, np.ndarray) and len(rows) == len(x):
            started.append(rows.detach().numpy().copy())
        return Sine().observe(rows)

    refine(watched, x, np.array([1.9]), SD, np.ones(1), BOX2, step_limit=0.05)
    length = np.linalg.norm((started[2] - started[0]) / SD, axis=1)
    assert 0.04 < length.max() <= 0.05 + 1e-12


def test_a_step_that_overshoots_for_ever_is_damped():
    # Newton on tanh 10 x from .15 goes to -.15 at this step limit, and back.
    def observe(x):
        up, down = exp(10 * x), exp(-10 * x)
        return (up - down) / (up + down)

    done = refine(
        observe, np.array([[0.15], [0.5]]), np.zeros(1), np.ones(1), np.ones(1), np.array([[-np.inf], [np.inf]])
    )
    assert done.converged.all() and np.abs(done.x).max() < 1e-10


def test_rows_do_not_depend_on_each_other():
    x = np.clip(Sine().reference_posterior(np.array([1.5]), 60, rng()) + 0.05, -1, 1)
    whole, alone = on_sine(x, 1.5), [on_sine(x[i : i + 1], 1.5) for i in range(60)]
    np.testing.assert_allclose(whole.x, np.concatenate([part.x for part in alone]), atol=1e-12)
    assert whole.converged.all()


# ---- bounds, fixed unknowns, redundant y -----------------------------------------------------------------
def test_a_draw_slides_along_a_bound_and_never_leaves():
    line = lambda x: x.sum(-1)[:, None]  # noqa: E731
    low_high = np.array([[0.0, 0.0], [1.0, 5.0]])
    x = np.column_stack([rng().uniform(0, 1, 200), rng().uniform(0, 2, 200)])
    done = refine(line, x, np.array([4.0]), np.ones(2), np.ones(1), low_high)
    assert done.converged.all() and done.x[:, 0].max() <= 1 and done.x.min() >= 0
    steep = refine(
        lambda x: 100 * x[:, :1] + x[:, 1:], np.array([[1.0, 0.5]]), np.array([102.0]), np.ones(2), np.ones(1), low_high
    )
    assert steep.converged.all() and np.abs(steep.x - [[1, 2]]).max() < 1e-8, "x1 is held, so x2 goes all the way"
    assert (done.x[:, 0] == 1).mean() > 0.3, "those that needed the bound stand on it"
    edge = refine(line, np.array([[1.0, 0.5]]), np.array([1.2]), np.ones(2), np.ones(1), low_high)
    assert edge.converged.all() and edge.x[0, 0] < 1, "a bound lets go where the step points inward"
    assert not refine(line, x, np.array([6.5]), np.ones(2), np.ones(1), low_high).converged.any()


def test_a_fixed_unknown_is_not_moved():
    x = rng().standard_normal((100, 2))
    done = refine(
        lambda x: x.sum(-1)[:, None], x, np.array([1.0]), np.ones(2), np.ones(1), OPEN2, np.array([True, False])
    )
    assert done.converged.all() and np.array_equal(done.x[:, 0], x[:, 0])
    np.testing.assert_allclose(done.x[:, 1], 1 - x[:, 0], atol=1e-11)


def test_more_ys_than_unknowns_and_units_far_apart():
    def observe(x):  # y3 = y1 + y2, in units of 1e6 and 1e-6
        a, b = exp(x[:, 0]), x[:, 1]
        return stack([1e6 * a, 1e-6 * b, 1e6 * a + 1e-6 * b])

    x = rng().standard_normal((200, 2))
    y = observe(np.array([[0.5, -0.3]]))[0]
    done = refine(observe, x, y, np.ones(2), observe(x).std(0), OPEN2)
    assert done.converged.mean() > 0.98
    np.testing.assert_allclose(done.x[done.converged], np.tile([0.5, -0.3], (done.converged.sum(), 1)), atol=1e-8)


def test_the_jacobian_is_the_slope():
    import torch

    x = Sine().prior(50, rng())
    jacobian = refinement._jacobian(Sine().observe, torch.as_tensor(x)).numpy()
    for j in range(2):
        step = np.eye(2)[j] * 1e-6
        slope = (Sine().observe(x + step) - Sine().observe(x - step)) / 2e-6
        np.testing.assert_allclose(jacobian[:, :, j], slope, atol=1e-6)


@pytest.mark.parametrize(
    ("observe", "words"),
    [
        (lambda x: np.sin(np.asarray(x)).sum(-1)[:, None], "torch can differentiate"),
        (
            lambda x: x.sum(-1)[:, None] if isinstance(x, np.ndarray) else x.detach().sum(-1)[:, None],
            "torch can differentiate",
        ),
        (
            lambda x: x.sum(-1)[:, None] if isinstance(x, np.ndarray) else 2 * x.sum(-1)[:, None],
            "gives .* for an array and",
        ),
    ],
)
def test_what_torch_can_not_follow_is_refused_in_one_line(observe, words):
    with pytest.raises(RequestError, match=words) as caught:
        refine(observe, np.ones((3, 2)), np.ones(1), np.ones(2), np.ones(1), OPEN2)
    assert "\n" not in str(caught.value)


# ---- the command -----------------------------------------------------------------------------------------
SIMULATOR = """
import numpy as np
x_names = ["mass", "length"]
x_bounds = [(0, None), (0, 3)]
{fact}

def prior(n, rng):
    return rng.uniform(0.5, 2, (n, 2))

def simulate(x, rng):
    return x[:, :1] * x[:, 1:] ** 2 {noise}

{more}
"""
SMALL = ["model.n_blocks=1", "task.n_train=300", "trainer.max_steps=20", "trainer.batch_size=32"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Flows on tasks with and without noise, on a table, and on four simulator files."""
    root = tmp_path_factory.mktemp("runs")
    rows = rng().standard_normal((100, 2))
    np.savetxt(root / "table.csv", np.column_stack([rows, rows.sum(1)]), delimiter=",", header="a,b,c", comments="")
    files = {
        "plain": dict(fact="", noise="", more=""),
        "declared": dict(fact="differentiable = True", noise="", more=""),
        "noisy": dict(
            fact="differentiable = True",
            noise="+ 0.1 * rng.standard_normal((len(x), 1))",
            more="def observe(x):\n    return x[:, :1] * x[:, 1:] ** 2",
        ),
        "numpy_only": dict(
            fact="differentiable = True",
            noise="",
            more="def observe(x):\n    return np.multiply(x[:, :1], np.square(x[:, 1:].tolist()))",
        ),
    }
    for name, parts in files.items():
        (root / f"{name}.py").write_text(textwrap.dedent(SIMULATOR).format(**parts))
    trained = {
        "sine": ["task=sine"],
        "ring": ["task=ring"],
        "table": ["task=table", f"task.file={root}/table.csv", "task.y=[c]"],
        **{name: ["task=simulator", f"task.file={root}/{name}.py"] for name in files},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        for name, words in trained.items():
            small = [word for word in SMALL if name != "table" or "n_train" not in word]
            assert main(["train", *words, *small, f"hydra.run.dir={root}/{name}"]) == 0
    return root


@pytest.fixture
def invert(root, tmp_path, monkeypatch, capsys):
    """`inn invert` in an empty folder; gives what it printed on stdout, or the one line of an error."""
    monkeypatch.setenv("INN_OUTPUTS", str(root))
    monkeypatch.chdir(tmp_path)

    def run(name, *words, code=0):
        got = main(["invert", "--run", str(root / name), "-n", "300", *[str(word) for word in words]])
        out, err = capsys.readouterr()
        assert got == code, err
        assert code == 0 or (not out and len(err.splitlines()) == 1), err
        return err if code else out

    return run


def test_a_refined_set_says_so_and_carries_no_density(invert, tmp_path):
    plain = invert("sine", "--y", "0.5", "--out", "plain.npz")
    out = invert("sine", "--y", "0.5", "--refine", "--out", "refined.npz")
    assert "unconverged, left unmoved" in out and "refined" not in plain
    before, after = posterior_files.load(tmp_path / "plain.npz"), posterior_files.load(tmp_path / "refined.npz")
    assert np.isfinite(before.log_prob).all() and np.isnan(after.log_prob).all()
    good = after.extra["refined"][0] > 0
    assert good.mean() > 0.98 and (after.extra["moved"][0][good] > 0).mean() > 0.9
    assert np.abs(Sine().observe(after.x[0])[good] - 0.5).max() < 1e-10
    assert np.array_equal(after.x[0][~good], before.x[0][~good])
    report = after.meta["refined"][0]
    assert (
        report["unconverged"] == (~good).sum() and report["error_after"]["q50"] < 1e-10 < report["error_before"]["q50"]
    )
    got = json.loads(invert("sine", "--y", "0.5", "--refine", "--json"))["observations"][0]
    assert got["refined"] == report


def test_a_noisy_task_is_refused_unless_the_noise_is_ignored(invert):
    assert "has noise" in invert("ring", "--y", "0.3", "--refine", code=2)
    assert "0 of 300 unconverged" in invert("ring", "--y", "0.3", "--refine", "--ignore-noise")
    assert "goes with --refine" in invert("ring", "--y", "0.3", "--ignore-noise", code=2)


def test_a_table_has_no_simulator_to_refine_on(invert):
    assert "has none; leave it out" in invert("table", "--y", "0.3", "--refine", code=2)


def test_a_file_of_the_user_s_is_run_only_where_asked_and_refined_where_it_says_it_can(invert):
    refine = ["--y", "1.5", "--refine"]
    assert "add --resimulate" in invert("declared", *refine, code=2)
    assert "0 of 300 unconverged" in invert("declared", *refine, "--resimulate")
    assert "differentiable = True" in invert("plain", *refine, "--resimulate", code=2)
    assert "has noise" in invert("noisy", *refine, "--resimulate", code=2)
    assert "0 of 300 unconverged" in invert("noisy", *refine, "--resimulate", "--ignore-noise")
    said = invert("numpy_only", *refine, "--resimulate", code=2)
    assert "numpy_only.py" in said and "torch tensor" in said
