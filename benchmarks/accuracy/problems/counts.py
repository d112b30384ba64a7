"""Counts of a log-linear model with wide priors: they run from 0 to 10^7."""

import numpy as np

x_names = ["a", "b"]
T = np.array([-1.0, -0.3, 0.3, 1.0])
SD = np.array([2.0, 3.0])
YS = [[0.0, 1.0, 0.0, 2.0], [3.0, 2.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0], [4.0, 60.0, 700.0, 10_000.0]]


def prior(n, rng):
    return SD * rng.standard_normal((n, 2))


def simulate(x, rng):
    return rng.poisson(np.exp(np.minimum(x[:, :1] + x[:, 1:] * T, 25))).astype(float)


def reference_posterior(y, n, rng):
    a, b = np.linspace(-10, 10, 2001), np.linspace(-12, 12, 2001)
    log_rate = np.minimum(a[:, None, None] + b[:, None] * T, 25)
    log_p = (y * log_rate - np.exp(log_rate)).sum(2) - 0.5 * (a[:, None] / SD[0]) ** 2 - 0.5 * (b / SD[1]) ** 2
    p = np.exp(log_p - log_p.max())
    i, j = np.unravel_index(rng.choice(p.size, n, p=(p / p.sum()).ravel()), p.shape)
    inside = rng.random((2, n)) - 0.5
    return np.column_stack([a[i] + inside[0] * (a[1] - a[0]), b[j] + inside[1] * (b[1] - b[0])])
