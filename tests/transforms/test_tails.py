"""The quantile map within bounds: its tails are cut off there, and lose nothing of their density."""

import math

import numpy as np
import pytest
import torch

from inncli.transforms.column_map import Quantile

rng = np.random.default_rng(0)
CAUCHY = rng.standard_cauchy(5_000)
COLUMNS = {
    "open": (CAUCHY, (None, None)),
    "a box as wide as the tails": (CAUCHY, (-3e4, 3e4)),
    "a box that cuts": (2 * rng.beta(0.8, 1.2, 5_000), (0.0, 2.0)),
    "half open below": (np.exp(3 * rng.standard_normal(5_000)), (0.0, None)),
    "half open above": (-np.exp(3 * rng.standard_normal(5_000)), (None, 0.0)),
    "flat to the bounds": (rng.random(5_000), (0.0, 1.0)),
}


@pytest.fixture(params=COLUMNS.values(), ids=COLUMNS)
def fitted(request):
    x, bound = request.param
    made = Quantile(bound)
    made.fit(torch.as_tensor(x))
    return made, torch.as_tensor(x), [-math.inf if bound[0] is None else bound[0], bound[1] or math.inf]


def test_there_and_back(fitted):
    made, x, _ = fitted
    z, ladj = made(x)
    back, opposite = made.inverse(z)
    torch.testing.assert_close(back, x, rtol=1e-9, atol=1e-12)
    assert z.isfinite().all() and float((ladj + opposite).abs().max()) < 1e-9


def test_draws_stay_inside_and_rise_with_z(fitted):
    made, _, (low, high) = fitted
    x = made.inverse(torch.linspace(-12, 12, 20_001).double())[0]
    assert (x.diff() >= 0).all() and float(x.min()) >= low and float(x.max()) <= high


def test_the_derivative_is_that_of_the_map(fitted):
    made, *_ = fitted
    z = torch.linspace(-5, 5, 40_001).double()
    x, ladj = made.inverse(z)
    slope = (x[2:] - x[:-2]) / (z[2:] - z[:-2])
    inner = slope > 1e-9 * x.abs()[1:-1] / 2.5e-4
    torch.testing.assert_close(slope.log()[inner], ladj[1:-1][inner], rtol=0, atol=1e-2)
    assert inner.double().mean() > 0.8
