"""The Model contract over the catalogue, and what a conditional flow must get right."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from catalogue import MODELS
from inncli.errors import ConvergenceError
from inncli.variables import Variables

X2, Y1 = Variables.numbered("x", 2), Variables.numbered("y", 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def randomised(name, x=X2, y=Y1, rows=None, ys=None):
    """A model away from its start, in float64, scaled to data that is far from standard."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(1)
    model = MODELS[name](x=x, y=y)
    torch.set_default_dtype(before)
    if rows is None:
        rows = torch.randn(400, x.dim, generator=seeded(2), dtype=torch.float64) * 3 + 10
        ys = None if y is None else torch.randn(400, y.dim, generator=seeded(3), dtype=torch.float64)
    model.initialise(rows, ys, seeded(4))
    generator = seeded(5)
    with torch.no_grad():
        for parameter in model.blocks.parameters():
            parameter.add_(0.15 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def grid_integral(model, low, high, y, n):
    """Midpoint rule of exp(log_prob) over a box in 1-D or 2-D."""
    axes = [np.linspace(a, b, n + 1)[:-1] + (b - a) / n / 2 for a, b in zip(low, high, strict=True)]
    points = torch.as_tensor(np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], 1))
    rows = None if y is None else torch.as_tensor(y).expand(len(points), -1)
    with torch.no_grad():
        density = model.log_prob(points, rows).exp()
    cell = np.prod([(b - a) / n for a, b in zip(low, high, strict=True)])
    return points.numpy(), density.numpy() * cell


every_model = pytest.mark.parametrize("name", MODELS)


@every_model
def test_density_integrates_to_one_and_matches_its_draws_cell_by_cell(name):
    model = randomised(name)
    y = torch.tensor([[0.5]], dtype=torch.float64)
    x = model.sample(y, 40_000, seeded())[0].numpy()
    # Bounds that hold all but a few of the draws of a heavy-tailed random flow.
    low, high = np.quantile(x, 0.0005, axis=0) - 3, np.quantile(x, 0.9995, axis=0) + 3
    inside = ((x > low) & (x < high)).all(1).mean()
    points, mass = grid_integral(model, low, high, y, 500)
    assert abs(mass.sum() - inside) < 0.005
    edges = [np.linspace(a, b, 11) for a, b in zip(low, high, strict=True)]
    drawn = np.histogram2d(*x.T, bins=edges)[0] / len(x)
    expected = np.histogram2d(*points.T, bins=edges, weights=mass)[0]
    error = 5 * np.sqrt(expected * (1 - expected) / len(x)) + 1e-3
    assert (np.abs(drawn - expected) < error).all()


@every_model
def test_one_dimension(name):
    x = Variables.numbered("x", 1)
    model = randomised(name, x=x)
    draws = model.sample(torch.zeros(1, 1, dtype=torch.float64), 20_000, seeded())[0, :, 0].numpy()
    low, high = [draws.min() - 5], [draws.max() + 5]
    _, mass = grid_integral(model, low, high, torch.zeros(1, 1, dtype=torch.float64), 20_000)
    assert abs(mass.sum() - 1) < 0.005


@every_model
def test_without_y_and_odd_dimension(name):
    x = Variables.numbered("x", 3)
    model = randomised(name, x=x, y=None)
    draws = model.sample(None, 7, seeded())
    assert draws.shape == (1, 7, 3)
    assert model.log_prob(draws[0], None).shape == (7,)
    assert model.diagnostics(draws[0], None)["invertibility_error"] < 1e-9


@every_model
def test_y_changes_the_draws_and_rows_belong_to_their_y(name):
    model = randomised(name)
    y = torch.tensor([[-2.0], [2.0]], dtype=torch.float64)
    both = model.sample(y, 5, seeded())
    assert both.shape == (2, 5, 2)
    assert (both[0] - both[1]).abs().max() > 1e-3
    again = model.sample(y, 5, seeded())
    assert torch.equal(both, again)


