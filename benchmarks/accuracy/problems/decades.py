"""A concentration over twenty decades, its bounds not declared, read on a log scale."""

import numpy as np

x_names = ["c"]
YS = [[-6.0], [-3.0], [0.0], [3.0], [6.0]]


def prior(n, rng):
    return 10 ** (3 * rng.standard_normal((n, 1)))


def simulate(x, rng):
    return np.log10(x) + 0.2 * rng.standard_normal(x.shape)


def reference_posterior(y, n, rng):
    variance = 1 / (1 / 9 + 1 / 0.04)
    return 10 ** (variance * y[0] / 0.04 + variance**0.5 * rng.standard_normal((n, 1)))
