"""The map of each column of x and the features of each column of y, chosen by held-out rows."""

import math

import numpy as np
import pytest
import torch

from inncli.models.adjoint import Adjoint
from inncli.models.column_choice import choose
from inncli.models.flow import ConditionalFlow
from inncli.models.inn import INN
from inncli.models.presets import PRESETS
from inncli.variables import Variables

N = 4_000
rng = np.random.default_rng(0)
NORMAL = rng.standard_normal((N, 1))
NOISE = rng.standard_normal((N, 1))
CAUCHY = rng.standard_cauchy((N, 1))
DECADES = 10 ** (3 * NORMAL)


def chosen(x, y=None, ends=(), **how):
    x_columns = Variables.numbered("x", x.shape[1], bounds=ends)
    y_columns = None if y is None else Variables.numbered("y", y.shape[1])
    return choose(x_columns, y_columns, x, y, **how)


@pytest.mark.parametrize(
    "x, y, bounds, expected",
    [
        (NORMAL, NORMAL + NOISE, (), "identity"),
        (1e9 + NORMAL, NOISE, (), "identity"),
        (np.abs(NORMAL) * 5 + 100, NOISE, (), "identity"),
        (DECADES, np.log10(DECADES) + 0.2 * NOISE, (), "log"),
        (DECADES, NOISE, ((0.0, None),), "log"),
        (np.abs(NORMAL), NOISE, ((0.0, None),), "softplus"),
        (-DECADES, NOISE, ((None, 0.0),), "log"),
        (CAUCHY, CAUCHY + 0.5 * NOISE, (), "identity"),  # what is left is a normal
        (np.where(NOISE > 0, 5 + 1e-3 * CAUCHY, CAUCHY**3), NORMAL, (), "quantile"),
        (rng.random((N, 1)), NOISE, ((0.0, 1.0),), "probit"),
        (10 ** rng.uniform(-10, -2, (N, 1)), NOISE, ((1e-10, 1e-2),), "log_probit"),
        (CAUCHY, np.arcsinh(CAUCHY) + NOISE, ((-1e5, 1e5),), "quantile"),  # a table's box is as wide as its tails
        (-DECADES, NOISE, ((-1e12, 1e10),), "quantile"),
        (np.abs(CAUCHY) + 5, NOISE, ((0.0, None),), "quantile"),
    ],
)
def test_each_column_gets_the_map_that_suits_it(x, y, bounds, expected):
    assert chosen(x, y, bounds)[0].maps == (expected,)


def test_an_option_that_names_a_map_is_kept():
    uniform = rng.random((N, 1))
    assert chosen(uniform, NOISE, ((0.0, 1.0),), bounds="logit")[0].maps == ("logit",)
    assert chosen(uniform, NOISE, ((0.0, 1.0),), bounds="truncate")[0].maps == ("identity",)
    skewed = np.exp(0.4 * NORMAL) - 3.0
    assert chosen(skewed, NOISE)[0].maps == ("identity",)
    assert chosen(skewed, NOISE, power=True)[0].maps == ("power",)


def test_a_column_with_heaps_and_one_on_a_circle_have_maps_of_their_own():
    x = Variables(
        ("a", "b"), bounds=((0.0, 100.0), (0.0, 360.0)), steps=(1.0, 0.0), heaps=((0.0,), ()), periods=(None, 360.0)
    )
    values = np.hstack([rng.integers(0, 100, (N, 1)), 360 * rng.random((N, 1))]).astype(float)
    assert choose(x, None, values, None)[0].maps == ("identity", "probit")


@pytest.mark.parametrize(
    "y, robust",
    [
        (NORMAL, False),
        (rng.random((N, 1)), False),
        (NORMAL**2 + NOISE**2, False),
        (1e9 + NORMAL, False),
        (np.round(3 * NORMAL), False),
        (np.exp(8 * NORMAL), True),
        (rng.poisson(np.exp(np.minimum(5 * NORMAL, 16))).astype(float), True),
        (np.where(rng.random((N, 1)) < 0.01, 1e8, NORMAL), True),
        (np.where(rng.random((N, 1)) < 0.01, -999.0, NORMAL), True),
        (rng.standard_t(1, (N, 1)), True),
        (np.full((N, 1), 3.0), False),
    ],
    ids=["normal", "uniform", "chi2", "offset", "rounded", "exp8", "counts", "1e8", "-999", "t1", "constant"],
)
def test_only_a_column_that_would_hide_its_values_gets_robust_features(y, robust):
    (features,) = chosen(NOISE, y)[1].features
    assert (features[0] == "clipped") == robust


