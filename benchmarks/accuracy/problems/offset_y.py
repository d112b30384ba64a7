"""Readings of 1e9 and more, and a spread of 1."""

import numpy as np

M, S = np.zeros(2), np.eye(2)  # mean and factor of the prior
A, N = np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]]), np.array([0.3, 0.3, 1.0])  # y = B + A (x - M) + N noise
B = np.array([1e9, -3e9, 1e9])
x_names = [f"x{i + 1}" for i in range(len(M))]
YS = [[1e9, -3e9, 1e9], [1e9 + 1.5, -3e9 - 0.5, 1e9 + 2.0]]


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
