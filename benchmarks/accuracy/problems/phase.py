"""A phase seen through its cosine and sine with noise: near 0 the posterior straddles the seam."""

import numpy as np

x_names = ["phase"]
x_periodic = {"phase": (0.0, 2 * np.pi)}
YS = [[-1.0, 0.0], [0.0, 1.0], [0.99, 0.1], [1.0, 0.0], [1.0, 0.03], [0.98, -0.12]]


def prior(n, rng):
    return rng.uniform(0, 2 * np.pi, (n, 1))


def simulate(x, rng):
    return np.column_stack([np.cos(x), np.sin(x)]) + 0.15 * rng.standard_normal((len(x), 2))


def reference_posterior(y, n, rng):
    return rng.vonmises(np.arctan2(y[1], y[0]), np.hypot(*y) / 0.0225, (n, 1)) % (2 * np.pi)
