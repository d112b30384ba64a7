"""What one does with a trained run: open it, draw from it, keep the draws in a file and say what they are.

    run directory --opening--> TrainedModel --streaming--> a file, its summary, the resimulation errors

`opening` and `run_task` bring back a run's model, task and pairs; `trained_model` draws, `sampling` without an
observation and `starts` for a search; `refine` moves draws onto the simulator's y. `posterior_set` and `sample_set`
hold draws by name, `posterior_files` and `netcdf` their formats, `summary` the numbers of a table.

Imports training (for checkpoints), models, tasks, config, runs, data and what lies below; is imported by evaluation,
experiments, plots, reporting and cli.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.inference import (
        opening,
        posterior_files,
        posterior_set,
        refine,
        residual_block,
        run_task,
        sample_set,
        starts,
        streaming,
        summary,
        trained_model,
    )

__all__ = [
    "opening",
    "posterior_files",
    "posterior_set",
    "refine",
    "residual_block",
    "run_task",
    "sample_set",
    "starts",
    "streaming",
    "summary",
    "trained_model",
]
__getattr__ = on_demand(__name__, __all__)
