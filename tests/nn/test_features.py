"""The features of y: plain ones that stand as they were, robust ones that survive any scale."""

import numpy as np
import pytest
import torch

from inncli.errors import DataError
from inncli.nn.components import Components, number_of_components
from inncli.nn.features import CLIP, ROBUST, WIDE, Features
from inncli.variables import Variables


def fitted(values, kinds=ROBUST, **facts):
    y = Variables(("y",), features=(kinds,), **facts)
    features = Features(y)
    features.initialise(torch.as_tensor(values, dtype=torch.float64)[:, None])
    return lambda v: features(torch.as_tensor(v, dtype=torch.float64)[:, None]).numpy()


rng = np.random.default_rng(0)
NORMAL = rng.standard_normal(5_000)


def test_a_sentinel_leaves_the_others_their_digits():
    values = np.where(rng.random(5_000) < 0.01, 1e8, NORMAL)
    clipped, log, rank = fitted(values)([-1.0, 0.0, 1.0, 1e8]).T
    np.testing.assert_allclose(np.diff(clipped[:3]), 1, atol=0.05)
    np.testing.assert_allclose(np.diff(rank[:3]), 1, atol=0.08)
    assert clipped[3] == CLIP and rank[3] > 2.3 and log[3] > 5


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_decades_are_steps_of_one_size(unit):
    _, log, rank = fitted(unit * np.exp(8 * NORMAL))(unit * np.exp(8 * np.array([-1.0, 0.0, 1.0]))).T
    np.testing.assert_allclose(np.diff(log), 1, rtol=0.05)
    np.testing.assert_allclose(np.diff(rank), 1, rtol=0.1)


def test_a_y_beyond_what_can_be_summed_is_refused_and_all_others_are_finite():
    y = Variables(("a", "b"), features=(ROBUST, ("plain",)))
    decades = torch.as_tensor(np.column_stack([10.0 ** np.linspace(-300, 300, 50), NORMAL[:50]]))
    features = Features(y)
    features.initialise(decades)
    assert features(decades).isfinite().all()
    decades[0, 0] = 1e305
    with pytest.raises(DataError, match="'a' reaches 1e\\+305"):
        features.initialise(decades)


def test_counts_have_a_rank_for_each_value():
    counts = rng.poisson(np.exp(4 * rng.standard_normal(5_000))).astype(float)
    _, log, rank = fitted(counts)([0.0, 1.0, 2.0, 3.0]).T
    assert (np.diff(rank) > 0.02).all() and (np.diff(log) > 0.1).all()


def test_a_few_values_are_no_trouble():
    for values in ([1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0], [0.0] * 99 + [5.0]):
        out = fitted(values)([0.0, 1.0, 1e300, -1e300])
        assert np.isfinite(out).all()


def test_what_may_be_very_large_is_shown_to_no_net():
    y = Variables(("a", "b"), features=((*ROBUST, WIDE), ("plain",)))
    features = Features(y)
    values = torch.as_tensor(np.column_stack([rng.standard_cauchy(500), NORMAL[:500]]))
    features.initialise(values)
    all_of_them = features(values)
    assert features.dim_out == 5 and features.dim_shown == 4
    shown = features.shown(all_of_them)
    assert torch.equal(shown, all_of_them[:, [0, 1, 2, 4]]) and float(shown.abs().max()) < 20
    assert features.first(1) == 3


def test_a_label_stays_one_hot_beside_robust_columns():
    y = Variables(("a", "k"), features=(ROBUST, ()), labels=(None, ("u", "v", "w")))
    features = Features(y)
    values = torch.as_tensor(np.column_stack([NORMAL[:50], np.arange(50) % 3]))
    features.initialise(values)
    assert features.dim_out == 6 and torch.equal(features(values)[:3, 3:], torch.eye(3, dtype=torch.float64))


def test_a_smooth_curve_has_few_components_and_noise_none():
    t = np.linspace(0, 1, 200)
    a, b = rng.standard_normal((2, 500, 1))
    curve = torch.as_tensor(a * np.sin(6 * t) + b * t + 0.05 * rng.standard_normal((500, 200)))
    assert number_of_components(curve) == 2
    assert number_of_components(torch.as_tensor(rng.standard_normal((500, 200)))) <= 1


def test_components_hold_what_is_linear_in_x():
    a = rng.standard_normal((3, 100)) / 10
    f = torch.as_tensor(rng.standard_normal((400, 100)))
    components = Components(100, 7, dim_x=3)
    components.initialise(f, torch.as_tensor(a))
    c = components(f)
    np.testing.assert_allclose(c.std(0, correction=0).numpy(), 1)
    wanted = f @ torch.as_tensor(a).T
    left = wanted - c @ torch.linalg.lstsq(c, wanted - wanted.mean(0)).solution - wanted.mean(0)
    assert float(left.abs().max()) < 1e-9


def test_one_number_a_column_keeps_the_units_of_y():
    """A plain column, a logarithmic one, a label: the differences of their features are those of the values."""
    y = Variables(("a", "b", "c"), labels=(None, None, ("u", "v")), features=((), ("log",), ()))
    rows = torch.tensor(
        np.column_stack([3 + 5 * NORMAL, np.exp(4 * rng.standard_normal(5_000)), rng.integers(0, 2, 5_000)])
    )
    features = Features(y)
    features.initialise(rows)
    one, two = rows[:50], rows[50:100]
    off = features.apart(features(one), features(two))
    torch.testing.assert_close(off[:, :2], (one - two)[:, :2], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(off[:, 3], (one - two)[:, 2])
    known = features.known_noise(torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64))
    torch.testing.assert_close(known, torch.tensor([0.1, 0, 0, 0], dtype=torch.float64), rtol=0.05, atol=0)
