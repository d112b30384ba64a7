"""Maps of the columns of x to the real line, by name: what stands before their standardisation.

Each brings one column near to a normal without a floor under small values. Which one a column takes is chosen by
held-out likelihood (`inncli.models.column_choice`) and is a fact of the column (`Variables.maps`).
"""

from __future__ import annotations

import torch
from torch import nn

from inncli.transforms.base import Context, Moved, Points, Transform
from inncli.transforms.bound_maps import Log, Logit, LogProbit, Probit, Softplus
from inncli.transforms.column_map import ColumnMap, Identity, Power, Quantile, SymLog
from inncli.variables import Bound, Variables

# What `Variables.maps` may name: one more line is one more map.
MAPS: dict[str, type[ColumnMap]] = {
    "identity": Identity,
    "log": Log,
    "softplus": Softplus,
    "logit": Logit,
    "probit": Probit,
    "log_probit": LogProbit,
    "symlog": SymLog,
    "power": Power,
    "quantile": Quantile,
}


class ColumnMaps(Transform):
    """The map of each column that `x.maps` names, side by side.

    Args:
        x: the columns; those of `x.heaps` pass unchanged, their own map has the bounds inside.
        bounds: those that the maps know; open where a model keeps draws inside by itself.
    """

    def __init__(self, x: Variables, bounds: tuple[Bound, ...]) -> None:
        super().__init__(x.dim)
        self.maps = nn.ModuleList(MAPS[name](bound) for name, bound in zip(x.maps, bounds, strict=True))

    def _forward(self, x: Points, context: Context) -> Moved:
        return self._each(x, "forward")

    def _inverse(self, z: Points, context: Context) -> Moved:
        return self._each(z, "inverse")

    def _each(self, points: Points, way: str) -> Moved:
        total = points.new_zeros(points.shape[0], dtype=torch.float64)
        columns = list(points.double().unbind(1))
        for i, each in enumerate(self.maps):
            if not isinstance(each, Identity):
                columns[i], ladj = getattr(each, way)(columns[i])
                total = total + ladj
        return torch.stack(columns, 1).to(points.dtype), total.to(points.dtype)

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Fits each map to the training values."""
        for each, column in zip(self.maps, x.double().unbind(1), strict=True):
            assert isinstance(each, ColumnMap)
            each.fit(column)
        return self(x)[0]
