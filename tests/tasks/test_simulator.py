"""The simulator task: what a user's file may do, and what each of its mistakes is answered with."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from inncli.config.trust import Trust, gate
from inncli.errors import ConfigError, DataError
from inncli.tasks.user import simulator

GOOD = """
import numpy as np

def prior(n, rng):
    return rng.random((n, 2))

def simulate(x, rng):
    return x.sum(1, keepdims=True) + 0.1 * rng.standard_normal((len(x), 1))
"""

ADVICE = "; mend it, or where a simulation may fail so, catch it and return a row of NaN, which counts as failed"


def trusted_simulator(file: str, **settings) -> simulator.Simulator:
    """The task as a command builds it whose words name this file."""
    with gate(Trust().to_run([{"task": {"file": file}}])):
        return simulator.Simulator(file, **settings)


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "sim.py") -> str:
        (tmp_path / name).write_text(textwrap.dedent(text))
        return str(tmp_path / name)

    return write


def test_pairs_names_and_facts(write):
    task = trusted_simulator(write(GOOD), n_train=1_500)
    assert (task.x.names, task.y.names) == (("x1", "x2"), ("y1",))
    pairs = task.training_pairs(0)
    assert pairs.x.shape == (1_500, 2)
    assert (pairs.y[:, 0] - pairs.x.sum(1)).std() == pytest.approx(0.1, rel=0.1)
    again = trusted_simulator(write(GOOD), n_train=1_500).training_pairs(0)
    np.testing.assert_array_equal(pairs.x, again.x)
    np.testing.assert_array_equal(pairs.y, again.y)
    assert not np.isin(task.test_pairs(0, 500).x, pairs.x).any()
    assert any("sim.py" in line for line in task.describe())


def test_any_number_of_workers_draws_the_same_pairs(write):
    text = GOOD.replace("return x.sum", "x = np.where(x < .01, np.nan, x)\n    return x.sum")
    one, three = (trusted_simulator(write(text), workers=w, n_train=3_300) for w in (1, 3))
    a, b = one.training_pairs(5), three.training_pairs(5)
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.y, b.y)
    assert one.failed == three.failed > 0
    assert len(a) == 3_300 - one.failed


def test_a_worker_that_fails_says_why(write):
    late = GOOD.replace("return x.sum", "assert len(x) != 500, 'unlucky'\n    return x.sum")
    with pytest.raises(DataError, match=rf"^sim.py:8: simulate raised AssertionError: unlucky{ADVICE}$"):
        trusted_simulator(write(late), workers=2, n_train=1_500).training_pairs(0)
    with pytest.raises(DataError, match="sim.py ended a worker process"):
        crash = GOOD.replace("return x.sum", "import os; len(x) == 500 and os._exit(3)\n    return x.sum")
        trusted_simulator(write(crash), workers=2, n_train=1_500).training_pairs(0)


def test_optional_facts_and_functions(write):
    task = trusted_simulator(
        write(
            GOOD
            + """
x_names = ["mass", "drag"]
y_names = ("range",)
x_bounds = [(0, 1), (None, np.inf)]

def observe(x):
    return x.sum(1)

def log_prior(x):
    return np.zeros(len(x))

def log_likelihood(y, x):
    return -((y - x.sum(1, keepdims=True)) ** 2) / 0.02

def reference_posterior(y, n, rng):
    return rng.random((n, 2)) * y
