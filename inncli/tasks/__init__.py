"""Inverse problems: a prior over x, a simulator of y, and what is known exactly about p(x | y). No torch.

Contents: `base.Task` is the contract; what a task overrides is what it can do (`ability`). The tasks are named by the
yamls of conf/task and lie in sub-rooms by kind: `toy`, `densities`, `benchmarks`, `measured`, `user`, `maxent`. They
share `sampling`, and nothing of each other.
May import `metrics`, `data`, `io`, `numerics` and the ground; not `models`, not `objectives`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.tasks import base

__all__ = ["base"]
__getattr__ = on_demand(__name__, __all__)
