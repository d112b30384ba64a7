"""A lognormal x over ten decades times lognormal noise."""

import numpy as np
from scipy import stats

x_names = ["x"]
YS = [[1e-4], [0.1], [1.0], [50.0], [1e4]]


def prior(n, rng):
    return np.exp(4 * rng.standard_normal((n, 1)))


def simulate(x, rng):
    return x * np.exp(0.5 * rng.standard_normal(x.shape))


def reference_posterior(y, n, rng):
    grid = np.exp(np.linspace(-25, 25, 400_001))
    log_p = (
        stats.norm.logpdf(np.log(grid) / 4)
        - np.log(grid)
        + stats.norm.logpdf(np.log(y[0] / grid) / 0.5)
        + np.log(np.gradient(grid))
    )
    p = np.exp(log_p - log_p.max())
    return rng.choice(grid, (n, 1), p=p / p.sum())
