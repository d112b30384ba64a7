"""SLCP, simple likelihood and complex posterior: the mean and covariance of four points in the plane."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaincc, gammainccinv

from inncli.tasks.base import Task
from inncli.tasks.benchmarks import published
from inncli.tasks.sampling.rejection import accepted
from inncli.types import PositiveInt
from inncli.variables import Variables

POINTS = 4
LIMIT = 3.0  # of each unknown, either way
X_NAMES = ("mean_u", "mean_v", "root_sd_u", "root_sd_v", "atanh_corr")
Y_NAMES = tuple(f"{letter}{i + 1}" for i in range(POINTS) for letter in "uv")


class Slcp(Task):
    r"""Four independent points (u, v) of one normal; sds and correlation enter in a roundabout way.

    .. math:: x \sim U[-3, 3]^5, \quad (u_i, v_i) \sim N\left(\begin{pmatrix} x_1 \\ x_2 \end{pmatrix},
        \Sigma = \begin{pmatrix} s^2 & \rho s t \\ \rho s t & t^2 \end{pmatrix}\right), \quad
        s = x_3^2, \; t = x_4^2, \; \rho = \tanh x_5

    The signs of x_3 and x_4 leave no trace in y, so that the posterior has four equal modes.

    Exact draws of p(x | y), with m the mean and A the scatter matrix of the four points: over the mean of the
    normal the likelihood integrates to |Sigma|^{-3/2} exp(-tr(A / Sigma) / 2), and the uniform prior of x_3, x_4,
    x_5 has in Sigma the density (s t)^{-1/2} / |Sigma|. Their product is an inverse Wishart density of 5/2 degrees
    of freedom times (1 - rho^2)^{1/4}, which is at most 1. So draw

    .. math:: \Sigma \sim W^{-1}(A, \tfrac52), \quad (x_1, x_2) \sim N(m, \Sigma / 4)

    and accept with probability (1 - rho^2)^{1/4} what falls into the box.

    `observe` is the mean of y. The published code adds 1e-6 to both variances, for its factorisation of Sigma;
    none is needed here.

    Args:
        n_train, fresh: see `Task`.

    Reference: Papamakarios et al. 2019, Sequential neural likelihood, arXiv:1805.07226; Lueckmann et al. 2021,
        arXiv:2101.04653, T.3.
    """

    x = Variables(X_NAMES, bounds=((-LIMIT, LIMIT),) * len(X_NAMES))
    y = Variables(Y_NAMES)

    def __init__(self, n_train: PositiveInt | None = None, fresh: bool | None = None) -> None:
        super().__init__(n_train, fresh)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-LIMIT, LIMIT, (n, len(X_NAMES)))

    def observe(self, x: np.ndarray) -> np.ndarray:
        return np.tile(x[:, :2], POINTS)

    def simulate(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        s, t, rho, rest = _shape(x)
        e, f = rng.standard_normal((2, len(x), POINTS))
        u = x[:, :1] + s * e
        v = x[:, 1:2] + t * (rho * e + rest * f)
        return np.stack([u, v], -1).reshape(len(x), 2 * POINTS)

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        inside = (np.abs(x) <= LIMIT).all(1)
        return np.where(inside, -len(X_NAMES) * np.log(2 * LIMIT), -np.inf)

    def log_likelihood(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        s, t, rho, rest = _shape(x)
        e = (y[:, 0::2] - x[:, :1]) / s
        f = ((y[:, 1::2] - x[:, 1:2]) / t - rho * e) / rest
        return (-(e**2 + f**2) / 2 - np.log(2 * np.pi * s * t * rest)).sum(1)

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Exact draws of p(x | y), see the class. Shape: y (8,), out (n, 5).

        Raises: ConfigError if hardly any x in the box has this y.
        """
        points = np.asarray(y, dtype=np.float64).reshape(POINTS, 2)
        mean = points.mean(0)
        (a_uu, a_uv), (_, a_vv) = (points - mean).T @ (points - mean)
        largest = LIMIT**4  # variance of a coordinate

        def propose(m: int) -> np.ndarray:
            # The inverse Wishart a coordinate at a time; the first is drawn within its bound.
            share = gammaincc(0.75, a_uu / 2 / largest) * rng.random(m)
            var_u = a_uu / 2 / gammainccinv(0.75, share)
            rest = (a_vv - a_uv**2 / a_uu) / 2 / rng.standard_gamma(1.25, m)  # variance of v given u
            slope = a_uv / a_uu + np.sqrt(rest / a_uu) * rng.standard_normal(m)
            var_v = rest + slope**2 * var_u
            e, f = rng.standard_normal((2, m)) / np.sqrt(POINTS)
            mean_u = mean[0] + np.sqrt(var_u) * e
            mean_v = mean[1] + slope * np.sqrt(var_u) * e + np.sqrt(rest) * f
            signs = rng.choice([-1.0, 1.0], (2, m))
            rho = slope * np.sqrt(var_u / var_v)
            x = np.column_stack([mean_u, mean_v, signs[0] * var_u**0.25, signs[1] * var_v**0.25, np.arctanh(rho)])
            keep = rng.random(m) < (rest / var_v) ** 0.25  # 1 - rho^2 = rest / var_v
            return x[keep & (np.abs(x) <= LIMIT).all(1)]

        return accepted(propose, n, y)

    def published_observations(self) -> np.ndarray:
        return published.observations(self.name)


def _shape(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """s, t, rho and sqrt(1 - rho^2), each (n, 1)."""
    return x[:, 2:3] ** 2, x[:, 3:4] ** 2, np.tanh(x[:, 4:5]), 1 / np.cosh(x[:, 4:5])
