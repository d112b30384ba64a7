"""Rejection sampling with an end: exact draws, or an error if hardly any proposal is accepted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inncli.errors import ConfigError

TRIES = 1_000  # rounds of at least as many proposals before a y is given up


def accepted(propose: Callable[[int], np.ndarray], n: int, y: np.ndarray) -> np.ndarray:
    """Proposes until n rows are accepted, and returns those.

    Args:
        propose: takes a number of proposals and returns the accepted ones, (k, D).
        n: rows to return.
        y: the observation, for the error.

    Shape: out (n, D).
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
