"""Relations between columns of x: which are found, how rows are completed, and what is none."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from inncli.data import columns
from inncli.data.relations import Relations, find_relations
from inncli.variables import Variables

RNG = np.random.default_rng(0)
SHARES = RNG.dirichlet([2, 3, 4, 1], size=200)
G = RNG.standard_normal((300, 3))
AGE = RNG.integers(18, 90, 100).astype(float)
KG = np.round(RNG.random(500) * 100, 2)
CELSIUS = np.round(10 * G[:, 0], 1)
CLOSE = np.sqrt(0.9999) * RNG.standard_normal((2000, 1)) + 0.01 * RNG.standard_normal((2000, 30))
KINDS = np.eye(3)[RNG.integers(0, 3, 400)]


def known(x: np.ndarray) -> Variables:
    steps = tuple(columns.recording_step(column) for column in x.T)
    bounds = tuple(columns.box(column, 0.2, step) for column, step in zip(x.T, steps, strict=True))
    return Variables(tuple(f"x{i + 1}" for i in range(x.shape[1])), bounds=bounds, steps=steps)


# x -> (formulas, how far from the record a completed row may lie)
RELATED = {
    "shares": (SHARES, ["x4 = 1 - x1 - x2 - x3"], 1e-15),
    "shares of 32 bits": (SHARES.astype(np.float32), ["x4 = 1 - x1 - x2 - x3"], 1e-6),
    "shares in percent, each rounded": (np.round(100 * SHARES, 1), ["x4 = 100 - x1 - x2 - x3"], 0.2),
    "shares with six decimals": (np.round(SHARES, 6), ["x4 = 1 - x1 - x2 - x3"], 2e-6),
    "a sum of zero": (np.c_[-G.sum(1), G], ["x4 = -x1 - x2 - x3"], 1e-14),
    "a copy": (np.c_[G, G[:, 1]], ["x4 = x2"], 0),
    "inches": (np.c_[G[:, 0], G[:, 1], G[:, 0] * 2.54], ["x3 = 2.54 x1"], 1e-14),
    "the finer unit stays": (np.c_[np.round(KG * 1000 + RNG.integers(-4, 5, 500)), KG], ["x2 = 0.001 x1"], 0.006),
    "degrees": (np.c_[CELSIUS, np.round(CELSIUS * 1.8 + 32, 1)], ["x2 = 32 + 1.8 x1"], 0.101),
    "age and year of birth": (np.c_[AGE, 2024 - AGE], ["x2 = 2024 - x1"], 0),
    "one of three kinds": (KINDS, ["x3 = 1 - x1 - x2"], 0),
    "two at once": (np.c_[SHARES, G[:200, 0], 2 * G[:200, 0] + 1], ["x4 = 1 - x1 - x2 - x3", "x6 = 1 + 2 x5"], 1e-14),
    "a chain": (np.c_[G[:, 0], 2 * G[:, 0], 6 * G[:, 0] + 1], ["x2 = 2 x1", "x3 = 1 + 6 x1"], 1e-13),
}
UNRELATED = {
    "independent": RNG.standard_normal((100, 5)),
    "whole numbers": RNG.integers(0, 10, (60, 6)).astype(float),
    "truth values": RNG.integers(0, 2, (400, 5)).astype(float),
    "thirty columns, r = .9999": CLOSE,
    "the same, rounded": np.round(CLOSE, 2),
    "a difference of 1e-5": np.c_[G[:, 0], G[:, 0] + 1e-5 * G[:, 1]],
    "an offset of 1e9": np.c_[1e9 + G[:, 0], G[:, 1]],
    "decades": np.c_[10 ** RNG.uniform(-12, 12, 300), RNG.random(300)],
    "one row is off": np.r_[np.c_[G, G[:, 1]], [[0.0, 1.0, 2.0, 3.0]]],
    "too few rows": SHARES[:8],
    "a square": np.c_[G[:, 0], G[:, 0] ** 2],
}


@pytest.mark.parametrize("name", RELATED)
def test_relations_are_found_and_rows_completed(name):
    x, formulas, off = RELATED[name]
    x = np.asarray(x, dtype=float)
    found = find_relations(known(x), x)
    assert found is not None
    assert found.describe() == formulas
    completed = found.complete(found.take(x))
    assert np.abs(completed - x).max() <= off
    assert not found.broken(x).any()
    assert not found.outside(x).any()
    assert found.free_columns.dim == x.shape[1] - len(formulas)
    assert Relations.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    bent = x.copy()
    bent[:, found.dependent[0]] += 3 * np.ptp(x[:, found.dependent[0]])
    assert found.broken(bent).all()


@pytest.mark.parametrize("name", UNRELATED)
def test_what_does_not_hold_in_every_row_is_no_relation(name):
    x = UNRELATED[name]
    assert find_relations(known(x), x) is None


def test_a_column_on_a_circle_stays_in_the_model():
    """The other unit of an angle goes round with it, but only the column that the user named is a circle."""
    degrees = np.round(360 * RNG.random(300), 1)
    x = np.c_[degrees, np.radians(degrees), G[:, 0]]
    last = Variables(("deg", "rad", "g"), bounds=((0.0, 400.0), (0.0, 2 * np.pi), (None, None)), steps=(0.1, 0.0, 0.0))
    assert find_relations(last, x).dependent == (1,)
    found = find_relations(replace(last, periods=(None, 2 * np.pi, None)), x)
    assert found.dependent == (0,) and found.free_columns.circles == ((0.0, 2 * np.pi), None)
    np.testing.assert_allclose(found.complete(found.take(x)), x, atol=1e-9)


def test_completed_rows_are_recorded_as_the_table_is():
    x = np.round(100 * SHARES[:, :3], 1)
    x = np.c_[x, np.round(100 - x.sum(1), 1)]
    columns_of_x = Variables(tuple("abcd"), steps=(0.1,) * 4)
    found = find_relations(columns_of_x, x)
    completed = found.complete(found.take(x))
    np.testing.assert_array_equal(completed, x)
    # Beside columns that are not rounded, rounding would break the relation.
    half = find_relations(Variables(tuple("abcd"), steps=(0.0, 0.1, 0.1, 0.1)), x)
    free = half.take(x) + [0.033, 0, 0]
    np.testing.assert_allclose(half.complete(free).sum(1), 100, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [{"dependent": (4,)}, {"weights": ((1.0,),)}, {"constants": ("1",)}, {"slack": (float("nan"),)}, {"dependent": ()}],
)
def test_relations_that_do_not_fit_the_columns_are_refused(change):
    found = find_relations(known(SHARES), SHARES)
    with pytest.raises(ValueError, match="don't fit"):
        Relations.from_dict(found.to_dict() | change)
