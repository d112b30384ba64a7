"""A decay read 500 times: its height, rate and bend bring about a smooth curve, which few numbers sum up."""

import numpy as np

x_names = ["height", "rate"]
T = np.linspace(0, 3, 500)
OBSERVED = 50


def prior(n, rng):
    return rng.standard_normal((n, 2))


def observe(x):
    height, rate = np.exp(0.3 * x[:, :1]), np.exp(0.5 * x[:, 1:])
    return height * np.exp(-rate * T)


def simulate(x, rng):
    return observe(x) + 0.05 * rng.standard_normal((len(x), len(T)))


def exact(y):
    """Mean and factor of the posterior, on a grid that is refined around what it finds."""
    middle, half = np.zeros(2), np.array([5.0, 5.0])
    for _ in range(3):
        grid = middle[:, None] + half[:, None] * np.linspace(-1, 1, 81)
        x = np.stack(np.meshgrid(*grid, indexing="ij"), -1).reshape(-1, 2)
        log_p = -0.5 * ((y - observe(x)) ** 2).sum(1) / 0.05**2 - 0.5 * (x**2).sum(1)
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        middle = p @ x
        covariance = (p * (x - middle).T) @ (x - middle)
        half = 6 * np.sqrt(np.diag(covariance)) + half / 40
    return middle, np.linalg.cholesky(covariance)
