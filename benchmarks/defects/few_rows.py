"""What a training on few rows could get wrong, and what is said of it."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "the best of many epochs on two held-out rows is believed",
        "inncli.training.few_rows:is_better",
        "len(before) < FEWEST",
        "len(before) < 2",
        "test_few_rows::test_a_gain_counts_beyond_its_error",
    ),
    Defect(
        "a gain on few rows counts whatever its error",
        "inncli.training.few_rows:is_better",
        "fmean(gain) > 2 * stdev(gain) / len(gain) ** 0.5",
        "fmean(gain) > stdev(gain) / len(gain) ** 0.5",
        "test_few_rows::test_a_gain_counts_beyond_its_error",
    ),
    Defect(
        "an untrained net is held on to as if it were a fit",
        "inncli.training.loop:Loop._parts",
        "self.model.start is None",
        "False",
        "test_few_rows::test_a_start_that_fits_nothing_gives_way_to_any_better_epoch",
    ),
    Defect(
        "a budget that is asked for is cut short",
        "inncli.training.trainer:Trainer.patience_in_steps",
        "own_budget or rows >= MANY_ROWS",
        "rows >= MANY_ROWS",
        "test_few_rows::test_no_other_training_stops_early",
    ),
    Defect(
        "a linear fit of noise on few rows",
        "inncli.numerics.ridge:Design.fit",
        "told = gain.mean(0) > gain.std(0, correction=0) / max(self.rows - 1, 1) ** 0.5",
        "told = gain.mean(0) > -torch.inf",
        "test_ridge::test_of_few_rows_no_prediction_is_made_of_noise",
    ),
    Defect(
        "a resimulation error is held against nothing",
        "inncli.inference.resimulated:not_reproduced",
        "max(NOISE_LIMIT * truth, SPREAD_LIMIT * spread)",
        "spread",
        "test_resimulated::test_many_times_the_noise_is_said",
    ),
]
