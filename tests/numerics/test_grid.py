"""Grids around draws."""

import numpy as np
import pytest

from inncli.numerics.grid import axes_around


@pytest.mark.parametrize("values, ends", [((1.0, 2.0), (0.5, 2.5)), ((1.0, 9.0), (-1.0, 11.0))])
def test_the_margin_holds_the_cells_of_recorded_values(values, ends):
    draws = np.repeat(values, 50)[:, None]
    (axis,) = axes_around(draws, 100, ((None, None),), steps=(1.0,))
    half = (axis[1] - axis[0]) / 2
    np.testing.assert_allclose([axis[0] - half, axis[-1] + half], ends)
