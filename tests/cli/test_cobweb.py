"""Maps of the line, their pictures and `inn plot cobweb`; the tasks of the same lesson: monotone and the cave."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import stats

from inncli.cli.app import main
from inncli.numerics import iterated_maps
from inncli.plots.cobweb import cobweb
from inncli.tasks.toy.monotone import Monotone

EVERY_MAP = {
    "logistic": iterated_maps.logistic(3.2),
    "circle": iterated_maps.circle(0.1, 0.9),
    "kepler": iterated_maps.kepler(0.8, 1.0),
}


# ---- mathematics ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("made", EVERY_MAP.values(), ids=EVERY_MAP)
def test_slopes_are_those_of_the_function(made):
    x = np.linspace(made.low, made.high, 50)
    difference = (made.function(x + 1e-6) - made.function(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(made.slope(x), difference, atol=1e-8)


@pytest.mark.parametrize("r", [0.5, 2.0, 2.9, 3.2, 3.9])
def test_logistic_fixed_points(r):
    points = iterated_maps.fixed_points(iterated_maps.logistic(r))
    # 0 with slope r; 1 - 1/r with slope 2 - r, on [0, 1] once r > 1
    expected = [(0.0, r)] + ([(1 - 1 / r, 2 - r)] if r > 1 else [])
    np.testing.assert_allclose([(p.x, p.slope) for p in points], expected, atol=1e-12)
    assert [p.stable for p in points] == ([r < 1, r < 3] if r > 1 else [True])
    assert iterated_maps.lipschitz(iterated_maps.logistic(r)) == pytest.approx(r, rel=1e-12)


def test_logistic_where_a_slope_is_one_is_undecided():
    (only,) = iterated_maps.fixed_points(iterated_maps.logistic(1.0))  # x* = 0 touches the diagonal
    assert (only.x, only.kind) == (0.0, "neutral")
    zero, other = iterated_maps.fixed_points(iterated_maps.logistic(3.0))
    assert zero.kind == "unstable" and other.kind == "neutral" and other.slope == pytest.approx(-1)


@pytest.mark.parametrize("omega, k", [(0.1, 0.9), (-0.05, 0.5), (1.1, 0.9), (0.0, 0.7), (0.3, 3.0)])
def test_circle_fixed_points(omega, k):
    points = iterated_maps.fixed_points(iterated_maps.circle(omega, k))
    expected = []
    for turns in (-1, 0, 1, 2):  # sin(2 pi x) = 2 pi (omega - turns) / k
        sine = 2 * np.pi * (omega - turns) / k
        if abs(sine) <= 1:
            first = np.arcsin(sine) / (2 * np.pi) % 1
            second = (0.5 - np.arcsin(sine) / (2 * np.pi)) % 1
            expected += [(x, 1 - k * np.cos(2 * np.pi * x)) for x in (first, second)]
    expected = sorted((x % 1, slope) for x, slope in expected)
    np.testing.assert_allclose(sorted((p.x % 1, p.slope) for p in points), expected, atol=1e-9)
    assert len(points) == len(expected) > 0
    assert iterated_maps.lipschitz(iterated_maps.circle(omega, k)) == pytest.approx(1 + k, abs=1e-7)


def test_circle_at_and_beyond_the_edge_of_its_tongue():
    (touching,) = iterated_maps.fixed_points(iterated_maps.circle(0.9 / (2 * np.pi), 0.9))
    assert touching.x == pytest.approx(0.25, abs=1e-6) and touching.kind == "neutral"
    assert iterated_maps.fixed_points(iterated_maps.circle(0.9 / (2 * np.pi) + 1e-6, 0.9)) == []


def test_a_fixed_point_that_only_touches_the_diagonal_between_two_grid_points():
    at = 1 / 3
    made = iterated_maps.Map("x <- x + (x - 1/3)^2", lambda x: x + (x - at) ** 2, lambda x: 1 + 2 * (x - at), 0.0, 1.0)
    (point,) = iterated_maps.fixed_points(made)
    assert point.x == pytest.approx(at, abs=1e-9) and point.kind == "neutral"


@pytest.mark.parametrize("e, y", [(0.8, 1.0), (0.5, -3.0), (0.99, 0.1), (0.0, 2.0)])
def test_kepler_is_inverted(e, y):
    made = iterated_maps.kepler(e, y)
    (point,) = iterated_maps.fixed_points(made)
    assert point.x - e * np.sin(point.x) == pytest.approx(y, abs=1e-12)
    assert point.x == pytest.approx(float(Monotone(e=e).inverse(np.array([y]))[0]), abs=1e-12)
    assert point.slope == pytest.approx(e * np.cos(point.x), abs=1e-12) and point.stable
    assert iterated_maps.lipschitz(made) == pytest.approx(e, abs=1e-6)
    # Banach: |x_n - x*| <= L^n / (1 - L) |x_1 - x_0|
    orbit = iterated_maps.orbit(made, y, 200)
    bound = e ** np.arange(201) / (1 - e) * abs(orbit[1] - orbit[0])
    assert (np.abs(orbit - point.x) <= bound + 1e-12).all()


@pytest.mark.parametrize("r, length", [(2.8, 1), (3.2, 2), (3.5, 4), (3.83, 3)])
def test_cycles_of_the_logistic_map(r, length):
    made = iterated_maps.logistic(r)
    points = iterated_maps.cycle(made, 0.1)
    assert len(points) == length and points[0] == points.min()
    np.testing.assert_allclose(made(points), np.roll(points, -1), atol=1e-9)
    if length == 2:  # the roots of r^2 x^2 - r (r + 1) x + r + 1
        np.testing.assert_allclose(r**2 * points**2 - r * (r + 1) * points + r + 1, 0, atol=1e-8)


def test_orbits_without_a_cycle_and_to_infinity():
    assert iterated_maps.cycle(iterated_maps.logistic(3.9), 0.1) is None
    assert iterated_maps.cycle(iterated_maps.logistic(4.5), 0.3) is None
    away = iterated_maps.orbit(iterated_maps.logistic(4.5), 0.5, 100)
    assert len(away) < 100 and away[-1] < -1e6
    np.testing.assert_allclose(iterated_maps.orbit(iterated_maps.logistic(3.0), 0.5, 2), [0.5, 0.75, 0.5625])
    assert (
        (iterated_maps.orbit(iterated_maps.circle(0.4, 0.9), 0.1, 50) >= 0)
        & (iterated_maps.orbit(iterated_maps.circle(0.4, 0.9), 0.1, 50) < 1)
    ).all()


# ---- picture -------------------------------------------------------------------------------------------
def texts(figure):
    return " | ".join([figure.get_suptitle(), *(t.get_text() for legend in figure.legends for t in legend.get_texts())])


@pytest.mark.parametrize(
    "made, x0, panels",
    [
        (iterated_maps.logistic(3.2), 0.1, 2),
        (iterated_maps.circle(0.4, 0.9), 0.1, 2),
        (iterated_maps.kepler(0.8, 1.0), 1.0, 3),
        (iterated_maps.logistic(4.5), 0.3, 2),
    ],
)
def test_the_picture_shows_the_numbers(made, x0, panels):
    points, orbit, constant = (
        iterated_maps.fixed_points(made),
        iterated_maps.orbit(made, x0, 20),
        iterated_maps.lipschitz(made),
    )
    figure = cobweb(made, points, orbit, constant)
    assert len(figure.axes) == panels
    assert f"Lipschitz constant {constant:.4g}" in texts(figure)
    for point in points:
        assert f"x* = {point.x:.5g}, slope {point.slope:.4g}: {point.kind}".replace("-", "\N{MINUS SIGN}") in texts(
            figure
        )
    stairs = next(line for line in figure.axes[panels - 2].lines if line.get_label() == "orbit")
    corners = np.column_stack([stairs.get_xdata(), stairs.get_ydata()])
    assert np.array_equal(corners[0], [x0, x0])
    # every second corner lies on the graph of T, the others on the diagonal
    np.testing.assert_array_equal(corners[1::2, 1], made(corners[1::2, 0]))
    np.testing.assert_array_equal(corners[2::2, 0], corners[2::2, 1])


def test_the_inverse_is_drawn_as_the_mirror_image():
    made = iterated_maps.kepler(0.8, 1.0)
    figure = cobweb(made, iterated_maps.fixed_points(made), iterated_maps.orbit(made, 1.0, 5), 0.8)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    forward, back = lines["x + g(x)"], lines["its mirror image, the inverse"]
    np.testing.assert_array_equal(forward.get_xdata(), back.get_ydata())
    np.testing.assert_array_equal(forward.get_ydata(), back.get_xdata())
    np.testing.assert_allclose(Monotone(e=0.8).inverse(back.get_xdata()), back.get_ydata(), atol=1e-12)


# ---- the command ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of one unknown: an i-ResNet and a RealNVP; and one of two."""
    root = tmp_path_factory.mktemp("runs")
    short = ["trainer.max_steps=60", "model.n_blocks=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        for name, words in {
            "iresnet": ["task=monotone", "model=iresnet"],
            "rnvp": ["task=monotone", "model=rnvp"],
            "plane": ["model=iresnet"],
        }.items():
            assert main(["train", *words, *short, f"hydra.run.dir={root}/{name}"]) == 0
    return root


