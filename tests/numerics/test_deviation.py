"""The standard deviation of numbers whose squares are no numbers."""

import pytest
import torch

from inncli.numerics.deviation import standard_deviation

NORMAL = torch.randn(1_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("unit", [1e-318, 1e-300, 1e-200, 1e200, 1e305])
def test_it_follows_the_unit(unit):
    assert float(standard_deviation(unit * NORMAL)) == pytest.approx(unit * float(NORMAL.std(correction=0)), rel=1e-5)


def test_ordinary_columns_keep_every_digit():
    columns = torch.hstack([NORMAL, 1e9 + NORMAL, 3e-7 * NORMAL.exp(), torch.full_like(NORMAL, 0.3), 0 * NORMAL])
    assert torch.equal(standard_deviation(columns), columns.std(0, correction=0))
