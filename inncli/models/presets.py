"""The models that conf/model names, for Python: `PRESETS["glow"](x, y)` is what `inn train model=glow` trains.

A class's own defaults are those of one yaml: rnvp's for `ConditionalFlow`, inn's for `INN`, adjoint's for `Adjoint`.
The other yamls are presets, which differ from them by the arguments given here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from inncli.models.adjoint import Adjoint
from inncli.models.base import Model
from inncli.models.flow import ConditionalFlow
from inncli.models.inn import INN
from inncli.transforms.blocks import ConditionalPrior, IAFBlock, MAFBlock

# name -> model(x, y, **arguments)
PRESETS: dict[str, Callable[..., Model]] = {
    "adjoint": Adjoint,
    "glow": partial(ConditionalFlow, block="glow", n_blocks=16),
    "iaf": partial(ConditionalFlow, block=IAFBlock),
    "inn": INN,
    "inn_mmd": partial(INN, padding=0),
    "iresnet": partial(ConditionalFlow, block="iresnet"),
    "maf": partial(ConditionalFlow, block=MAFBlock),
    "marginal": partial(ConditionalFlow, block="spline", n_blocks=4, ignore_y=True),
    "nice": partial(ConditionalFlow, block="nice", last=ConditionalPrior),
    "rnvp": ConditionalFlow,
    "spline": partial(ConditionalFlow, block="spline", n_blocks=4),
}
