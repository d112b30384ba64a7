r"""Are posteriors as wide as they say? Ranks of true values among draws, on held-out pairs.

If the draws at each y_i come from the law of x given y_i, then so does the true x_i, and whatever is computed of a
draw and of y_i ranks the true value evenly among the draws. With ties, and the gaps between ranks, filled at random,

.. math:: u = \frac{\#\{s : x_s < x^*\} + U (\#\{s : x_s = x^*\} + 1)}{S + 1}, \quad U \sim U(0, 1)

is exactly uniform on (0, 1), row for row independent, for any number S of draws. All here is said of such u.

Reference: Talts et al. 2018, Validating Bayesian inference algorithms with simulation-based calibration,
    arXiv:1804.06788; Modrak et al. 2023, Simulation-based calibration checking: the choice of test quantities shapes
    sensitivity, arXiv:2211.02383.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from inncli.numerics import circle
from inncli.numerics.statistics import mean, mean_and_sd, mean_and_variance
from inncli.types import Bool, Float, Int, Real
from inncli.variables import Circle

BINS = 20


def ranks(
    draws: Real[np.ndarray, " rows draws *dims"], truth: Real[np.ndarray, " rows *dims"], rng: np.random.Generator
) -> Float[np.ndarray, " rows *dims"]:
    """The rank u of each true value among its own draws, see the module.

    Shape: draws (n, S, ...), truth (n, ...); out as truth.
    """
    below = (draws < truth[:, None]).sum(1)
    ties = (draws == truth[:, None]).sum(1)
    return (below + rng.random(truth.shape) * (ties + 1)) / (draws.shape[1] + 1)


def histogram(u: Float[np.ndarray, " rows"], bins: int = BINS) -> Int[np.ndarray, " bins"]:
    """How many u fall into each of `bins` equal parts of (0, 1). Shape: u (n,), out (bins,)."""
    return np.histogram(u, bins, (0.0, 1.0))[0]


def chi_square(u: Float[np.ndarray, " rows"]) -> tuple[float, float]:
    """Pearson's test that u is uniform: the statistic less its mean, the degrees of freedom, and the p-value.

    There are 20 bins, or fewer where a bin would expect less than 5 rows. Shape: u (n,).
    """
    bins = int(np.clip(len(u) // 5, 2, BINS))
    test = stats.chisquare(histogram(u, bins))
    return float(test.statistic) - (bins - 1), float(test.pvalue)


def kolmogorov_smirnov_p(u: Float[np.ndarray, " rows"]) -> float:
    """p-value of Kolmogorov and Smirnov's test that u, (n,), is uniform; exact."""
    return float(stats.kstest(u, "uniform").pvalue)


def centre_p(u: Float[np.ndarray, " rows"]) -> float:
    r"""p-value of mean(u) = 1/2, by its normal limit with sd :math:`\sqrt{1/12n}`: is the posterior shifted?"""
    return _two_sided((u.mean() - 0.5) * np.sqrt(12 * len(u)))


def spread_p(u: Float[np.ndarray, " rows"]) -> float:
    r"""p-value of mean (u - 1/2)^2 = 1/12, with sd :math:`\sqrt{1/180n}`: is it too wide or too narrow?"""
    return _two_sided((((u - 0.5) ** 2).mean() - 1 / 12) * np.sqrt(180 * len(u)))


def inside(u: Float[np.ndarray, " ..."], level: float | np.ndarray) -> Bool[np.ndarray, " ..."]:
    """Whether the central interval of that level holds the true value: |2u - 1| < level.

    Shape: u and level broadcast; out as both together.
    """
    return np.abs(2 * u - 1) < level


def coverage(u: Float[np.ndarray, " rows"], levels: Float[np.ndarray, " levels"]) -> Float[np.ndarray, " levels"]:
    """The share of rows whose central interval of each level holds the true value. Shape: u (n,), out as levels."""
    return inside(u[:, None], levels).mean(0)


def coverage_band(
    n: int, levels: Float[np.ndarray, " levels"], chance: float = 0.95
) -> tuple[Float[np.ndarray, " levels"], Float[np.ndarray, " levels"]]:
    """The shares between which the coverage of n rows lies with this chance, level by level, if it is right.

    Shape: levels (L,), out (L,) each.
    """
    low, high = stats.binom.interval(chance, n, np.clip(levels, 0, 1))
    return np.nan_to_num(low) / n, np.nan_to_num(high) / n


def contraction(
    draws: Float[np.ndarray, "rows draws dim"],
    truth: Float[np.ndarray, "rows dim"],
    circles: tuple[Circle | None, ...] = (),
) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, " dim"]]:
    r"""How much narrower than the prior the posterior of each unknown is, and the standard error of that.

    .. math:: 1 - \frac{E_y \mathrm{var}(x | y)}{\mathrm{var}(x)}

    0 where y tells nothing, or the model ignores it; 1 where y tells all. The prior's variance is that of the true
    values over the rows. The standard error is by the delta method, which takes both variances as means over rows.

    On a circle both variances are about the mean direction.

    Shape: draws (n, S, Dx), unrolled at each y where on a circle, truth (n, Dx); out (Dx,) each.
    """
    posterior = mean_and_variance(draws, 1, ddof=1)[1]
    away = truth - mean(truth)
    for i, on in enumerate(circles):
        if on is not None:
            away[:, i] = circle.unrolled(truth[:, i] - circle.mean(truth[:, i], on), 0.0, on)
    prior = away**2 * len(truth) / (len(truth) - 1)
    share = posterior.mean(0) / prior.mean(0)
    return 1 - share, (posterior - share * prior).std(0, ddof=1) / np.sqrt(len(truth)) / prior.mean(0)


def z_scores(
    draws: Float[np.ndarray, "rows draws dim"], truth: Float[np.ndarray, "rows dim"]
) -> Float[np.ndarray, "rows dim"]:
    """(x* - mean) / sd of the draws: mean 0 and mean square 1 where calibrated.

    Shape: draws (n, S, Dx), truth (n, Dx), out (n, Dx).
    """
    middle, spread = mean_and_sd(draws, 1, ddof=1)
    return (truth - middle) / np.where(spread > 0, spread, np.finfo(float).tiny ** 0.25)


def _two_sided(z: float) -> float:
    return float(2 * stats.norm.sf(abs(z)))
