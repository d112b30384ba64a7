"""The rational-quadratic spline at its knots, its bounds and with extreme parameters; without data-dependent shapes."""

from __future__ import annotations

from functools import partial

import jaxtyping
import numpy as np
import pytest
import torch

from inncli.models.flow import ConditionalFlow
from inncli.transforms.blocks import SplineBlock
from inncli.transforms.coupling import Coupling
from inncli.transforms.spline import RationalQuadratic
from inncli.variables import Variables

SPLINE = RationalQuadratic(bins=5, bound=3.0)


def parameters(seed=0, scale=1.5, rows=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, SPLINE.n_params, generator=generator, dtype=torch.float64).to(dtype)


def knots(params):
    """x, y and slope of each of one row's knots, (bins + 1,) each."""
    return SPLINE._knots(params, 1)[0, :, :, 0]


def value_and_ladj(direction, at, params):
    """Of many points of one coordinate under one row of parameters: (n,) each."""
    return [out.reshape(-1) for out in direction(at[:, None], params.expand(len(at), -1))]


def gradients(direction, at, params):
    """Of value and log derivative, by x (n,) and by the parameters (n, P)."""
    at, rows = at.clone().requires_grad_(), params.expand(len(at), -1).clone().requires_grad_()
    found = []
    for out in direction(at[:, None], rows):
        found += torch.autograd.grad(out.sum(), (at, rows), retain_graph=True)
    return found


def numeric(direction, at, params, step=1e-8):
    """The same by central differences."""
    up, down = (value_and_ladj(direction, at + s, params) for s in (step, -step))
    by_x = [(a - b) / (2 * step) for a, b in zip(up, down, strict=True)]
    by_params = [[], []]
    for j in range(params.shape[1]):
        shift = step * torch.eye(params.shape[1], dtype=params.dtype)[j]
        up, down = (value_and_ladj(direction, at, params + s * shift) for s in (1, -1))
        for column, a, b in zip(by_params, up, down, strict=True):
            column.append((a - b) / (2 * step))
    return by_x[0], torch.stack(by_params[0], 1), by_x[1], torch.stack(by_params[1], 1)


directions = pytest.mark.parametrize("name", ["forward", "inverse"])


def test_zero_parameters_are_the_identity_in_and_outside_the_box():
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    for direction in (SPLINE.forward, SPLINE.inverse):
        value, ladj = value_and_ladj(direction, x, parameters(scale=0))
        assert (value - x).abs().max() < 1e-14 and ladj.abs().max() < 1e-14


def test_it_meets_its_knots_with_their_slopes_and_rises():
    params = parameters()
    x, y, slope = knots(params)
    z, ladj = value_and_ladj(SPLINE.forward, x, params)
    assert (z - y).abs().max() < 1e-13
    assert (ladj.exp() - slope).abs().max() < 1e-12
    assert slope[0] == slope[-1] == 1
    fine = value_and_ladj(SPLINE.forward, torch.linspace(-4, 4, 10_001, dtype=torch.float64), params)[0]
    assert (fine.diff() > 0).all()


def test_between_two_knots_it_is_the_papers_formula():
    params = parameters(3)
    x, y, d = knots(params)
    theta = 0.3
    for k in range(SPLINE.bins):
        h, w = y[k + 1] - y[k], x[k + 1] - x[k]
        s = h / w
        z = y[k] + h * (s * theta**2 + d[k] * theta * (1 - theta)) / (
            s + (d[k + 1] + d[k] - 2 * s) * theta * (1 - theta)
        )
        assert abs(value_and_ladj(SPLINE.forward, (x[k] + theta * w)[None], params)[0] - z) < 1e-13


@directions
@pytest.mark.parametrize("seed", [0, 1])
def test_gradients_at_and_beside_every_knot_and_bound(name, seed):
    direction, params = getattr(SPLINE, name), parameters(seed)
    knot = knots(params)[0 if name == "forward" else 1]
    # The value is continuously differentiable: at the knots themselves differences see the same slope.
    exact = gradients(direction, knot, params)
    assert all(g.isfinite().all() for g in exact)
    for g, truth in zip(exact[:2], numeric(direction, knot, params)[:2], strict=True):
        assert (g - truth).abs().max() < 1e-4
    # The log derivative has a kink there: each side has its own, and the knot itself takes one of them.
    sides = []
    for shift in (-1e-6, 1e-6):
        beside = gradients(direction, knot + shift, params)
        for g, truth in zip(beside, numeric(direction, knot + shift, params), strict=True):
            assert (g - truth).abs().max() < 1e-4
        sides.append(beside)
    for k in (2, 3):
        to_side = torch.minimum(*[(exact[k] - side[k]).reshape(len(knot), -1).abs().amax(1) for side in sides])
        assert (to_side < 0.05).all()