"""
        )
    )
    assert (task.x.names, task.y.names) == (("mass", "drag"), ("range",))
    assert task.x.bounds == ((0.0, 1.0), (None, None))
    assert "bounds: mass in [0, 1]" in task.describe()
    x = np.array([[0.25, 0.5], [0.0, 1.0]])
    np.testing.assert_array_equal(task.observe(x), [[0.75], [1.0]])
    assert task.has_log_prior
    assert task.log_prior(x).shape == (2,)
    assert task.has_log_likelihood
    np.testing.assert_allclose(task.log_likelihood(np.array([[0.75], [0.9]]), x), [0, -0.5])
    assert task.has_reference
    assert task.reference_posterior(np.array([0.5]), 7, np.random.default_rng(0)).shape == (7, 2)


def test_without_them_it_says_so(write):
    task = trusted_simulator(write(GOOD))
    assert not (task.has_reference or task.has_log_prior or task.has_log_likelihood)
    with pytest.raises(ConfigError, match="no reference posterior"):
        task.reference_posterior(np.zeros(1), 3, np.random.default_rng(0))
    with pytest.raises(DataError, match="sim.py defines no log_prior"):
        task.log_prior(np.zeros((1, 2)))
    x = np.zeros((3, 2))
    np.testing.assert_array_equal(task.observe(x), task.observe(x))


@pytest.mark.parametrize(
    "body",
    ["return x.sum(1)", "return x.sum(1).astype('float32')", "return [[float(a + b)] for a, b in x]",
     "return (100 * x).astype(int)[:, :1]", "x[:] = x + 1; return x[:, :1]"],
)  # fmt: skip
def test_what_simulate_may_return(write, body):
    task = trusted_simulator(write(GOOD.split("def simulate")[0] + f"def simulate(x, rng):\n    {body}\n"), n_train=50)
    pairs = task.training_pairs(0)
    assert pairs.y.shape == (50, 1)
    assert pairs.y.dtype == np.float64
    assert (pairs.x <= 1).all()  # even where simulate works in place


def test_prior_may_return_lists_and_one_column(write):
    task = trusted_simulator(
        write("def prior(n, rng):\n    return list(rng.random(n))\n\ndef simulate(x, rng):\n    return x\n"),
        n_train=9,
    )
    assert task.training_pairs(0).x.shape == (9, 1)


def test_failed_simulations_are_counted(write):
    half = GOOD.replace("return x.sum(1", "y = np.where(x[:, :1] < .5, np.nan, x[:, :1])\n    return (y * x).sum(1")
    task = trusted_simulator(write(half), n_train=2_000)
    pairs = task.training_pairs(0)
    assert len(pairs) == 2_000 - task.failed
    assert 900 < task.failed < 1_100
    assert any("failed simulations, left out" in line for line in task.describe())
    infinite = GOOD.replace("return x.sum(1", "return (x / np.where(x < .5, 0, 1)).sum(1")
    infinite = infinite.replace("import numpy as np",
        "import numpy as np\nnp.seterr(all='ignore')")  # fmt: skip
    task = trusted_simulator(write(infinite), n_train=2_000)
    assert len(task.training_pairs(0)) == 2_000 - task.failed < 1_000
    none = GOOD.replace("return x.sum(1", "return np.nan * x.sum(1")
    with pytest.raises(DataError, match="all 500 simulations failed"):
        trusted_simulator(write(none), n_train=500).training_pairs(0)


def test_prints_of_the_file_stay_off_stdout(write, capsys):
    trusted_simulator(write("print('loading')\n" + GOOD.replace("return x.sum", "print('hi')\n    return x.sum")))
    out, err = capsys.readouterr()
    assert out == ""
    assert "loading" in err
    assert "hi" in err


def test_a_file_may_use_its_neighbours_and_dataclasses(write):
    write("SCALE = 2.0\n", "neighbour_of_sim.py")
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    text += "from neighbour_of_sim import SCALE\n"
    text += "@dataclass\nclass P:\n    a: float = SCALE\n" + GOOD.replace("rng.random", "P().a * rng.random")
    assert trusted_simulator(write(text), n_train=2_000).training_pairs(0).x.max() > 1.9


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


WRONG = {
    "no prior": (
        GOOD.replace("def prior", "def priors"),
        r"must define prior\(n, rng\); did you mean 'priors'\?",
    ),
    "no simulate": (GOOD.split("def simulate")[0], r"must define simulate\(x, rng\)$"),
    "syntax": (GOOD + "def f(:\n", r"^sim.py:9: does not run: SyntaxError: "),
    "import": (
        "import numpyy\n" + GOOD,
        r"^sim.py:1: does not run: ModuleNotFoundError: No module named 'numpyy'$",
    ),
    "exit": ("import sys\nsys.exit(3)\n", "^sim.py:2: does not run: SystemExit: 3$"),
    "no function": (
        "prior = 3\n" + GOOD.split("def simulate")[1],
        r"must (be a function, got int|define)|does not run",
    ),
    "signature": (replaced("def prior(n, rng)", "def prior(n)"), r"expected prior\(n, rng\), got prior\(n\)"),
    "raises": (
        replaced("return x.sum", "1 / 0; return x.sum"),
        rf"^sim.py:8: simulate raised ZeroDivisionError: division by zero{ADVICE}$",
    ),
    "raises deeper": (
        "def half(x):\n    return x / 'a'\n" + replaced("return x.sum", "half(x); return x.sum"),
        "^sim.py:2: simulate raised [A-Za-z]*TypeError",
    ),
    "prior raises": (
        replaced("return rng.random", "raise KeyError('a\\nb')\n    return rng.random"),
        "^sim.py:5: prior raised [^;]*$",
    ),
    "global rng": (
        replaced("rng.random((n, 2))", "np.random.rand(n, 2)"),
        r"two different results for equal rngs; draw ev",
    ),
    "noise from global rng": (
        replaced("rng.standard_normal", "np.random.standard_normal"),
        r"simulate\(x, rng\) gave two d",
    ),
    "rng ignored": (
        replaced("rng.random((n, 2))", "np.ones((n, 2)) * np.arange(n)[:, None]"),
        "the same 100 rows for two",
    ),
    "prior size": (
        replaced("rng.random((n, 2))", "rng.random((n + 1, 2))"),
        r"must return shape \(100, columns\), got \(101, 2\)",
    ),
    "simulate size": (
        replaced("return x.sum", "return np.zeros((7, 1))\n    x.sum"),
        r"must return shape \(2, columns\), got \(7, 1\)",
    ),
    "no columns": (
        replaced("rng.random((n, 2))", "rng.random((n, 0))"),
        r"must return shape .* got \(100, 0\)",
    ),
    "3-D": (replaced("rng.random((n, 2))", "rng.random((n, 2, 1))"), r"got \(100, 2, 1\)"),
    "None": (
        replaced("return x.sum", "x.sum"),
        r"simulate\(x, rng\) must return shape \(2, columns\), got None; add a return",
    ),
    "words": (
        replaced("return x.sum(1, keepdims=True)", "return ['a'] * len(x)\n    x"),
        "must return numbers",
    ),
    "complex": (replaced("rng.random((n, 2))", "1j * rng.random((n, 2))"), "must return numbers"),
    "ragged": (replaced("rng.random((n, 2))", "[[1.0]] + [[1.0, 2.0]] * (n - 1)"), "must return numbers"),
    "NaN in prior": (
        replaced("rng.random((n, 2))", "np.where(rng.random((n, 2)) < .5, np.nan, 1)"),
        "must return finite",
    ),
    "x_names": (GOOD + "x_names = ['a']\n", "x_names has 1 names, prior returned 2 columns"),
    "y_names": (GOOD + "y_names = ['a', 'b']\n", "y_names has 2 names, simulate returned 1 columns"),
    "no names": (GOOD + "x_names = 3\n", "x_names must be a list of names, got 3"),
    "one name": (GOOD + "y_names = 'range'\n", "y_names must be a list of names, got 'range'"),
    "same names": (GOOD + "x_names = ['a', 'a']\n", "x_names must be different names"),
    "shared names": (GOOD + "x_names = ['a', 'b']\ny_names = ['b']\n", "'b' is in x_names and in y_names"),
    "few bounds": (GOOD + "x_bounds = [(0, 1)]\n", "x_bounds must be 2 pairs"),
    "odd bounds": (
        GOOD + "x_bounds = [(0, 1), 3]\n",
        r"x_bounds of x2 must be \(low, high\), None where open, got 3",
    ),
    "NaN bounds": (GOOD + "x_bounds = [(0, 1), (0, float('nan'))]\n", "x_bounds of x2 must be"),
    "empty bounds": (GOOD + "x_bounds = [(0, 1), (1, 1)]\n", "x_bounds of x2 must have low < high"),
    "outside": (
        GOOD + "x_bounds = [(0, 1), (0, .5)]\n",
        r"prior drew x2 = 0\.\d+, outside its x_bounds \(0.0, 0.5\)",
    ),
    "no circles": (GOOD + "x_periodic = [(0, 1)]\n", r"x_periodic must be a dict from names of unknowns, got \[\(0, 1"),
    "a circle of none": (
        GOOD + "x_periodic = {'x3': (0, 1)}\n",
        r"x_periodic names 'x3', which is not in x \(x1, x2\)",
    ),
    "odd circle": (GOOD + "x_periodic = {'x1': 1}\n", r"x_periodic of x1 must be \(low, high\) with low < high, got 1"),
    "open circle": (GOOD + "x_periodic = {'x1': (0, None)}\n", "x_periodic of x1 must be"),
    "endless circle": (GOOD + "x_periodic = {'x1': (0, np.inf)}\n", "x_periodic of x1 must be"),
    "turned circle": (GOOD + "x_periodic = {'x1': (1, 0)}\n", "x_periodic of x1 must be"),
    "two ranges": (
        GOOD + "x_bounds = [(0, None), (0, 1)]\nx_periodic = {'x1': (0, 1)}\n",
        r"x_bounds of x1 are \(0.0, None\), x_periodic says \(0.0, 1.0\); leave it in one of them",
    ),
    "off the circle": (
        GOOD + "x_periodic = {'x2': (0, .5)}\n",
        r"prior drew x2 = 0\.\d+, outside its x_periodic \(0.0, 0.5\); mend one of them, or return it modulo",
    ),
    "a step of none": (GOOD + "x_steps = {'k': 1}\n", "x_steps names 'k', which is not in x"),
    "odd step": (GOOD + "x_steps = {'x1': -1}\n", "x_steps of x1 must be 0"),
    "step in words": (GOOD + "x_steps = {'x1': 'one'}\n", "x_steps of x1 must be 0"),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG.keys())
def test_each_mistake_is_one_line(write, text, words):
    with pytest.raises(DataError, match=words) as caught:
        trusted_simulator(write(text))
    assert "\n" not in str(caught.value)


def test_a_rare_draw_outside_the_bounds_is_found_in_training(write):
    text = (
        replaced("rng.random((n, 2))", "rng.random((n, 2)) + (rng.random((n, 1)) > .999)") + "x_bounds = [(0, 1)] * 2\n"
    )
    with pytest.raises(DataError, match="prior drew .* outside its x_bounds"):
        trusted_simulator(write(text), n_train=9_000).training_pairs(0)


DISCRETE = """
import numpy as np

