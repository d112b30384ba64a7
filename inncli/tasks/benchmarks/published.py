"""The ten observations at which the benchmark of simulation-based inference compares methods, and its own draws.

The observations lie beside this file, as published (MIT, see published/README.md). The published draws of the posterior
are too large to ship: they are read from the files of the package sbibm 1.1.0 where it is installed, without importing
it (`pip install --no-deps sbibm==1.1.0`).

Reference: Lueckmann et al. 2021, Benchmarking simulation-based inference, arXiv:2101.04653.
"""

from __future__ import annotations

import bz2
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from inncli.errors import RequestError

OBSERVATIONS = 10
_FOLDER = Path(__file__).parent / "published"


def observations(task: str) -> np.ndarray:
    """The published ys of a task, one a row, in their published order. Shape: (10, Dy)."""
    return np.loadtxt(_FOLDER / f"{task}.csv", delimiter=",", skiprows=1)


def draws(task: str, number: int) -> np.ndarray:
    """The published draws of the posterior given observation `number`, from 1 to 10. Shape: (10_000, Dx).

    Raises: RequestError if the package that holds them is not installed.
    """
    package = find_spec("sbibm")  # finds it without running its code
    if package is None or package.origin is None:
        raise RequestError(
            "the published draws are files of the package sbibm, which is not installed; "
            "run `pip install --no-deps sbibm==1.1.0`"
        )
    folder = Path(package.origin).parent / "tasks" / task / "files" / f"num_observation_{number}"
    with bz2.open(folder / "reference_posterior_samples.csv.bz2", "rt") as lines:
        return np.loadtxt(lines, delimiter=",", skiprows=1)
