"""Unknowns with an sd of 1 beside 1e12, and of .001 beside -5e8."""

import numpy as np

M, S = np.array([1e12, -5e8]), np.diag([1.0, 1e-3])  # mean and factor of the prior
A, N = np.eye(2), np.array([0.3, 3e-4])  # y = B + A (x - M) + N noise
B = M
x_names = [f"x{i + 1}" for i in range(len(M))]
YS = [[1e12 + 0.5, -5e8 - 0.001], [1e12 - 1.0, -5e8]]


def prior(n, rng):
    return M + rng.standard_normal((n, len(M))) @ S.T


def simulate(x, rng):
    return B + (x - M) @ A.T + N * rng.standard_normal((len(x), len(A)))


def exact(y):
    """Mean and factor of the posterior of x - M."""
    g, r = (A @ S) / N[:, None], (y - B) / N
    covariance = np.linalg.inv(np.eye(len(M)) + g.T @ g)
    return S @ covariance @ g.T @ r, S @ np.linalg.cholesky(covariance)


def reference_posterior(y, n, rng):
    mean, factor = exact(y)
    return M + (mean + rng.standard_normal((n, len(M))) @ factor.T)
