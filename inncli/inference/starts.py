"""The draws of one run from which the search of another starts."""

from __future__ import annotations

import numpy as np

from inncli.errors import RunError
from inncli.inference.trained_model import TrainedModel


def starts_from(source: TrainedModel, trained: TrainedModel, y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """N draws of another run at each row of y, from which `trained` searches. Shape: (n_obs, n, Dx).

    Args:
        source: the run that draws.
        trained: the run that searches.
        y: the observations, (n_obs, Dy).
        n: draws at each.
        seed: of the draws.

    Raises: RunError if `trained` is no search, or the runs don't share their columns of x and of y.
    """
    if not trained.model.is_search:
        raise RunError(
            f"`starts`: run {trained.id} ({type(trained.model).__name__}) draws from its latent and takes "
            "no starts; leave it out, or search with a run of model=adjoint",
            "starts",
        )
    for letter in "xy":
        mine, other = trained.names[letter], source.names[letter]
        if mine != other:
            raise RunError(
                f"`starts`: run {source.id} has {letter} = ({', '.join(other)}), run {trained.id} has "
                f"({', '.join(mine)}); take a run of the same task",
                "starts",
            )
    if source.y is not None and trained.y is not None and source.y.labels != trained.y.labels:
        raise RunError(
            f"`starts`: runs {source.id} and {trained.id} know different labels of y; take runs of one table",
            "starts",
        )
    return source.sample(y, n, seed)
