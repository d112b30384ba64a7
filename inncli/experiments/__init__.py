"""From a config to a trained run.

    train   `train` and `resume`: one run
    endings how a training that did not finish is noted
    setup   what a config builds (`Setup`), its pairs, split (`SplitData`), and the pairs that a run saves
    sweep   `start` and `resume`: a sweep
    folds   several nets, each trained on all rows but its own part
    job     `TrainingJob`: what hydra calls for each training

May import `inference`, `training` and the rooms below them; not `evaluation`, not `plots`. It prints nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.experiments import folds, job, sweep, train

__all__ = ["folds", "job", "sweep", "train"]
__getattr__ = on_demand(__name__, __all__)
