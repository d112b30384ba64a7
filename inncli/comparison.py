"""A model's draws against exact ones, many observations of a few draws each: the figures of Kruse et al."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inncli.inverter import Inverter
from inncli.metrics.resimulation import resimulation_error
from inncli.metrics.two_sample import mmd2_to_reference
from inncli.tasks.base import Task

DRAWS, REFERENCE = range(2)  # streams of random numbers


def compare_with_exact(
    inverter: Inverter, task: Task, ys: np.ndarray, n: int, seed: int,
    refined: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """`mmd2` of n draws to n exact draws at each y and, where y can be simulated, `err_resim` of the same draws.

    An observation at a time, each with random numbers of its own, so that memory stays small and a y's numbers
    don't depend on the others. A y without two finite draws gives NaN.

    Args:
        refined: moves the draws (n, Dx) of a y; adds `refined_mmd2` and `refined_err_resim`.

    Shape: ys (n_obs, Dy); each array (n_obs,).
    Reference: Kruse et al. 2021, Benchmarking invertible architectures on inverse problems, arXiv:2101.10763.
    """
    found: dict[str, list[float]] = {}
    for k, y in enumerate(ys):
        own_seed = int(np.random.SeedSequence([seed, DRAWS, k]).generate_state(1)[0])
        draws = {"": inverter.sample(y[None], n, own_seed)[0]}
        if refined is not None:
            draws["refined_"] = refined(draws[""], y)
        reference = task.reference_posterior(y, n, np.random.default_rng([seed, REFERENCE, k]))
        for name, x in draws.items():
            x = x[np.isfinite(x).all(1)]
            value = mmd2_to_reference(x, reference) if len(x) > 1 else np.nan
            found.setdefault(f"{name}mmd2", []).append(value)
            if task.can_simulate:
                error = resimulation_error(task.observe, x, y) if len(x) else np.nan
                found.setdefault(f"{name}err_resim", []).append(error**2)
    return {name: np.array(values) for name, values in found.items()}
