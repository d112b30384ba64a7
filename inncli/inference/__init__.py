"""What one does with a trained run: open it, draw from it, write the draws to a file and summarise them.

    run directory --opening--> TrainedModel --streaming--> a file, its summary, the resimulation errors

    opening          the run's model, from its config and best checkpoint
    run_task         its task, its pairs, held-out pairs
    run_table        where the rows of its table come from
    trained_model    `TrainedModel`: draws and densities in the user's units
    sampling         draws without an observation
    starts           the draws from which the search of another run starts
    resimulated      how well draws gave y back when training ended
    refine           moves draws onto the simulator's y
    residual_block   the inversion of one residual block, to draw it
    posterior_set    `PosteriorSet`: draws of x for each y; `posterior_files` and `netcdf` are its formats
    sample_set       `SampleSet` and `DensitySet`: draws and points without an observation, and their files
    streaming        draws to a file, part by part
    summary          mean, sd and quantiles of draws that come in parts

Imports training (for checkpoints), models, tasks, config, runs, data and the rooms below; is imported by evaluation,
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
        resimulated,
        run_table,
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
    "resimulated",
    "run_table",
    "run_task",
    "sample_set",
    "starts",
    "streaming",
    "summary",
    "trained_model",
]
__getattr__ = on_demand(__name__, __all__)
