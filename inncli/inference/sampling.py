"""Draws without an observation, and draws that another model's search starts from."""

from __future__ import annotations

import numpy as np

from inncli.errors import (
    RunError,
)
from inncli.inference.run_task import training_ys
from inncli.inference.trained_model import TrainedModel
from inncli.runs.run_dir import RunDir


def sample(trained: TrainedModel, run: RunDir, n: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """N draws without an observation: x ~ p(x), or y from the training ys and x given each y.

    Shape: x (n, Dx); y (n, Dy) or None.
    """
    if trained.y is None:
        return trained.sample(None, n, seed)[0], None
    ys = training_ys(run, trained.trust)
    y = ys[np.random.default_rng(seed).integers(len(ys), size=n)]
    return trained.sample(y, 1, seed)[:, 0], y


def starts_from(source: TrainedModel, trained: TrainedModel, y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """N draws of another run at each row of y, for `trained` to search from. Shape: (n_obs, n, Dx).

    Raises: RunError if `trained` is no search, or the runs don't share their columns of x and of y.
    """
    if not trained.model.is_search:
        raise RunError(
            f"--starts: run {trained.id} ({type(trained.model).__name__}) draws from its latent and takes "
            "no starts; leave it out, or search with a run of model=adjoint"
        )
    for letter in "xy":
        mine, other = trained.names[letter], source.names[letter]
        if mine != other:
            raise RunError(
                f"--starts: run {source.id} has {letter} = ({', '.join(other)}), run {trained.id} has "
                f"({', '.join(mine)}); take a run of the same task"
            )
    if source.y.labels != trained.y.labels:
        raise RunError(
            f"--starts: runs {source.id} and {trained.id} know different labels of y; take runs of one table"
        )
    return source.sample(y, n, seed)
