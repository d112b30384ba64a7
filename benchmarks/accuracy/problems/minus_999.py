"""A reading that one time in twenty is missing, and then says -999."""

import numpy as np

x_names = ["x"]
YS = [[-1.0, 0.3], [0.5, -999.0], [-999.0, -999.0]]
SD = np.array([0.1, 0.5])


def prior(n, rng):
    return rng.standard_normal((n, 1))


def simulate(x, rng):
    y = x + SD * rng.standard_normal((len(x), 2))
    return np.where(rng.random(y.shape) < 0.05, -999.0, y)


def reference_posterior(y, n, rng):
    weight = np.where(y > -900, 1 / SD**2, 0.0)
    precision = 1 + weight.sum()
    return (weight @ y) / precision + precision**-0.5 * rng.standard_normal((n, 1))
