"""Thirty unknowns that hang together by .9999, two readings of their sum and of a difference."""

import numpy as np

M, S = (
    np.zeros(30),
    np.linalg.cholesky(0.9999 * np.ones((30, 30)) + 0.0001 * np.eye(30)),
)  # mean and factor of the prior
A, N = (
    np.vstack([np.ones(30) / 30, np.eye(30)[0] - np.eye(30)[1]]),
    np.array([0.1, 0.005]),
)  # y = B + A (x - M) + N noise
B = np.zeros(2)
x_names = [f"x{i + 1}" for i in range(len(M))]
YS = [[0.5, 0.01], [-1.0, -0.02]]


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
