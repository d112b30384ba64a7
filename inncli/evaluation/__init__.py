"""What a trained model is worth: numbers on held-out pairs, their standard errors, verdicts, and runs compared.

    request       `EvaluationRequest`: what can be asked of a run
    settings      `EvaluationSettings`: the config group `evaluation`
    evaluate      `answer` and `evaluate`: the evaluation of one run
    progress      how far it is, in words and as a share
    answers       who answers at which held-out row
    held_out_draws   draws at these rows, made once
    folds         when several nets judge a small table
    cross_validation   has them judge it
    calibration   measures for it whether the run is calibrated
    marginal      measures for it whether the run beats ignoring y, `normal_law` for one
    reference     measures for it how far draws are from exact ones
    cache         the evaluations in a run directory
    entries       finds and reads the runs of a comparison
    groups        which of them are compared: one task, one config, several seeds
    compare       the comparison as JSON, and as lines of a figure

May import `inference`, `training` and the rooms below them; not `experiments`, not `plots`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.evaluation import cache, compare, entries, evaluate, folds, groups, request

__all__ = ["cache", "compare", "entries", "evaluate", "folds", "groups", "request"]
__getattr__ = on_demand(__name__, __all__)
