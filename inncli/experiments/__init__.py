"""From a config to a trained run.

Contents: `train.train` and `train.resume`; `setup`, what a config builds and the pairs that a run keeps.
May import `inference`, `training` and the rooms below them; not `evaluation`, not `plots`. It prints nothing.
"""
