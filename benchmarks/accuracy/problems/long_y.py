"""5,000 noisy readings, linear in three unknowns."""

import numpy as np

M, S = np.zeros(3), np.eye(3)  # mean and factor of the prior
A, N = np.random.default_rng(12).standard_normal((5000, 3)) / 30, np.ones(5000)  # y = B + A (x - M) + N noise
B = np.zeros(5000)
x_names = [f"x{i + 1}" for i in range(len(M))]
YS = []
N_TRAIN = 2_000


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
