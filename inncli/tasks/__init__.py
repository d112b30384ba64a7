"""Inverse problems: a prior over x, a simulator of y, and what is known exactly about p(x | y). No torch.

Contents: `base.Task` is the contract; what a task overrides is what it can do (`ability`). The tasks are named by the
yamls of conf/task and lie in sub-rooms by kind: `toy`, `densities`, `benchmarks`, `measured`, `user`, `maxent`. They
share `sampling`, and nothing of each other.
May import `metrics`, `data`, `io`, `numerics` and the ground; not `models`, not `objectives`.
"""
