"""Mean, sd and quantiles: far from 0, on a circle, and in parts."""

from math import fsum

import numpy as np
import pytest

from inncli.inference.summary import Column
from inncli.numerics import circle
from inncli.numerics.statistics import mean, mean_and_sd, mean_and_variance, sd, statistics

TURN = (0.0, 360.0)


def exact(column):
    """Mean less its first value, and sd, by sums without an error."""
    rest = [float(value) for value in column - column[0]]
    middle = fsum(rest) / len(rest)
    return middle, np.sqrt(fsum((value - middle) ** 2 for value in rest) / len(rest))


@pytest.mark.parametrize(("offset", "spread"), [(1e12, 0.288), (-5e8, 3e-4), (1e9, 1.0), (0.0, 1e-12)])
@pytest.mark.parametrize("parts", [1, 8])
def test_rows_beside_an_offset_have_their_own_mean_and_sd(offset, spread, parts):
    # Two columns, so that numpy adds one row after another.
    x = offset + spread * np.random.default_rng(0).standard_normal((20_000, 2))
    found = statistics(x)
    for i, column in enumerate(x.T):
        middle, deviation = exact(column)
        ulp = np.spacing(abs(offset) + spread)
        assert found["mean"][i] - column[0] == pytest.approx(middle, abs=1e-9 * spread + ulp)
        assert found["sd"][i] == pytest.approx(deviation, rel=1e-6)
        in_parts = Column()
        for part in np.split(column, parts):
            in_parts.add(part)
        summary = in_parts.summary()
        assert summary["mean"] - column[0] == pytest.approx(middle, abs=1e-9 * spread + ulp)
        assert summary["sd"] == pytest.approx(deviation, rel=1e-6)


def test_a_mean_that_is_right_stays_to_the_bit():
    x = 3 + np.random.default_rng(0).standard_normal((4, 1_000, 2))
    for axis in (0, 1):
        np.testing.assert_array_equal(mean(x, axis), x.mean(axis))
        np.testing.assert_array_equal(sd(x, axis, ddof=1), x.std(axis, ddof=1))
        np.testing.assert_array_equal(mean_and_variance(x, axis)[1], x.var(axis))
    assert mean_and_sd(x, 1, keepdims=True)[0].shape == (4, 1, 2)


def test_numbers_that_are_all_alike_have_no_spread():
    assert mean(np.full(1_000, 0.1)) == 0.1 and sd(np.full(1_000, 0.1)) == 0


def test_what_is_not_finite_is_no_number_and_no_warning():
    assert np.isnan(sd(np.array([1.0, np.inf])))
    assert np.isnan(mean(np.array([1.0, np.nan])))


# ---- on a circle ---------------------------------------------------------------------------------
def test_turned_is_the_same_point_in_the_period():
    values = np.array([-370.0, -1e-20, 0.0, 359.0, 360.0, 725.0])
    np.testing.assert_array_equal(circle.turned(values, TURN), [350, 0, 0, 359, 0, 5])
    np.testing.assert_array_equal(circle.turned(values, (-180.0, 180.0)), [-10, -1e-20, 0, -1, 0, 5])


def test_angles_on_both_sides_of_the_cut_have_their_mean_between_them():
    found = statistics(np.array([350.0, 352, 8, 10]), on=TURN)
    assert circle.unrolled(found["mean"], 0.0, TURN) == pytest.approx(0, abs=1e-12)
    assert found["sd"] == pytest.approx(np.sqrt((100 + 64) / 2))
    assert found["q95"] - found["q05"] == pytest.approx(20 * 0.9 + 2 * 0.05 * 6, abs=1.5)


@pytest.mark.parametrize("centre", [0.0, 10.0, 200.0, 359.9])
def test_a_narrow_arc_is_summed_up_as_on_a_line(centre):
    e = 5 * np.random.default_rng(0).standard_normal(4_001)
    found, line = statistics(circle.turned(centre + e, TURN), on=TURN), statistics(e)
    assert 0 <= found["mean"] < 360
    assert circle.unrolled(found["mean"] - centre, 0.0, TURN) == pytest.approx(line["mean"], abs=1e-3)
    assert found["sd"] == pytest.approx(line["sd"], rel=1e-4)
    for q in ("q05", "q50", "q95"):  # beside the mean, past the ends of the period if need be
        assert found[q] - found["mean"] == pytest.approx(line[q] - line["mean"], abs=1e-3)


def test_an_even_circle_has_the_sd_of_an_even_line():
    assert statistics(np.arange(0.0, 360, 0.5), on=TURN)["sd"] == pytest.approx(360 / np.sqrt(12), rel=1e-2)


@pytest.mark.parametrize("kappa", [0.5, 8.0])
@pytest.mark.parametrize("step", [0, 1])
def test_parts_of_a_circle_sum_up_as_the_whole(kappa, step):
    values = np.degrees(np.random.default_rng(0).vonmises(0.02, kappa, 40_000))
    values = circle.turned(np.round(values) if step else values, TURN)
    parts, whole = Column(TURN), statistics(values, on=TURN)
    for part in np.split(values, 4):
        parts.add(part)
    found = parts.summary()
    assert found["mean"] == pytest.approx(whole["mean"], abs=1e-9)
    tolerance = 0.02 if kappa > 1 else 1.5  # of a wide arc a little mass lies between the cuts of part and whole
    assert found["sd"] == pytest.approx(whole["sd"], rel=0.1 * tolerance)
    for q in ("q05", "q50", "q95"):
        assert found[q] == pytest.approx(whole[q], abs=10 * tolerance)
        assert not step or found[q] == round(found[q])


def test_embedded_knows_no_cut():
    x = np.array([[1.0, 0.0], [2.0, 359.999]])
    plane = circle.embedded(x, (None, TURN))
    assert plane.shape == (2, 3)
    assert np.abs(plane[0] - plane[1]).tolist() == pytest.approx([1, 0, 0.001], abs=1e-6)
    assert circle.embedded(x, (None, None)) is x
