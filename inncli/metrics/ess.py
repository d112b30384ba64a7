"""How good a proposal of the posterior the model is, where prior and likelihood are known."""

from __future__ import annotations

import numpy as np

from inncli.types import Float


def effective_sample_size(log_weights: Float[np.ndarray, " n"]) -> tuple[float, float]:
    r"""The share of draws that is left after importance weighting, and its standard error.

    .. math:: \frac{\mathrm{ESS}}{n} = \frac{(\sum_s w_s)^2}{n \sum_s w_s^2}, \quad
        w_s = \frac{p(x_s) \, p(y | x_s)}{q(x_s | y)}, \quad x_s \sim q

    The share is 1 where q is the posterior; n weighted draws of q are worth as much as n times this share of exact
    ones. It is self-normalised, so that the evidence p(y) is not needed. With many draws it tends to 1 / E_q[(p/q)^2].
    With few it is too high where q misses part of the posterior, since a place that is never drawn gets no weight.
    The standard error is that of the delta method.

    Shape: log_weights (n,), up to a constant; -inf for a draw that the prior or the likelihood excludes.
    Returns: (share, standard error); (0, 0) if all draws are excluded.
    Reference: Kong, Liu and Wong 1994, Sequential imputations and Bayesian missing data problems.
    """
    if not np.isfinite(log_weights).any():
        return 0.0, 0.0
    w = np.exp(log_weights - log_weights.max())
    first, second = w.mean(), (w**2).mean()
    share = first**2 / second
    influence = share * (2 * w / first - w**2 / second)
    return float(share), float(influence.std() / np.sqrt(len(w)))
