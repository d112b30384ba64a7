"""What one does with a trained run: open it, draw from it, keep the draws in a file and say what they are.

    run directory --opening--> TrainedModel --streaming--> a file, its summary, the resimulation errors

`opening` and `run_task` bring back a run's model, task and pairs; `trained_model` draws, `sampling` without an
observation and `starts` for a search; `refine` moves draws onto the simulator's y. `posterior_set` and `sample_set`
hold draws by name, `posterior_files` and `netcdf` their formats, `summary` the numbers of a table.

Imports training (for checkpoints), models, tasks, config, runs, data and what lies below; is imported by evaluation,
experiments, plots, reporting and cli.
"""
