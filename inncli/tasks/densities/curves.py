"""Points smeared around a curve: the toy densities of the flow literature consist of such.

The density of c(t) + sigma * noise, t drawn with density w(t) on [a, b], is

    p(x) = int_a^b w(t) N(x; c(t), sigma^2 I) dt

a smooth integral. Gauss-Legendre nodes closer than about a sigma apart along the curve give it to working precision.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ive, logsumexp

_ROWS = 2_000  # at a time: rows x nodes stay in memory


def nodes(low: float, high: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """N Gauss-Legendre nodes on [low, high] and their weights, (n,) each."""
    t, w = np.polynomial.legendre.leggauss(n)
    return (low + high) / 2 + (high - low) / 2 * t, (high - low) / 2 * w


def log_integral(x: np.ndarray, log_kernel: Callable[[np.ndarray], np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Log of sum_k weights_k exp(log_kernel(x)_k), some rows at a time.

    Shape: x (n, 2); log_kernel takes (m, 1, 2) and gives (m, nodes); weights (nodes,); out (n,).
    """
    x = np.asarray(x, dtype=np.float64)
    parts = [
        logsumexp(log_kernel(part[:, None]), axis=1, b=weights) for part in np.split(x, range(_ROWS, len(x), _ROWS))
    ]
    return np.concatenate(parts)


def log_normal(x: np.ndarray, mean: np.ndarray | float, sd: float) -> np.ndarray:
    """Log N(x; mean, sd^2 I) in the plane, over the last axis. Shape: x, mean (..., 2), out (...)."""
    return -((x - mean) ** 2).sum(-1) / (2 * sd**2) - np.log(2 * np.pi * sd**2)


def circle(radius: np.ndarray, sd: float, rng: np.random.Generator) -> np.ndarray:
    """A point on the circle of each radius at a uniform angle, plus noise. Shape: radius (n,), out (n, 2)."""
    angle = rng.uniform(0, 2 * np.pi, len(radius))
    on = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return on + sd * rng.standard_normal(on.shape)


def log_circles(x: np.ndarray, radii: np.ndarray, sd: float) -> np.ndarray:
    r"""Log density of an even mixture of smeared circles, in closed form. Shape: x (n, 2), radii (k,), out (n,).

    .. math:: p(x) = \frac{1}{k} \sum_R \frac{1}{2 \pi \sigma^2} e^{-(r^2 + R^2) / 2 \sigma^2} I_0(r R / \sigma^2)
    """
    r = np.linalg.norm(x, axis=1)[:, None]
    # ive is e^-u I_0(u), which completes the square
    log_p = -((r - radii) ** 2) / (2 * sd**2) + np.log(ive(0, r * radii / sd**2)) - np.log(2 * np.pi * sd**2)
    return logsumexp(log_p, axis=1) - np.log(len(radii))
