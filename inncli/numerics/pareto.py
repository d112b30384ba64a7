"""The generalized Pareto distribution: what lies beyond a high threshold, whatever the distribution is."""

from __future__ import annotations

import math

import numpy as np

from inncli.types import Float

FEWEST = 5  # values beyond the threshold; fewer tell of no shape


def fit_pareto(excess: Float[np.ndarray, " n"]) -> tuple[float, float]:
    r"""Shape and size of a generalized Pareto from values beyond a threshold.

    .. math:: P(\text{excess} > t) = (1 + \xi t / \beta)^{-1/\xi}

    The estimator is the mean of the profile likelihood in :math:`\theta = -\xi / \beta` over a grid of about
    :math:`\sqrt n` points: close to maximum likelihood, and it always exists.

    Args:
        excess: how far each is beyond it, (n,); those that are 0 or below count for nothing.

    Returns: the shape :math:`\xi` and the size :math:`\beta` > 0; the shape is 0 with fewer than 5 values.
    Reference: Zhang and Stephens 2009, A new and efficient estimation method for the generalized Pareto distribution.
    """
    values = np.sort(np.asarray(excess, dtype=np.float64))
    values = values[values > 0]
    n = len(values)
    if n == 0:
        return 0.0, 1.0
    if n < FEWEST or values[0] == values[-1]:
        return 0.0, float(values.mean())
    unit = float(values[-1])  # squares of very large values would overflow
    values = values / unit
    m = 30 + int(math.sqrt(n))
    quartile = values[max(int(n / 4 + 0.5) - 1, 0)]
    theta = 1 / values[-1] + (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quartile)
    shape = np.log1p(-theta[:, None] * values).mean(1)
    profile = n * (np.log(-theta / shape) - shape - 1)
    weight = np.exp(profile - profile.max())
    theta_hat = float((theta * weight).sum() / weight.sum())
    xi = float(np.log1p(-theta_hat * values).mean())
    if not math.isfinite(xi) or theta_hat == 0:
        return 0.0, float(values.mean()) * unit
    return xi, -xi / theta_hat * unit
