"""y = exp of a normal of sd 8: seventy powers of ten of which a standardised column shows one."""

import numpy as np

x_names = ["x"]
YS = [[np.exp(-12.0)], [1.0], [np.exp(4.0)], [np.exp(14.0)]]


def prior(n, rng):
    return rng.standard_normal((n, 1))


def simulate(x, rng):
    return np.exp(8 * (x + 0.3 * rng.standard_normal(x.shape)) / np.sqrt(1.09))


def reference_posterior(y, n, rng):
    seen, variance = np.log(y[0]) * np.sqrt(1.09) / 8, 0.09 / 1.09
    return seen / 1.09 + variance**0.5 * rng.standard_normal((n, 1))
