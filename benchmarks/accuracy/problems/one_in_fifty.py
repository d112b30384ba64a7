"""y = |x| where x is negative one time in fifty: a mode of weight .02 beside one of .98."""

import numpy as np
from scipy import stats

x_names = ["x"]
YS = [[1.5], [2.0], [2.5]]


def prior(n, rng):
    return np.where(rng.random((n, 1)) < 0.02, -1.0, 1.0) * np.abs(2 + 0.5 * rng.standard_normal((n, 1)))


def simulate(x, rng):
    return np.abs(x) + 0.1 * rng.standard_normal(x.shape)


def reference_posterior(y, n, rng):
    grid = np.linspace(-6, 6, 400_001)
    log_p = (
        np.log(
            np.where(grid < 0, 0.02, 0.98)
            * (stats.norm.pdf(np.abs(grid), 2, 0.5) + stats.norm.pdf(-np.abs(grid), 2, 0.5))
        )
        + stats.norm.logpdf((y[0] - np.abs(grid)) / 0.1)
        + np.log(np.gradient(grid))
    )
    p = np.exp(log_p - log_p.max())
    return rng.choice(grid, (n, 1), p=p / p.sum())
