"""One simulation in a hundred runs away and reports 1e8; the others are y = x + .1 noise."""

import numpy as np

x_names = ["x"]
YS = [[-1.5], [0.0], [1.0], [1e8]]


def prior(n, rng):
    return rng.standard_normal((n, 1))


def simulate(x, rng):
    y = x + 0.1 * rng.standard_normal(x.shape)
    return np.where(rng.random(x.shape) < 0.01, 1e8, y)


def reference_posterior(y, n, rng):
    if y[0] > 1e7:  # says nothing of x
        return rng.standard_normal((n, 1))
    variance = 1 / 101
    return variance * 100 * y[0] + variance**0.5 * rng.standard_normal((n, 1))