def test_long_ys_are_summed_up_and_few_columns_are_not():
    curve = NORMAL[:500] * np.sin(np.linspace(0, 6, 300)) + 0.1 * rng.standard_normal((500, 300))
    x = NORMAL[:500]
    columns = chosen(x, curve)[1]
    assert 2 <= columns.components <= 4 and not columns.sees_all
    assert chosen(x, curve[:, :20])[1].components == 0


def flow(x, y, **facts):
    model = ConditionalFlow(Variables.numbered("x", x.shape[1], **facts), Variables.numbered("y", y.shape[1]))
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    model = ConditionalFlow(*model.columns_for(x, y))
    model.initialise(x, y, torch.Generator().manual_seed(0))
    return model


def draws(model, y, n=20_000):
    y = torch.as_tensor(np.atleast_2d(y), dtype=torch.float64)
    return model.sample(y, n, torch.Generator().manual_seed(1))[0].numpy()


def test_before_the_first_step_a_linear_answer_over_decades_is_right():
    model = flow(DECADES, np.log10(DECADES) + 0.2 * NOISE)
    variance = 1 / (1 / 9 + 1 / 0.04)
    for y in (-6.0, 0.0, 6.0):
        log = np.log10(draws(model, y))
        np.testing.assert_allclose([log.mean(), log.std()], [variance * y / 0.04, variance**0.5], atol=0.01, rtol=0.02)


def test_before_the_first_step_a_phase_at_its_seam_is_in_one_piece():
    phase = 2 * math.pi * rng.random((N, 1))
    y = np.hstack([np.cos(phase), np.sin(phase)]) + 0.15 * rng.standard_normal((N, 2))
    model = flow(phase, y, bounds=((0.0, 2 * math.pi),), periods=(2 * math.pi,))
    for angle in (0.0, 1.0, math.pi, 6.2):
        x = draws(model, [math.cos(angle), math.sin(angle)])[:, 0]
        assert (x >= 0).all() and (x < 2 * math.pi).all()
        off = (x - angle + math.pi) % (2 * math.pi) - math.pi
        assert abs(off.mean()) < 0.03 and 0.13 < off.std() < 0.17 and (np.abs(off) > 1).mean() < 0.002


def test_the_choice_does_not_depend_on_the_unit():
    for unit in (1e-30, 1e30):
        assert chosen(unit * NORMAL, unit * (NORMAL + NOISE))[0].maps == ("identity",)
        assert chosen(unit * DECADES, np.log10(DECADES) + 0.2 * NOISE)[0].maps == ("log",)


@pytest.mark.parametrize("model", [INN, Adjoint])
def test_a_model_that_gives_y_takes_its_decades_by_a_logarithm(model):
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.standard_normal((2_000, 2)))
    y = torch.column_stack([torch.exp(8 * x[:, 0]), x[:, 1], torch.where(x[:, 1] > 2.5, 1e8, x[:, 0])])
    made = model(Variables(("a", "b")), Variables(("c", "d", "e")))
    _, columns = made.columns_for(x, y)
    assert columns.features == (("log",), ("plain",), ("log",))
    made = model(Variables(("a", "b")), columns)
    made.initialise(x, y, torch.Generator().manual_seed(0))
    features = made.features(y)
    assert features.shape == (2_000, 3) and features.abs().max() < 12
    assert features[:, 0].std() == pytest.approx(1, abs=0.01)
    assert any("logarithmic" in line for line in made.remarks())


@pytest.mark.parametrize("unit", [1e-318, 1e-200, 1e200])
def test_a_y_whose_squares_are_no_numbers_is_told_apart(unit):
    model = flow(NORMAL, unit * (NORMAL + 0.1 * NOISE))
    assert model.y.features == (("plain",),)
    for y in (-1.0, 1.0):
        assert draws(model, unit * y).mean() == pytest.approx(y / 1.01, abs=0.01)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
@pytest.mark.parametrize(
    "x, expected", [(NORMAL, "identity"), (np.where(NOISE > 0, 5 + 1e-3 * CAUCHY, CAUCHY), "quantile")]
)
def test_an_x_whose_squares_are_no_numbers_has_the_density_of_another_unit(x, expected, unit):
    models = flow(x, NOISE), flow(unit * x, NOISE)
    assert models[0].x.maps == models[1].x.maps == (expected,)
    points, y = torch.as_tensor(x[:100]), torch.as_tensor(NOISE[:100])
    plain, other = models[0].log_prob(points, y), models[1].log_prob(unit * points, y)
    torch.testing.assert_close(other + math.log(unit), plain, rtol=0, atol=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.95])
