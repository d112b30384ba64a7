"""How many digits of a number are shown."""

import math

import numpy as np
import pytest

from inncli.io.digits import shown


@pytest.mark.parametrize(
    "value, sd, text",
    [
        (2460015.354648, 8.7889, "2460015.35"),  # a Julian date within a month
        (1700000050.1234, 29.0, "1700000050.1"),  # seconds since 1970 within a minute or two
        (1.7e9 + 1234.5, 5e4, "1700001234"),  # no exponent, whatever the sd
        (-1000.00512, 0.003, "-1000.00512"),
        (0.30000000000000004, 1e-17, "0.3"),  # rounding is no spread
        (1e300, 1.0, "1e+300"),
    ],
)
def test_a_large_offset_hides_no_difference(value, sd, text):
    assert shown(value, sd) == text


@pytest.mark.parametrize(
    "value, sd",
    [
        (0.123456, 0.5),
        (-1.98765, 1.0),
        (40.123456, 16.7),
        (181.567, 21.35),
        (972.918, 77.0),
        (123456.7, 30000.0),
        (0.0, 1.0),
        (2e6, None),
        (2e6, 0.0),
        (2e6, math.nan),
        (2e6, math.inf),
        (1e-9, 1e-9),
    ],
)
def test_an_ordinary_column_has_five_digits(value, sd):
    assert shown(value, sd) == f"{value:.5g}"


@pytest.mark.parametrize("offset", [0, 1e3, 1e6, 1e9, -1e9])
def test_quantiles_are_told_apart(offset):
    draws = offset + np.random.default_rng(0).normal(size=1000)
    cells = [shown(q, draws.std()) for q in np.quantile(draws, np.linspace(0.05, 0.95, 19))]
    assert len(set(cells)) == 19 and [float(cell) for cell in cells] == sorted(map(float, cells))
