"""The resimulation error: does s(x) of the draws give back y?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inncli.types import Float, Real

YObs = Real[np.ndarray, " dim_y"] | Real[np.ndarray, "draws dim_y"]
Observe = Callable[[np.ndarray], np.ndarray]  # x (S, Dx) -> y (S, Dy)


def resimulation_error(observe: Observe, x: Float[np.ndarray, "draws dim"], y_obs: YObs) -> float:
    r"""Root mean square of s(x_s) - y_obs over draws, the norm taken over the columns of y.

    .. math:: \sqrt{\tfrac1S \sum_s |s(x_s) - y|^2}

    s is the simulator without noise. The square of this number is Kruse's `err_resim`. On a noisy task even exact
    draws do not reach zero: they come to about the noise. The mean is over the draws whose simulation did not fail,
    which a NaN would say; NaN where all failed.

    Shape: x (S, Dx), y_obs (Dy,), or (S, Dy) with a y for each x. Units: those of y.
    Reference: Kruse et al. 2021, Benchmarking invertible architectures, arXiv:2101.10763.
    """
    squares = squared_errors(observe, x, y_obs)
    return float(np.sqrt(np.mean(squares))) if len(squares) else float("nan")


def squared_errors(observe: Observe, x: Float[np.ndarray, "draws dim"], y_obs: YObs) -> Float[np.ndarray, " kept"]:
    """|s(x_s) - y_obs|^2 of the draws whose simulation did not fail.

    Shape: x (S, Dx), y_obs (Dy,) or (S, Dy), out (at most S,). Units: those of y, squared.
    """
    with np.errstate(over="ignore"):  # a y far beyond any simulation
        squares = np.sum((observe(x) - np.asarray(y_obs)) ** 2, axis=1)
    return squares[np.isfinite(squares)]
