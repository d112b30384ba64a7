"""The one-cycle learning rate."""

from __future__ import annotations

import math


def one_cycle(step: int, total: int, warmup: float) -> float:
    r"""Factor on the learning rate at `step` of `total`: up over the warm-up share, then to zero.

    .. math:: f = (t + 1)/(w T) \text{ while } t < w T, \quad
              f = \tfrac12 (1 + \cos \pi \tfrac{t - wT}{T - wT})

    A function of the step alone, so that a resumed run needs no saved scheduler.

    Reference: Smith and Topin 2017, Super-convergence, arXiv:1708.07120.
    """
    rise = warmup * total
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(total - rise, 1)))
