"""Run directories and sweeps on disk. No numpy and no torch, so that `inn runs` is quick.

    run_files    the name of every file in a run directory
    claim        who is making a directory that of a run
    run_dir      `RunDir`: claims a run directory, reads and writes its files
    run_info     what run.json may hold, and why a run ended (`Ending`)
    snapshot     `RunSnapshot`: a run whose config and weights are read once
    registry     the outputs folder: `find_run`, `list_runs`, the names of new runs
    sweep_files  the name of every file in a sweep's directory
    sweep_dir    `SweepDir`: a sweep's manifest and the state of its jobs
    sweeps       finds a sweep by its name
    job_record   what the process of a job writes before there is a run.json
    liveness     whether the process behind a record still lives
    locks        locks that end with their process
    provenance   versions, git commit and scheduler ids

May import `io` and the ground (`errors`, `types`, `variables`, `runtime`); not `data`, not `nn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.runs import registry

__all__ = ["registry"]
__getattr__ = on_demand(__name__, __all__)
