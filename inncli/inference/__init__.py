"""What one does with a trained run: open it, draw x given y, ask for densities, save the draws.

Contents: `opening.open_run` gives a `trained_model.TrainedModel`; `posterior_set.PosteriorSet`, `sample_set.SampleSet`
and `sample_set.DensitySet` are the results and know their files; `streaming` makes sets too large for the memory;
`run_task` gives the task and the pairs of a run; `refine` moves draws onto the simulator's own y.
May import `training` and the rooms below it.
"""
