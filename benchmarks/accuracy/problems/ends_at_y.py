"""y is uniform on (0, x): no x can lie below it."""

import numpy as np

x_names = ["x"]
x_bounds = [(0.1, None)]
YS = [[0.05], [0.5], [1.0], [3.0]]


def prior(n, rng):
    return rng.exponential(size=(n, 1)) + 0.1


def simulate(x, rng):
    return x * rng.random(x.shape)


def reference_posterior(y, n, rng):
    grid = np.linspace(0.1, 40, 400_001)
    log_p = -grid + np.where(grid > max(y[0], 0.1), -np.log(grid), -np.inf) + np.log(np.gradient(grid))
    p = np.exp(log_p - log_p.max())
    return rng.choice(grid, (n, 1), p=p / p.sum())
