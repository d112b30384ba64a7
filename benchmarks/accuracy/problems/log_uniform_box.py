"""A log-uniform prior over eight decades in a declared box, read on a log scale with .1 decades of noise."""

import numpy as np
from scipy.stats import norm

x_names = ["rate"]
x_bounds = [(1e-10, 1e-2)]
YS = [[-9.5], [-9.0], [-8.0], [-5.0], [-2.3]]


def prior(n, rng):
    return 10 ** rng.uniform(-10, -2, (n, 1))


def simulate(x, rng):
    return np.log10(x) + 0.1 * rng.standard_normal(x.shape)


def reference_posterior(y, n, rng):
    low, high = norm.cdf((np.array([-10, -2]) - y[0]) / 0.1)
    return 10 ** (y[0] + 0.1 * norm.ppf(rng.uniform(low, high, (n, 1))))
