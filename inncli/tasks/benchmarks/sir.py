"""SIR: how contagious a disease is, from ten counts of the infected."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp
from scipy.stats import binom

from inncli.errors import ConfigError
from inncli.tasks.base import Task
from inncli.tasks.benchmarks import published
from inncli.tasks.sampling.adaptive_rejection import plane_draws
from inncli.types import PositiveInt
from inncli.variables import Variables

POPULATION, TESTED = 1_000_000, 1_000
DAYS = tuple(range(0, 161, 17))
LOG_MEAN, LOG_SD = np.log([0.4, 0.125]), np.array([0.5, 0.2])
LARGEST = 1.0  # contacts in a step of the solver, which is then off by 1e-9 of the population at most
FASTEST = 64.0  # contacts a day, 10 sds above the mean; a larger rate counts as this one
REACH = 5.0  # sds of the prior in which the posterior is looked for
ROWS = 1_000  # solved together: their state stays in the processor's cache


class Sir(Task):
    r"""Susceptible, infected, recovered: an epidemic in a population of a million, begun by one.

    .. math:: \dot s = -\beta s i, \quad \dot i = \beta s i - \gamma i, \quad y_k \sim B(1000, i(t_k)), \quad
        t_k = 0, 17, \dots, 153

    with s and i as shares of the population, beta ~ LogNormal(ln 0.4, 0.5^2), gamma ~ LogNormal(ln 0.125, 0.2^2).
    Each y counts the infected among 1,000 people tested that day.

    An eighth-order Runge-Kutta method solves the equations for ln i in steps of 1, 1/2, 1/4, ... days. The contact rate
    alone sets the step: a step chosen by the error would depend on which rows are solved together. Draws of
    p(x | y) are by rejection, see `adaptive_rejection.plane_draws`. `observe` is the mean of y.

    Args:
        n_train, fresh: see `Task`.

    Units: rates in 1/day, y in people.
    Reference: Lueckmann et al. 2021, arXiv:2101.04653, T.9.
    """

    x = Variables(("contact_rate", "recovery_rate"), bounds=((0.0, None), (0.0, None)))
    y = Variables(tuple(f"infected_day_{day}" for day in DAYS))
    constant_y = True  # on day 0 one in a million is infected, so that few pairs have any

    def __init__(self, n_train: PositiveInt | None = None, fresh: bool | None = None) -> None:
        super().__init__(n_train, fresh)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return np.exp(LOG_MEAN + LOG_SD * rng.standard_normal((n, 2)))

    def observe(self, x: np.ndarray) -> np.ndarray:
        return TESTED * np.exp(_log_infected(x))

    def simulate(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return rng.binomial(TESTED, np.exp(_log_infected(x))).astype(np.float64)

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        positive = (x > 0).all(1)
        log_x = np.log(np.where(np.expand_dims(positive, 1), x, 1.0))
        z = (log_x - LOG_MEAN) / LOG_SD
        log_p = -0.5 * (z**2).sum(1) - np.log(2 * np.pi * LOG_SD.prod()) - log_x.sum(1)
        return np.where(positive, log_p, -np.inf)

    def log_likelihood(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return binom.logpmf(y, TESTED, np.exp(_log_infected(x))).sum(1)

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draws of p(x | y), exact within 5 sds of the prior. Shape: y (10,), out (n, 2).

        Raises: ConfigError if a y is no count of 1,000 people.
        """
        y = np.asarray(y, dtype=np.float64).reshape(1, -1)
        if not np.isin(y, np.arange(TESTED + 1)).all():
            raise ConfigError(f"expected counts from 0 to {TESTED:,}, got {y[0].tolist()}")

        def log_p(log_x: np.ndarray) -> np.ndarray:
            z = (log_x - LOG_MEAN) / LOG_SD
            return self.log_likelihood(y, np.exp(log_x)) - 0.5 * (z**2).sum(1)

        return np.exp(plane_draws(log_p, LOG_MEAN - REACH * LOG_SD, LOG_MEAN + REACH * LOG_SD, n, rng, y))

    def published_observations(self) -> np.ndarray:
        return published.observations(self.name)


def _log_infected(x: np.ndarray) -> np.ndarray:
    """Ln i(t_k) of each row, NaN where a rate is not a positive number. Shape: x (n, 2), out (n, 10)."""
    x = np.asarray(x, dtype=np.float64)
    out = np.full((len(x), len(DAYS)), np.nan)
    usable = (np.isfinite(x) & (x > 0)).all(1)
    halvings = np.full(len(x), -1)
    halvings[usable] = np.ceil(np.log2(np.clip(x[usable, 0], LARGEST, FASTEST) / LARGEST))
    for k in np.unique(halvings[usable]):
        rows = np.flatnonzero(halvings == k)
        for part in np.split(rows, range(ROWS, len(rows), ROWS)):
            out[part] = _solved(np.minimum(x[part, 0], FASTEST), x[part, 1], 0.5**k)
    return np.minimum(out, 0.0)


def _solved(beta: np.ndarray, gamma: np.ndarray, step: float) -> np.ndarray:
    """Ln i(t_k) by steps of a given number of days. Shape: beta, gamma (n,), out (n, 10)."""
    n = len(beta)

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        gain = beta * state[:n]  # beta s
        return np.concatenate([-gain * np.exp(state[n:]), gain - gamma])

    start = np.repeat([1 - 1 / POPULATION, -np.log(POPULATION)], n)
    # Tolerances that no error exceeds: each step is as long as the first.
    solution = solve_ivp(
        slope, (DAYS[0], DAYS[-1]), start, "DOP853", t_eval=DAYS, first_step=step, max_step=step, rtol=1e9, atol=1e9
    )
    return solution.y[n:]
