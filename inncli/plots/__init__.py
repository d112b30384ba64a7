"""Pure figures: arrays and posterior sets in, a matplotlib figure out, one file a figure.

Contents: the function of each file, named as the file, and `style.save`. No figure opens a run.
May import `inference` (for posterior sets) and the rooms below it; not `evaluation`, not `experiments`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.plots import cobweb, compare, density, posterior, style, training

__all__ = ["cobweb", "compare", "density", "posterior", "style", "training"]
__getattr__ = on_demand(__name__, __all__)
