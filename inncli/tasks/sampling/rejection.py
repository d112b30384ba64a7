"""Rejection sampling that ends: exact draws from a proposal of which some are accepted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inncli.errors import ConfigError

TRIES = 1_000  # rounds of at least as many proposals before a y is given up


def accepted(propose: Callable[[int], np.ndarray], n: int, y: np.ndarray) -> np.ndarray:
    """N accepted rows.

    Args:
        propose: the accepted ones of a given number of proposals.
        y: the observation, for the error.

    Raises: ConfigError if hardly any proposal is accepted: no x has such a y.
    """
    found, count = [], 0
    for _ in range(TRIES):
        found.append(propose(max(n, 1_000)))
        count += len(found[-1])
        if count >= n:
            return np.concatenate(found)[:n]
    raise ConfigError(
        f"expected a y that some x can have, got {np.asarray(y).tolist()}: of "
        f"{TRIES * max(n, 1_000):,} proposals {count} were accepted"
    )
