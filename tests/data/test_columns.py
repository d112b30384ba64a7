"""Facts found in draws and in angles: steps, ends of a range."""

import numpy as np
import pytest

from inncli.data import columns

N = 4_000


def rng():
    return np.random.default_rng(0)


DRAWS = {
    "normal": (lambda: rng().normal(size=N), 0.0),
    "decades": (lambda: 10 ** rng().uniform(-12, 12, N), 0.0),
    "beside an offset": (lambda: 1e12 + rng().normal(size=N), 0.0),
    "beyond the fractions of floats": (lambda: 1e17 * rng().uniform(1, 2, N), 0.0),
    "32 bits": (lambda: rng().random(N, dtype=np.float32).astype(float), 0.0),
    "few": (lambda: rng().integers(0, 3, N).astype(float), 1.0),
    "halves": (lambda: rng().integers(0, 9, N) / 2, 0.1),
    "large counts": (lambda: rng().poisson(1e5, N).astype(float), 1.0),
}


@pytest.mark.parametrize(("draw", "step"), DRAWS.values(), ids=DRAWS.keys())
def test_the_step_of_draws(draw, step):
    assert columns.draws_step(draw()) == step


def test_large_counts_have_no_point_mass():
    assert columns.heaps(rng().poisson(1e5, N).astype(float)) == ()


def test_the_cell_of_a_point_mass_holds_no_other_draw():
    values = np.where(rng().random(N) < 0.3, 0.0, np.exp(2 * rng().normal(size=N)))
    step = columns.draws_step(values)
    assert 0 < step < 2 * values[values > 0].min()


ENDS = {
    "all values are common": (lambda: rng().integers(0, 3, N), (0, 2)),
    "a hundred of them": (lambda: rng().integers(1, 101, N), (1, 100)),
    "a tail that goes on": (lambda: rng().poisson(2, N), (0, None)),
    "two tails": (lambda: rng().poisson(1_000, N), (None, None)),
}


@pytest.mark.parametrize(("draw", "ends"), ENDS.values(), ids=ENDS.keys())
def test_the_ends_of_a_range_are_those_that_draws_share(draw, ends):
    assert columns.ends(draw().astype(float)) == ends


ANGLES = {
    "continuous": (lambda: rng().uniform(0, 360, N), 0.0),
    "degrees": (lambda: rng().integers(0, 360, N), 1.0),
    "tenths": (lambda: np.round(rng().uniform(0, 10, N), 1), 0.1),
    "sixteen directions": (lambda: 22.5 * rng().integers(0, 16, N), 22.5),
    "fives and one six": (lambda: np.append(5 * rng().integers(0, 72, N), 6), 1.0),
    "four directions, one unseen": (lambda: 90 * rng().integers(0, 3, N), 90.0),
}


@pytest.mark.parametrize(("draw", "step"), ANGLES.values(), ids=ANGLES.keys())
def test_the_step_of_angles(draw, step):
    assert columns.circle_step(draw().astype(float), (0.0, 360.0)) == step
