"""A location with a Cauchy prior, seen with normal noise of sd .5."""

import numpy as np

x_names = ["mu"]
YS = [[0.0], [1.0], [3.0], [10.0], [40.0]]


def prior(n, rng):
    return rng.standard_t(1, (n, 1))


def simulate(x, rng):
    return x + 0.5 * rng.standard_normal(x.shape)


def reference_posterior(y, n, rng):
    grid = np.linspace(y[0] - 12, y[0] + 12, 400_001)
    log_p = -np.log1p(grid**2) - 2 * (y[0] - grid) ** 2
    p = np.exp(log_p - log_p.max())
    return rng.choice(grid, (n, 1), p=p / p.sum())