@pytest.mark.parametrize("bounds", ["logit", "truncate"])
def test_no_draw_leaves_the_box_and_the_density_is_that_of_the_box(bounds):
    x = Variables.numbered("x", 2, bounds=((0.0, 1.0), (-1.0, None)))
    rows = torch.rand(1000, 2, generator=seeded(), dtype=torch.float64) * torch.tensor([1.0, 3.0]) - torch.tensor(
        [0.0, 1.0]
    )
    ys = rows.sum(1, keepdim=True) + 0.1 * torch.randn(1000, 1, generator=seeded(), dtype=torch.float64)
    model = randomised("rnvp_truncate" if bounds == "truncate" else "rnvp", x=x, rows=rows, ys=ys)
    y = torch.tensor([[1.5]], dtype=torch.float64)
    draws = model.sample(y, 20_000, seeded())[0]
    assert (draws[:, 0] >= 0).all() and (draws[:, 0] <= 1).all() and (draws[:, 1] >= -1).all()
    outside = model.log_prob(torch.tensor([[1.1, 0], [0.5, -1.01]], dtype=torch.float64), y.expand(2, -1))
    assert (outside == -math.inf).all()
    top = float(draws[:, 1].max()) + 5
    _, mass = grid_integral(model, [0, -1], [1, top], y, 1000)
    assert abs(mass.sum() - 1) < (0.03 if bounds == "truncate" else 0.01)  # Monte Carlo mass of 2,000


def test_truncation_that_can_never_succeed_ends_with_a_clear_error():
    x = Variables.numbered("x", 1, bounds=((0.0, 1.0),))
    model = randomised(
        "rnvp_truncate", x=x, rows=torch.rand(100, 1, dtype=torch.float64), ys=torch.rand(100, 1, dtype=torch.float64)
    )
    with torch.no_grad():
        model.linear.b.fill_(1e6)
    with pytest.raises(ConvergenceError, match="model.bounds=auto"):
        model.sample(torch.zeros(1, 1, dtype=torch.float64), 3, seeded())


def test_a_truncated_density_is_not_made_up_where_no_draw_falls_inside():
    x = Variables.numbered("x", 1, bounds=((0.0, 1.0),))
    rows = torch.rand(2000, 1, generator=seeded(9), dtype=torch.float64)
    ys = rows + 0.1 * torch.randn(2000, 1, generator=seeded(8), dtype=torch.float64)
    model = randomised("rnvp_truncate", x=x, rows=rows, ys=ys)
    for value, error in [(1.3, 0.15), (1.5, 0.2), (2.0, 0.3)]:  # .04, .008 and .0006 of the mass are inside
        y = torch.full((1, 1), value, dtype=torch.float64)
        _, mass = grid_integral(model, [0], [1], y, 2000)
        assert abs(mass.sum() - 1) < error
    with torch.no_grad():
        model.linear.b.add_(1e6)
    with pytest.raises(ConvergenceError, match="none of 200,000 draws fell inside x_bounds"):
        grid_integral(model, [0], [1], y, 10)


@every_model
def test_far_outside_a_draw_is_finite_or_refused_and_a_density_is_never_nan(name):
    model = randomised(name).float()
    for value in (1e3, -1e6, 1e12):
        y = torch.full((1, 1), value, dtype=torch.float64)
        draws = model.sample(y, 50, seeded())
        assert draws.isfinite().all() and not model.log_prob(draws[0], y.expand(50, -1)).isnan().any()
    if not getattr(model, "ignores_y", False):
        with pytest.raises(ConvergenceError, match="y is too far from what training saw"):
            model.sample(torch.full((1, 1), 1e300, dtype=torch.float64), 50, seeded())
    far = torch.tensor([[1e38, 0.0], [0, -1e300], [math.inf, 0], [math.nan, 0]], dtype=torch.float64)
    assert (model.log_prob(far, torch.zeros(4, 1, dtype=torch.float64)) == -math.inf).all()


def heaped(n=4000):
    """Two recorded columns: 40 % exact zeros and a grid of .1; whole days with a heap at 28."""
    rng = np.random.default_rng(0)
    first = np.where(rng.random(n) < 0.4, 0.0, rng.gamma(4, 20, n).round(1))
    second = np.where(rng.random(n) < 0.3, 28.0, rng.integers(1, 100, n))
    x = Variables(("a", "b"), bounds=((0.0, 400.0), (0.0, 120.0)), steps=(0.1, 1.0), heaps=((0.0,), (28.0,)))
    return x, torch.as_tensor(np.column_stack([first, second]))


def test_heaps_are_drawn_exactly_and_as_often_as_they_occur():
    x, rows = heaped()
    model = MODELS["rnvp"](x=x, y=None)
    model.initialise(rows, None, seeded())
    draws = model.sample(None, 20_000, seeded())[0]
    assert abs((draws[:, 0] == 0).double().mean() - (rows[:, 0] == 0).double().mean()) < 0.02
    assert abs((draws[:, 1] == 28).double().mean() - (rows[:, 1] == 28).double().mean()) < 0.02
    assert (draws >= 0).all() and (draws[:, 0] <= 400).all() and (draws[:, 1] <= 120).all()
    assert torch.equal(draws[:, 1], draws[:, 1].round())
    assert torch.equal(draws[:, 0], (draws[:, 0] * 10).round() / 10)


