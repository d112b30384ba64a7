"""A uniform unknown whose posterior ends at the bound of its box."""

import numpy as np
from scipy import stats

x_names = ["x"]
x_bounds = [(0.0, 1.0)]
YS = [[-0.1], [0.0], [0.5], [1.0], [1.1]]


def prior(n, rng):
    return rng.random((n, 1))


def simulate(x, rng):
    return x + 0.2 * rng.standard_normal(x.shape)


def reference_posterior(y, n, rng):
    grid = np.linspace(0, 1, 200_001)
    log_p = (
        np.where((grid >= 0) & (grid <= 1), 0.0, -np.inf)
        + stats.norm.logpdf((y[0] - grid) / 0.2)
        + np.log(np.gradient(grid))
    )
    p = np.exp(log_p - log_p.max())
    return rng.choice(grid, (n, 1), p=p / p.sum())
