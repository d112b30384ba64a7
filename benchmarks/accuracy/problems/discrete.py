"""A whole number from 0 to 2, and a rate: y is a normal of that rate times (1 + k)."""

import numpy as np

x_names = ["k", "rate"]
YS = [[0.5, 0.5], [1.5, 1.4], [3.0, 3.1]]


def prior(n, rng):
    return np.column_stack([rng.integers(0, 3, n), np.exp(0.5 * rng.standard_normal(n))]).astype(float)


def simulate(x, rng):
    return (1 + x[:, :1]) * x[:, 1:] + 0.3 * rng.standard_normal((len(x), 2))


def reference_posterior(y, n, rng):
    rate = np.linspace(0.02, 8, 40_001)
    seen = (1 + np.arange(3))[:, None] * rate
    log_p = -0.5 * ((y[:, None, None] - seen) / 0.3) ** 2
    log_p = log_p.sum(0) - 0.5 * (np.log(rate) / 0.5) ** 2 - np.log(rate)
    p = np.exp(log_p - log_p.max())
    k, i = np.unravel_index(rng.choice(p.size, n, p=(p / p.sum()).ravel()), p.shape)
    return np.column_stack([k, rate[i]]).astype(float)
