"""What can be asked of a trained run, as one value."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from inncli.inference.posterior_set import BYTES
from inncli.io.capacity import check_memory
from inncli.metrics.registry import Step


@dataclass(frozen=True)
class EvaluationRequest:
    """All that an evaluation depends on beside the run itself.

    Attributes:
        seed: of the held-out pairs, the draws, the reference draws and the classifier's folds.
        samples: draws of each side of the C2ST; None is 10,000, or 2,000 of more than 4 unknowns.
        y: where to compare with exact draws, given as an array (n_obs, Dy) and held as tuples; None is the task's
            published observations, or the first 3 distinct held-out ys.
        resimulate: whether a simulator file of the user's may be run.
        refine: whether draws moved onto y = s(x) are compared too.
        device: where to compute, as `open_run` takes it.
        steps: the steps to run, as `metrics.registry.steps_of` names them; None is all.
        folds: nets that judge a table's rows by cross-validation, see `folds.folds_for`; 0 is the run itself
            at the held-out rows.

    Raises: RequestError if so many samples fit into no memory.
    """

    seed: int = 0
    samples: int | None = None
    y: tuple[tuple[float, ...], ...] | None = None
    resimulate: bool = False
    refine: bool = False
    device: str | None = None
    steps: tuple[Step, ...] | None = None
    folds: int = 0

    def __post_init__(self) -> None:
        if self.samples is not None:  # of one unknown, and of both sides: a run that is asked has no fewer
            check_memory(self.samples, 2 * 3 * BYTES, "draws", "`samples`", ("samples",))
        if self.y is not None:
            rows = np.atleast_2d(np.asarray(self.y, dtype=np.float64)).tolist()
            object.__setattr__(self, "y", tuple(map(tuple, rows)))

    @property
    def points(self) -> np.ndarray | None:
        """The ys as an array, (n_obs, Dy), float64."""
        return None if self.y is None else np.array(self.y, dtype=np.float64)

    @property
    def whole(self) -> EvaluationRequest:
        """The same request for all steps, which answers this one too."""
        return replace(self, steps=None)

    @property
    def calibration(self) -> EvaluationRequest:
        """The request without samples, y, refine, steps and folds, on which calibration does not depend."""
        return EvaluationRequest(seed=self.seed, resimulate=self.resimulate, device=self.device)
