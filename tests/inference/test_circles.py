"""Sets and samples whose columns lie on a circle: their summaries, their files."""

import json

import numpy as np
import pytest

from inncli.errors import DataError, ShapeError
from inncli.inference import posterior_files
from inncli.inference.posterior_set import PosteriorSet
from inncli.inference.sample_set import SampleSet
from inncli.inference.summary import PosteriorSummary, SampleSummary, solutions_of

ANGLES = np.array([[[350.0, 1.0], [352.0, 2.0], [8.0, 3.0], [10.0, 4.0]], [[90, 1], [91, 2], [92, 3], [93, 4]]])
META = {"periodic": {"angle": [0, 360]}}


def angles(meta=META, x=ANGLES, **fields):
    return PosteriorSet(x, None, np.zeros((len(x), 1)), ("angle", "r"), ("y",), meta=dict(meta), **fields)


def off(angle):
    return (angle + 180) % 360 - 180


def test_the_summary_is_about_the_mean_direction():
    first, r, second, _ = angles().summary()
    assert abs(off(first["mean"])) < 1e-9 and 0 <= first["mean"] < 360
    assert first["sd"] == pytest.approx(np.sqrt((100 + 64) / 2))
    assert first["q05"] < first["q50"] < first["q95"] and first["q95"] - first["q05"] < 20
    assert r == angles(meta={}).summary()[1]
    assert second["mean"] == pytest.approx(91.5) and second["sd"] == pytest.approx(np.std([90, 91, 92, 93]), rel=1e-3)
    assert angles(meta={}).summary()[0]["mean"] == 180


def test_parts_are_summed_up_as_the_whole():
    x = np.random.default_rng(0).normal([0, 5], [20, 1], (1, 40_000, 2)) % [360, 99]
    whole, parts = PosteriorSummary(40_000), PosteriorSummary(40_000)
    whole.add(0, 0, angles(x=x))
    for start in range(0, 40_000, 10_000):
        parts.add(0, start, angles(x=x[:, start : start + 10_000]))
    one, other = whole.observations[0].x, parts.observations[0].x
    for key, value in one["angle"].items():
        assert other["angle"][key] == pytest.approx(value, abs=0.05), key
    sample = SampleSummary(40_000)
    for start in range(0, 40_000, 10_000):
        rows = x[0, start : start + 10_000]
        sample.add(0, start, SampleSet(rows, None, ("angle", "r"), circles=((0.0, 360.0), None)))
    assert sample.columns["angle"] == other["angle"]
    assert SampleSet(x[0], None, ("angle", "r"), circles=((0.0, 360.0), None)).summary()["angle"] == one["angle"]


def test_the_centre_of_a_solution_lies_among_its_draws():
    extra = {"solution": np.zeros((2, 4)), "loss": np.zeros((2, 4)), "converged": np.ones((2, 4))}
    assert abs(off(solutions_of(angles(extra=extra), 0)[0]["centre"]["angle"])) < 1e-9


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".nc"])
def test_a_file_keeps_the_circle(tmp_path, suffix):
    posterior_files.save(angles(), tmp_path / f"set{suffix}")
    assert posterior_files.load(tmp_path / f"set{suffix}").circles == ((0, 360), None)


def test_a_csv_has_the_draws_as_they_are(tmp_path):
    posterior_files.save(angles(), tmp_path / "set.csv")
    loaded = posterior_files.load(tmp_path / "set.csv")
    np.testing.assert_array_equal(loaded.x, ANGLES)
    assert loaded.circles == (None, None)


@pytest.mark.parametrize("periodic", [[1], {"angle": 3}, {"angle": [0, "x"]}, {"angle": [1, 0]}, {"angle": [0, None]}])
def test_what_is_no_circle_is_refused_by_the_name_of_the_file(tmp_path, periodic):
    with pytest.raises(ShapeError, match="meta: expected periodic as name"):
        angles({"periodic": periodic})
    made = angles()
    made.meta["periodic"] = periodic
    posterior_files.save(made, tmp_path / "set.npz")
    with pytest.raises(DataError, match=r"set.npz"):
        posterior_files.load(tmp_path / "set.npz")


# ---- by commands -------------------------------------------------------------------------------------
SIMULATOR = """
import numpy as np

x_names = ["angle", "k"]
x_periodic = {"angle": (0, 360)}
gain = np.array([1.0, 2.0, 4.0])


def prior(n, rng):
    return np.column_stack([rng.integers(0, 361, n), rng.integers(0, 3, n)])


def simulate(x, rng):
    a = np.radians(x[:, 0])
    y = gain[x[:, 1].astype(int)][:, None] * np.column_stack([np.cos(a), np.sin(a)])  # of k = 3 an IndexError
    return y + 0.2 * rng.standard_normal(y.shape)
"""


def test_a_circle_and_a_discrete_unknown_from_training_to_a_verdict(inn, tmp_path):
    (tmp_path / "sim.py").write_text(SIMULATOR)
    inn("train", "task=simulator", "task.file=sim.py", "task.n_train=1000", "trainer.max_steps=60",
        "model=spline", "model.n_blocks=2")  # fmt: skip
    (found,) = json.loads(inn("invert", "--y", "4,0", "-n", 500, "--out", "set.npz", "--json"))["observations"]
    draws = posterior_files.load(tmp_path / "set.npz")
    angle, k = draws.x[0].T
    assert set(k) <= {0, 1, 2} and set(angle) <= set(range(360))
    assert draws.circles == ((0, 360), None)
    assert abs(off(found["x"]["angle"]["mean"])) < 20 and found["x"]["angle"]["sd"] < 40
    assert (angle < 90).any() and (angle > 270).any()
    assert "periodic: angle in [0, 360)" in inn("show")
    sampled = json.loads(inn("sample", "-n", 200, "--out", "draws.csv", "--json"))["columns"]
    assert 0 <= sampled["angle"]["mean"] < 360 and sampled["angle"]["sd"] < 130
    assert json.loads(inn("density", "--grid", 300, "--y", "4,0", "--json"))["integral"] == pytest.approx(1, abs=0.05)
    inn("plot", "posterior", "--set", "set.npz", "--out", "set.png")
    inn("plot", "density", "--y", "4,0", "--grid", 40, "--out", "density.png")
    measured = json.loads(inn("evaluate", "--resimulate", "--json"))["metrics"]
    assert measured["nonfinite_draws"] == 0 and measured["resimulation_error"] < 3
