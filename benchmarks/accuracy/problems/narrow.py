"""A linear problem in which y tells x1 to 1e-5 of the prior's sd."""

import numpy as np

M, S = np.zeros(2), np.eye(2)  # mean and factor of the prior
A, N = np.eye(2), np.array([1e-5, 1.0])  # y = B + A (x - M) + N noise
B = np.zeros(len(M))
x_names = [f"x{i + 1}" for i in range(len(M))]
YS = [[0.3, -1.0], [-1.7, 0.2]]


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
