"""From a config to a trained run.

    train   `train` and `resume`: one run
    setup   what a config builds (`Setup`), its pairs, split (`SplitData`), and the pairs that a run saves
    sweep   `start` and `resume`: a sweep
    job     `TrainingJob`: what hydra calls for each training

May import `inference`, `training` and the rooms below them; not `evaluation`, not `plots`. It prints nothing.
"""