@pytest.fixture
def inn(runs, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; gives exit code, stdout, stderr."""
    monkeypatch.setenv("INN_OUTPUTS", str(runs))
    monkeypatch.chdir(tmp_path)

    def call(*words):
        capsys.readouterr()
        return main(list(words)), *capsys.readouterr()

    return call


def test_map_by_name_prints_what_it_draws(inn, tmp_path):
    code, out, err = inn("plot", "cobweb", "--map", "logistic", "--r", "3.2", "--x0", ".1")
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    for words in ("Lipschitz constant 3.2 there, not below 1", "0.6875 -1.2 unstable", "cycle of 2: 0.51304, 0.79946"):
        assert words in text
    assert out.splitlines()[-1] == "cobweb.png" and (tmp_path / "cobweb.png").read_bytes().startswith(b"\x89PNG")


def test_json_of_a_map(inn, tmp_path):
    code, out, _ = inn(
        "plot", "cobweb", "--map", "circle", "--omega", "0", "--k", "0.7", "--steps", "3", "--json", "--out", "c.svg"
    )
    found = json.loads(out)
    assert code == 0 and found["out"] == "c.svg" and (tmp_path / "c.svg").exists()
    assert [p["stable"] for p in found["fixed_points"]] == [True, False]
    assert found["fixed_points"][0] == {"x": 0.0, "slope": pytest.approx(0.3), "stable": True}
    assert found["lipschitz"] == pytest.approx(1.7) and len(found["orbit"]) == 4


@pytest.mark.parametrize("block", [0, 1])
def test_a_block_of_an_iresnet_is_the_one_that_the_model_inverts(inn, runs, block):
    from inncli.inference.opening import open_run
    from inncli.inference.residual_block import inversion_of_block
    from inncli.runs.run_dir import RunDir
    from inncli.transforms.residual import residuals

    code, out, _ = inn("plot", "cobweb", "--run", "iresnet", "--y", "1.0", "--block", str(block), "--json")
    found = json.loads(out)
    assert code == 0 and (runs / "iresnet" / "plots" / f"cobweb_block{block}.png").is_file()
    # a contraction with one fixed point, certified: slopes seen never exceed what the singular values allow
    assert found["lipschitz"] <= found["certificate"] < 1 and found["fixed_points"][0]["stable"]
    assert len(found["fixed_points"]) == 1 and found["orbit"][-1] == pytest.approx(
        found["fixed_points"][0]["x"], abs=1e-6
    )
    # the slope is autograd's, and the fixed point the block's own inverse, in the context of this y
    trained = open_run(RunDir(runs / "iresnet"))
    made, _ = inversion_of_block(trained, block, np.array([[1.0]]))
    part = residuals(trained.model)[block][1]
    seen = []
    hook = part.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1]))
    trained.log_prob([[0.5]], [[1.0]])
    hook.remove()
    (point,) = iterated_maps.fixed_points(made)
    target = torch.tensor([[made.target]], dtype=torch.float64)
    with torch.no_grad():
        back, net = part.inverse(target, seen[0])[0].item(), part.net.at(seen[0]).double()
    assert back == pytest.approx(point.x, abs=1e-8)
    assert point.x == pytest.approx(found["fixed_points"][0]["x"])
    x = torch.tensor([[point.x]], dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(net, x).item()
    assert -jacobian == pytest.approx(point.slope, abs=1e-8)


@pytest.mark.parametrize(
    "words, message",
    [
        ("--map logstic", "--map: expected one of logistic, circle, kepler, got 'logstic'; did you mean 'logistic'?"),
        ("--map kepler --r 3", "--r does not go with --map kepler, which takes --e, --map, --y; leave it out"),
        ("--map kepler --y a", "--y: expected a number, got 'a'; e.g. --y 1.0"),
        ("--block 0 --map circle", "--map does not go with a run, which takes --block, --y, --z; leave it out"),
        ("--run iresnet", "run iresnet models x given y (y1); pass --y, e.g. --y 0.3"),
        ("--run iresnet --y 1 --block 2", "expected a block from 0 to 1, got 2; pick one of those"),
        ("--run rnvp --y 1", "run rnvp has no residual block; train one with model=iresnet"),
        (
            "--run plane --y 1",
            "expected a run with 1 unknown, got plane with 2; a cobweb is drawn of a map of the line",
        ),
    ],
)
def test_a_wrong_request_is_one_line_and_code_2(inn, tmp_path, words, message):
    assert inn("plot", "cobweb", *words.split()) == (2, "", message + "\n")
    assert list(tmp_path.iterdir()) == []


def test_options_of_the_cobweb_belong_to_it(inn):
    assert inn("plot", "training", "--run", "rnvp", "--r", "0") == (
        2,
        "",
        "--r goes with `inn plot cobweb`, got `inn plot training`; leave it out\n",
    )


# ---- the tasks of the lesson ---------------------------------------------------------------------------
@pytest.mark.parametrize("y, noise", [(0.0, 0.1), (0.5, 0.1), (-2.0, 0.5), (3.0, 0.02)])
def test_the_posterior_of_monotone_agrees_with_rejection_sampling(y, noise):
    task, rng = Monotone(noise=noise), np.random.default_rng(0)
    x = task.prior(2_000_000, rng)[:, 0]
    kept = x[rng.random(len(x)) < np.exp(-0.5 * ((task.observe(x) - y) / noise) ** 2)]
    draws = task.reference_posterior(np.array([y]), len(kept), rng)[:, 0]
    assert len(kept) > 1_000 and stats.ks_2samp(draws, kept).pvalue > 0.01


def test_the_posterior_of_monotone_is_a_hump_around_the_inverse():
    task = Monotone(noise=0.01)
    for y in (-3.0, 0.0, 1.0, 40.0):
        draws = task.reference_posterior(np.array([y]), 20_000, np.random.default_rng(0))[:, 0]
        x = task.inverse(np.array([y]))[0]
        assert x - 0.8 * np.sin(x) == pytest.approx(y, abs=1e-12)
        sd = 0.01 / (1 - 0.8 * np.cos(x))  # sigma / f'(x)
        assert abs(draws.mean() - x) < 0.2 * sd + abs(y) * 0.01**2 and draws.std() == pytest.approx(sd, rel=0.1)


def test_the_caves_null_space_is_the_direction_of_the_light(inn, runs):
    code, _, err = inn("train", "experiment=cave", "trainer.max_steps=5", f"hydra.run.dir={runs}/cave")
    assert code == 0, err
    out = inn("show", "--run", "cave")[1]
    line = next(line for line in out.splitlines() if "null space" in line)
    direction = np.array(json.loads(line.partition(": ")[2])[0])
    np.testing.assert_allclose(direction / direction[0], [1, 1, 2], atol=1e-3)
    assert "surjective" in out