x_names = ["k", "count", "v", "spike"]

def prior(n, rng):
    spike = np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(0, 2, n))
    return np.column_stack([rng.integers(0, 3, n), rng.poisson(2, n), rng.normal(size=n), spike])

def simulate(x, rng):
    return x[:, :1] + rng.normal(size=(len(x), 1))
"""


def columns_of(task):
    return task.columns_of(task.training_pairs(0))[0]


def test_what_the_draws_show_of_discrete_unknowns(write):
    task = trusted_simulator(write(DISCRETE), n_train=2_000)
    assert task.x.steps == (0, 0, 0, 0)  # before there are pairs
    x = columns_of(task)
    assert x.steps[:3] == (1, 1, 0) and 0 < x.steps[3] < 0.01
    assert x.heaps[0] == (0, 1, 2) and x.heaps[1][:5] == (0, 1, 2, 3, 4) and x.heaps[2:] == ((), (0,))
    assert x.bounds == ((0, 2), (0, None), (None, None), (0, None))


def test_the_file_says_what_is_discrete_and_where_it_ends(write):
    text = DISCRETE + "x_steps = {'k': 0, 'v': 0.5}\nx_bounds = [(None, None), (0, 50), (-9, 9), (0, None)]\n"
    x = columns_of(trusted_simulator(write(text), n_train=2_000))
    assert x.steps[:3] == (0, 1, 0.5) and x.heaps[0] == ()
    assert x.bounds == ((None, None), (0, 50), (-9, 9), (0, None))


def test_any_number_of_workers_finds_the_same_columns(write):
    one, two = (columns_of(trusted_simulator(write(DISCRETE), workers=w, n_train=1_200)) for w in (1, 2))
    assert one == two


def test_unknowns_on_a_circle(write):
    circles = """
