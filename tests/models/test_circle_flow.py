"""Flows on a circle: no draw off it, no seam in the density, whatever keeps bounded columns inside."""

import numpy as np
import pytest
import torch

from inncli.models.flow import ConditionalFlow
from inncli.models.inn import INN
from inncli.variables import Variables

X = Variables(
    ("phase", "angle", "r"),
    bounds=((-1.0, 1.0), (0.0, 360.0), (0.0, 4.0)),
    steps=(0.0, 1.0, 1.0),
    periods=(2.0, 360.0, None),
)
Y = Variables.numbered("y", 2)


def pairs(rows=600):
    """A phase and an angle that y tells, both about where their circles are cut."""
    rng = np.random.default_rng(0)
    a = 0.6 * rng.standard_normal(rows)
    phase = (np.pi + a + 0.1 * rng.standard_normal(rows)) / np.pi
    phase = (phase + 1) % 2 - 1
    angle = np.round(np.degrees(a + 0.1 * rng.standard_normal(rows))) % 360
    x = np.column_stack([phase, angle, rng.integers(0, 5, rows)])
    return torch.as_tensor(x), torch.as_tensor(np.column_stack([np.cos(a), np.sin(a)]))


def flow(bounds="auto", kind=ConditionalFlow, **arguments):
    """An untrained model, which is the fit in closed form, with weights moved off their start."""
    x, y = pairs()
    torch.manual_seed(0)
    words = {"bounds": bounds, "n_blocks": 2, "block": "spline"} if kind is ConditionalFlow else {"n_blocks": 2}
    columns = kind(X, Y, **words, **arguments).columns_for(x, y)
    model = kind(*columns, **words, **arguments)
    model.initialise(x, y, torch.Generator().manual_seed(1))
    return model.eval()


@pytest.mark.parametrize("bounds", ["auto", "logit", "truncate", "clip"])
def test_draws_lie_on_the_circle_and_on_its_grid(bounds):
    model, (_, y) = flow(bounds), pairs()
    draws = model.sample(y[:5], 2_000, torch.Generator().manual_seed(2))
    phase, angle, _ = draws.unbind(-1)
    assert (phase >= -1).all() and (phase < 1).all()
    assert (angle >= 0).all() and (angle < 360).all() and (angle == angle.round()).all()
    assert (angle == 0).any() and (angle == 359).any()
    # Whatever the cut, draws surround where y points.
    expected = torch.rad2deg(torch.atan2(y[:5, 1], y[:5, 0]))[:, None]
    off = torch.remainder(angle - expected + 180, 360) - 180
    assert off.square().mean().sqrt() < 15 and off.mean().abs() < 3
    assert bounds != "clip" or model.scale.truncated.bounds == ((None, None),) * 3
    assert bounds != "truncate" or model.scale.truncated.bounds == ((None, None), (None, None), (-0.5, 4.5))


@pytest.mark.parametrize("bounds", ["auto", "truncate"])
def test_the_density_has_no_seam_and_no_outside(bounds):
    model = flow(bounds)
    x, y = pairs(50)
    turned = x + torch.tensor([2.0, -720.0, 0.0])
    with torch.no_grad():
        log_prob, again = model.log_prob(x, y), model.log_prob(turned, y)
    assert log_prob.isfinite().all()
    torch.testing.assert_close(again, log_prob, rtol=1e-5, atol=1e-4)
    ends = torch.tensor([[-1.0, 0.0, 2.0], [1.0, 360.0, 2.0]], dtype=torch.float64)
    with torch.no_grad():
        one, other = model.log_prob(ends, y[:1].expand(2, -1)).tolist()
    assert one == pytest.approx(other, abs=1e-4)


def test_the_density_integrates_to_one_round_the_circle():
    x = Variables(("phase",), bounds=((-1.0, 1.0),), periods=(2.0,))
    both, y = pairs()
    model = ConditionalFlow(x, Y, n_blocks=2, block="spline")
    model = ConditionalFlow(*model.columns_for(both[:, :1], y), n_blocks=2, block="spline")
    model.initialise(both[:, :1], y, torch.Generator().manual_seed(1))
    grid = torch.linspace(-1, 1, 4_001, dtype=torch.float64)[:-1, None]
    with torch.no_grad():
        mass = model.eval().log_prob(grid, y[:1].expand(len(grid), -1)).exp().mean() * 2
    assert float(mass) == pytest.approx(1, abs=1e-3)


def test_a_hair_below_the_end_is_the_beginning():
    period = 6.2832
    assert 24 * (period / 24) < period
    x = Variables(("phase",), bounds=((0.0, period),), steps=(period / 24,), periods=(period,))
    scale = ConditionalFlow(x, Y, n_blocks=1).scale
    drawn = scale.record(torch.linspace(0, period, 10_001, dtype=torch.float64)[:, None])
    assert len(drawn.unique()) == 24 and drawn.max() < 23.5 * period / 24


def test_for_an_inn_it_is_a_range():
    model = flow(kind=INN)
    draws = model.sample(pairs(3)[1], 500, torch.Generator().manual_seed(2))
    assert (draws[..., 1] >= 0).all() and (draws[..., 1] < 360).all()