def test_density_of_recorded_columns_sums_to_one_over_their_cells():
    x, rows = heaped()
    one = Variables(("b",), x.bounds[1:], x.steps[1:], x.heaps[1:])
    model = randomised("rnvp", x=one, y=None, rows=rows[:, 1:])
    days = torch.arange(-0.5, 120.5, 0.01, dtype=torch.float64)[:, None] + 0.005
    assert abs(float(model.log_prob(days, None).exp().sum().detach()) * 0.01 - 1) < 0.01


@torch.no_grad()
def test_an_open_column_with_a_heap_has_no_density_beyond_its_knots():
    x, rows = heaped()
    one = Variables(("b",), steps=x.steps[1:], heaps=x.heaps[1:])  # no bounds
    model = randomised("rnvp", x=one, y=None, rows=rows[:, 1:])
    days = torch.arange(-3000, 3000, 0.05, dtype=torch.float64)[:, None]
    assert abs(float(model.log_prob(days, None).exp().sum().detach()) * 0.05 - 1) < 0.01


@torch.no_grad()
def test_recorded_draws_are_whole_steps_inside_bounds_that_are_none():
    x = Variables(("a", "b"), bounds=((0.03, 10.27), (-0.3, None)), steps=(0.1, 0.3))
    rows = torch.rand(500, 2, generator=seeded(), dtype=torch.float64)
    rows = torch.stack([(0.1 + 10.1 * rows[:, 0]).mul(10).round() / 10, (rows[:, 1] * 9).round() * 0.3 - 0.3], 1)
    draws = randomised("rnvp", x=x, y=None, rows=rows).sample(None, 20_000, seeded())[0]
    assert draws[:, 0].min() == 0.1 and draws[:, 0].max() == 10.2 and draws[:, 1].min() >= -0.3
    assert torch.equal(draws[:, 0], (draws[:, 0] * 10).round() / 10)
    zeros = draws[draws == 0]
    assert len(zeros) and not zeros.signbit().any()  # no column of a table reads -0.0


def test_labels_are_one_hot_inside():
    y = Variables(("class",), labels=(("ant", "bee", "cat"),))
    codes = torch.tensor([[0.0], [1], [2]] * 100, dtype=torch.float64)
    rows = torch.randn(300, 2, generator=seeded(), dtype=torch.float64) + 5 * codes
    model = MODELS["rnvp"](x=X2, y=y)
    model.initialise(rows, codes, seeded())
    # The closed-form layer alone puts each class where it is, whatever the order of the codes.
    draws = model.sample(torch.tensor([[0.0], [1], [2]], dtype=torch.float64), 2000, seeded())
    for code in range(3):
        assert (draws[code].mean(0) - rows[codes[:, 0] == code].mean(0)).abs().max() < 0.15


def test_linear_start_alone_is_the_exact_posterior_of_a_linear_problem():
    generator = seeded()
    x = torch.randn(100_000, 2, generator=generator, dtype=torch.float64)
    y = x.sum(1, keepdim=True) + 0.3 * torch.randn(100_000, 1, generator=generator, dtype=torch.float64)
    model = MODELS["rnvp"](x=X2, y=Y1)
    model.initialise(x, y, seeded())
    precision = np.eye(2) + np.ones((2, 2)) / 0.09
    covariance = np.linalg.inv(precision)
    draws = model.sample(torch.tensor([[2.0]], dtype=torch.float64), 50_000, seeded())[0].numpy()
    assert np.abs(draws.mean(0) - covariance @ np.ones(2) * 2 / 0.09).max() < 0.02
    assert np.linalg.norm(np.cov(draws.T) - covariance) / np.linalg.norm(covariance) < 0.03


def test_a_checkpoint_of_the_first_release_still_loads():
    model = randomised("rnvp")
    state = {
        name.removeprefix("scale.") if name in ("scale.step", "scale.low", "scale.high") else name: value
        for name, value in model.state_dict().items()
    }
    again = randomised("rnvp", rows=torch.rand(50, 2, dtype=torch.float64), ys=torch.rand(50, 1, dtype=torch.float64))
    again.load_state_dict(state)
    assert "step" in state and torch.equal(again.scale.high, model.scale.high)
    x, y = torch.zeros(3, 2, dtype=torch.float64), torch.zeros(3, 1, dtype=torch.float64)
    assert torch.equal(again.log_prob(x, y), model.log_prob(x, y))
