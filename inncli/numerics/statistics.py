"""Mean, sd and quantiles, by which a table sums up draws."""

from __future__ import annotations

import numpy as np

QUANTILES = (0.05, 0.5, 0.95)


def statistics(values: np.ndarray, axis: int = 0) -> dict[str, np.ndarray]:
    """Computes mean, sd (over n, not n - 1), q05, q50 and q95 along an axis.

    Shape: each result is that of `values` without the axis. Units: those of the values.
    """
    quantiles = np.quantile(values, QUANTILES, axis=axis)
    return {
        "mean": values.mean(axis=axis),
        "sd": values.std(axis=axis),
        **{name_of_quantile(q): value for q, value in zip(QUANTILES, quantiles, strict=True)},
    }


def name_of_quantile(q: float) -> str:
    """Names a quantile as a table does: `q05` for 0.05."""
    return f"q{100 * q:02.0f}"