def test_the_inverse_keeps_its_gradient_in_the_middle_of_a_straight_bin():
    # There q = 0 exactly, where an absolute value would drop the gradient by the slopes.
    inverse = RationalQuadratic(bins=2, bound=1.0).inverse
    middle, params = torch.tensor([0.5], dtype=torch.float64), torch.zeros(1, 5, dtype=torch.float64)
    for g, truth in zip(gradients(inverse, middle, params), numeric(inverse, middle, params), strict=True):
        assert (g - truth).abs().max() < 1e-6


@directions
def test_extreme_parameters_in_float32_stay_finite(name):
    direction = getattr(SPLINE, name)
    generator = torch.Generator().manual_seed(0)
    for size in (30.0, 1e4, 1e30):
        params = size * torch.randn(20, SPLINE.n_params, generator=generator)
        for row in params.split(1):
            knot = knots(row)[0 if name == "forward" else 1]
            eps = 4e-7
            at = torch.cat([knot, knot * (1 - eps), knot * (1 + eps), torch.tensor([0.0, -50, 50, 1e30])])
            value, ladj = value_and_ladj(direction, at, row)
            assert value.isfinite().all() and ladj.isfinite().all()
            assert all(g.isfinite().all() for g in gradients(direction, at, row))


@directions
def test_float32_gradients_are_those_of_float64(name):
    direction, params = getattr(SPLINE, name), parameters(2)
    at = torch.linspace(-3.5, 3.5, 40, dtype=torch.float64)
    for single, double in zip(
        gradients(direction, at.float(), params.float()), gradients(direction, at, params), strict=True
    ):
        assert (single - double).abs().max() < 1e-3


def test_the_inverse_loses_no_digits_where_the_slopes_of_a_bin_differ_most():
    spline = RationalQuadratic(bins=2, bound=1.0, clamp=14.0)
    params = torch.tensor([[0.0, 0, 0, 0, 1e3]])  # a slope of e^14 in the middle, beside 1 at the bounds
    z = torch.linspace(-1, 1, 2001)
    x = spline.inverse(z[:, None], params.expand(len(z), -1))[0]
    truth = spline.inverse(z.double()[:, None], params.double().expand(len(z), -1))[0]
    assert (x - truth).abs().max() < 1e-6


def test_it_compiles_to_one_graph(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the checks of the tests are no part of a graph
    torch.manual_seed(0)
    block = Coupling(3, 2, SPLINE, [8])
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    x, context = 4 * torch.randn(16, 3), torch.randn(16, 2)
    compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
    for found, truth in zip(compiled(x, context), block(x, context), strict=True):
        assert torch.allclose(found, truth, atol=1e-5)
    inverse = torch.compile(block.inverse, backend="aot_eager", fullgraph=True)
    for found, truth in zip(inverse(x, context), block.inverse(x, context), strict=True):
        assert torch.allclose(found, truth, atol=1e-5)


@directions
def test_it_vmaps_and_so_do_its_gradients(name):
    direction = getattr(SPLINE, name)
    members = torch.stack([parameters(seed, rows=6) for seed in range(3)])  # an ensemble of three
    x = torch.linspace(-4, 4, 6, dtype=torch.float64)[:, None]
    together = torch.func.vmap(lambda p: direction(x, p))(members)
    for k in (0, 1):
        assert torch.equal(together[k], torch.stack([direction(x, p)[k] for p in members]))
    slopes = torch.func.vmap(torch.func.grad(lambda p: direction(x, p)[1].sum()))(members)
    for p, slope in zip(members, slopes, strict=True):
        p = p.clone().requires_grad_()
        assert torch.allclose(slope, torch.autograd.grad(direction(x, p)[1].sum(), p)[0])


def test_nan_stays_nan():
    value, _ = value_and_ladj(SPLINE.forward, torch.tensor([torch.nan, 0.5], dtype=torch.float64), parameters())
    assert value[0].isnan() and value[1].isfinite()


def test_one_unknown_gets_its_two_humps():
    # y = x^2 + noise: given y = 1 there is a hump at -1 and one at 1, which no affine map of one unknown can make.
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 1, generator=generator, dtype=torch.float64)
    y = x.square() + 0.1 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    torch.manual_seed(0)
    facts = Variables.numbered("x", 1), Variables.numbered("y", 1)
    model = ConditionalFlow(*facts, partial(SplineBlock, hidden=[32]), n_blocks=3, dim_embedding=8)
    model.initialise(x, y, generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 400)
        rows = torch.randint(len(x), (256,), generator=generator)
        optimizer.zero_grad()
        model.loss(x[rows], y[rows], generator).backward()
        optimizer.step()
    draws = model.sample(torch.ones(1, 1, dtype=torch.float64), 5000, generator)[0, :, 0].numpy()
    assert abs((draws > 0).mean() - 0.5) < 0.1
    assert (np.abs(np.abs(draws) - 1) > 0.3).mean() < 0.02  # five sds of the noise's .05 in x, and more
