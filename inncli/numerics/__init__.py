"""Numerical methods that know nothing of this project: arrays or tensors in, arrays or tensors out.

Contents: `fixed_point.solve`, `gauss_newton.refine`, `polyak.descend`, `mmd.mmd2` and the tests made of it,
`ridge.Design`, `inverse_regression`, `pareto.fit_pareto`, `deviation.standard_deviation`, `clusters.distinct`,
`classifiers.fitted_log_odds`, `iterated_maps` of the line, `grid`, `statistics` and `circle`
for what is printed.
May import the ground alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.numerics import circle, grid, iterated_maps, statistics

__all__ = ["circle", "grid", "iterated_maps", "statistics"]
__getattr__ = on_demand(__name__, __all__)