def test_a_sentinel_is_seen_however_many_rows_hold_it(share):
    rng = np.random.default_rng(1)
    for sentinel in (-999.0, 1e8):
        (features,) = chosen(NOISE, np.where(rng.random((N, 1)) < share, sentinel, NORMAL))[1].features
        assert features[0] == "clipped"
    (features,) = chosen(NOISE, 1.0 * (rng.random((N, 1)) < share))[1].features  # two values hide nothing
    assert features == ("plain",) or not 0.2 < share < 0.8


@pytest.mark.parametrize("rows", [10, 20, 50, 200])
def test_of_few_ordinary_rows_chance_makes_no_decades(rows):
    rng = np.random.default_rng(2)
    ordinary = np.hstack([rng.standard_normal((rows, 50)), rng.random((rows, 50)), rng.exponential(size=(rows, 50))])
    features = chosen(rng.standard_normal((rows, 1)), ordinary)[1].features
    assert sum(kinds[0] == "clipped" for kinds in features) <= 8
    (features,) = chosen(rng.standard_normal((rows, 1)), np.exp(8 * rng.standard_normal((rows, 1))))[1].features
    assert features[0] == "clipped"


def test_a_logarithm_of_an_open_column_leaves_no_density_below_zero():
    model = flow(np.exp(NORMAL), NOISE)
    assert model.x.maps == ("log",)
    edges = torch.cat([torch.linspace(-1e3, 0, 2_001).double(), torch.logspace(-6, 4, 20_001).double()])
    middle = ((edges[1:] + edges[:-1]) / 2)[:, None]
    density = model.log_prob(middle, torch.zeros_like(middle)).detach().double().exp()
    assert (density * edges.diff()).sum().item() == pytest.approx(1, abs=1e-3)
    assert not density[middle[:, 0] < 0].any()
    assert model.log_prob(torch.zeros(1, 1).double(), torch.zeros(1, 1).double()).isfinite()


def test_one_row_that_is_not_positive_rules_out_the_logarithm():
    x = np.exp(3 * np.random.default_rng(3).standard_normal((20_000, 1)))
    y = np.log(x) + np.random.default_rng(4).standard_normal(x.shape)
    assert chosen(x, y)[0].maps == ("log",)
    for row in range(0, 20_000, 5_000):
        x[row] = -1e-3
        assert chosen(x, y)[0].maps != ("log",)
        x[row] = 1.0


@pytest.mark.parametrize("bounds", [(0.0, None), (None, 0.0), (0.0, 1.0)])
def test_a_point_nearer_to_a_bound_than_any_training_value_has_its_own_density(bounds):
    x = np.random.default_rng(5).random((50, 1)) * (-1 if bounds[0] is None else 1)
    model = flow(x, NOISE[:50], bounds=(bounds,))
    near = torch.as_tensor(x[np.abs(x).argmin()] * np.array([[1e-9], [1e-6], [0.1], [0.2], [0.3], [0.4]]))
    y = torch.zeros_like(near)
    assert len(torch.unique(model.log_prob(near, y))) == len(near)
    assert model.diagnostics(near, y)["invertibility_error"] < 1e-3


@pytest.mark.parametrize("name", ["rnvp", "nice", "glow", "maf", "iaf", "spline", "marginal", "iresnet"])
def test_a_model_that_gives_a_single_unknown_one_hump_says_so(name):
    one, two = (PRESETS[name](Variables.numbered("x", dim), Variables.numbered("y", 1)) for dim in (1, 2))
    assert any("model=spline" in line for line in one.remarks()) == (name not in ("spline", "marginal", "iresnet"))
    assert not two.remarks()


def test_before_the_first_step_heavy_tails_in_a_box_are_told_at_every_size():
    y = np.arcsinh(CAUCHY) + 0.3 * NOISE
    model = flow(CAUCHY, y, bounds=((-2e4, 2e4),))
    for at in (0.0, 2.0, -4.0):
        x = draws(model, at)
        assert abs(np.arcsinh(np.median(x)) - at) < 0.6 and np.arcsinh(x).std() < 0.6