x_names = ["phase", "angle"]
x_periodic = {"phase": (0, 1), "angle": (0, 360)}
x_bounds = [(0, 1), (None, None)]

def prior(n, rng):
    return np.column_stack([np.round(rng.random(n), 12), rng.integers(0, 361, n)])

def reference_posterior(y, n, rng):
    return np.column_stack([rng.uniform(-.5, .5, n), rng.integers(-9, 9, n)])
"""
    task = trusted_simulator(write(GOOD + circles), n_train=2_000)
    assert task.x.bounds == ((0, 1), (0, 360)) and task.x.periods == (1, 360)
    assert "periodic: phase in [0, 1), angle in [0, 360)" in task.describe()
    pairs = task.training_pairs(0)
    assert set(pairs.x[:, 1]) <= set(range(360))  # 360 is 0
    x = task.columns_of(pairs)[0]
    assert x.steps == (0, 1) and x.heaps == ((), ()) and x.bounds == task.x.bounds
    exact = task.reference_posterior(np.zeros(1), 1_000, np.random.default_rng(0))
    assert (exact >= 0).all() and (exact < [1, 360]).all() and exact[:, 0].max() > 0.9


def test_constant_columns_are_refused(write):
    with pytest.raises(DataError, match="y column 'y1' is 4 in all 100 rows"):
        trusted_simulator(
            write(replaced("return x.sum", "return np.full((len(x), 1), 4)\n    x.sum")), n_train=100
        ).training_pairs(0)


def test_of_hundreds_of_constant_columns_a_few_are_named(write):
    text = replaced("return x.sum", "return np.hstack([x, np.zeros((len(x), 900))])\n    x.sum")
    with pytest.raises(
        DataError, match="y columns 'y3' .*'y22' .0. and 880 more are the same in all 100 rows"
    ) as caught:
        trusted_simulator(write(text), n_train=100).training_pairs(0)
    assert len(str(caught.value)) < 500


def test_wrong_files(write, tmp_path):
    write(GOOD, "my_sim.py")
    with pytest.raises(DataError, match=r"my_sin.py is not there; did you mean 'my_sim.py'\?"):
        trusted_simulator(str(tmp_path / "my_sin.py"))
    with pytest.raises(DataError, match=r"must be a Python file \(.py\)"):
        trusted_simulator(write("a,b\n", "t.csv"))
    with pytest.raises(DataError, match="is not there"):
        (tmp_path / "folder.py").mkdir()
        trusted_simulator(str(tmp_path / "folder.py"))


def test_fresh_is_for_built_in_tasks(write):
    with pytest.raises(ConfigError, match="task.fresh=true is for the built-in tasks"):
        trusted_simulator(write(GOOD), fresh=True)
