"""x1 from 1e-12 to 1e12 beside x2 near 1: a reading of the logarithm of one and of their product."""

import numpy as np

x_names = ["x1", "x2"]
YS = [[-9.0, -9.0], [0.0, 0.1], [8.0, 8.2]]


def prior(n, rng):
    return np.column_stack([10 ** rng.uniform(-12, 12, n), 1 + 0.1 * rng.standard_normal(n)])


def simulate(x, rng):
    log = np.log10(x[:, 0])
    return np.column_stack([log, log + 10 * (x[:, 1] - 1)]) + 0.2 * rng.standard_normal((len(x), 2))


def reference_posterior(y, n, rng):
    # log10 x1 is flat but for its ends: y1 and y2 give (log10 x1, 10 (x2 - 1)) a normal
    precision = np.array([[2, 1], [1, 1]]) / 0.04 + np.diag([0, 1])
    mean = np.linalg.solve(precision, np.array([y[0] + y[1], y[1]]) / 0.04)
    u = mean + rng.standard_normal((4 * n, 2)) @ np.linalg.cholesky(np.linalg.inv(precision)).T
    u = u[np.abs(u[:, 0]) < 12][:n]
    return np.column_stack([10 ** u[:, 0], 1 + u[:, 1] / 10])
