"""A normal x behind Cauchy noise."""

import numpy as np
from scipy import stats

x_names = ["x"]
YS = [[0.0], [1.0], [-2.0], [30.0]]


def prior(n, rng):
    return rng.standard_normal((n, 1))


def simulate(x, rng):
    return x + 0.3 * rng.standard_t(1, x.shape)


def reference_posterior(y, n, rng):
    grid = np.linspace(-8, 8, 200_001)
    log_p = stats.norm.logpdf(grid) + stats.t.logpdf((y[0] - grid) / 0.3, 1) + np.log(np.gradient(grid))
    p = np.exp(log_p - log_p.max())
    return rng.choice(grid, (n, 1), p=p / p.sum())
