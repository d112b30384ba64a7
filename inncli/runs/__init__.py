"""Run directories and sweeps on disk. No numpy and no torch, so that `inn runs` is quick.

Contents: `run_dir.RunDir`, `sweep_dir.SweepDir`, `registry.find_run` and `registry.list_runs`. `run_info` is what
run.json may hold, `liveness` and `locks` tell whether its process lives, `provenance` where it came from.
May import `io` and the ground; not `data`, not `nn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.runs import registry

__all__ = ["registry"]
__getattr__ = on_demand(__name__, __all__)
