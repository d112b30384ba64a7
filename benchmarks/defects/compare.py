"""What familiarity and `inn compare` could get wrong."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "each y of a small set counts itself as a neighbour",
        "inncli.metrics.out_of_distribution:training_statistics",
        "_distance(seen, kept, NEIGHBOURS + 1)",
        "_distance(seen, kept, 1)",
        ""
        "test_familiarity::test_ordinary_ys_are_familiar_strange_ones_are_not_and_false_alarms_are_as_rare_as_said[ring-100]",
    ),
    Defect(
        "the level is taken for its complement",
        "inncli.metrics.out_of_distribution:familiarity",
        "p = (n - nearer + 1) / (n + 1)",
        "p = (nearer + 1) / (n + 1)",
        ""
        "test_familiarity::test_ordinary_ys_are_familiar_strange_ones_are_not_and_false_alarms_are_as_rare_as_said[gap-2000]",
    ),
    Defect(
        "collinear columns are not turned to their axes",
        "inncli.metrics.out_of_distribution:_coordinates_of",
        "if y.shape[1] == 1 or not axes:\n    return median, 1 / scale",
        "if True:\n    return median, 1 / scale",
        ""
        "test_familiarity::test_ordinary_ys_are_familiar_strange_ones_are_not_and_false_alarms_are_as_rare_as_said[collinear-2000]",
    ),
    Defect(
        "labels are no part of the distance",
        "inncli.metrics.out_of_distribution",
        "OTHER_LABEL = 3.0",
        "OTHER_LABEL = 0.0",
        "test_familiarity::test_a_value_that_belongs_to_another_label",
    ),
    Defect(
        "recorded values are not spread over their cells",
        "inncli.metrics.out_of_distribution:training_statistics",
        "recording_step(y[:, i]) * (rng.random(len(y)) - 0.5)",
        "0 * recording_step(y[:, i]) * (rng.random(len(y)) - 0.5)",
        ""
        "test_familiarity::test_ordinary_ys_are_familiar_strange_ones_are_not_and_false_alarms_are_as_rare_as_said[counts-2000]",
    ),
    Defect(
        "the largest is best",
        "inncli.evaluation.groups:Problem.best",
        "score == min(scored, key=lambda s: s[0])[0]",
        "score == max(scored, key=lambda s: s[0])[0]",
        "test_compare::test_each_metric_knows_which_way_is_better",
    ),
    Defect(
        "the sd of the population, not of the sample",
        "inncli.evaluation.groups:Group.mean_sd",
        "statistics.stdev(values) if len(values) > 1 else None",
        "statistics.pstdev(values) if len(values) > 1 else None",
        "test_compare::test_seeds_are_taken_together_with_mean_and_sd",
    ),
    Defect(
        "runs of tasks with other settings are compared",
        "inncli.evaluation.groups:problems",
        "by_task.setdefault(same_text(_setting(entry)), [])",
        'by_task.setdefault(entry.config["task"], [])',
        "test_compare::test_tasks_are_kept_apart_and_budgets_are_not",
    ),
    Defect(
        "what a model brings with it is told again",
        "inncli.evaluation.groups:differences",
        "len({c.get(group) for c in configs}) > 1 and not implied",
        "len({c.get(group) for c in configs}) > 1",
        "test_compare::test_what_a_model_brings_with_it_goes_without_saying",
    ),
    Defect(
        "the curve shows the first seed",
        "inncli.plots.compare:_against",
        "mean = np.array([values.mean() for values in seeds])",
        "mean = np.array([values[0] for values in seeds])",
        "test_compare::test_the_curve_goes_through_the_means_and_shows_every_seed",
    ),
]
