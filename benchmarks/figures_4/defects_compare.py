"""What familiarity and `inn compare` could get wrong."""

FAMILIARITY, COMPARE = "tests/test_familiarity.py", "tests/test_compare.py"
ALARMS = f"{FAMILIARITY}::test_ordinary_ys_are_familiar_strange_ones_are_not_and_false_alarms_are_as_rare_as_said"
DEFECTS = [
    (
        "each y of a small set counts itself as a neighbour",
        "inncli/metrics/out_of_distribution.py",
        "_distance(seen, kept, NEIGHBOURS + 1)",
        "_distance(seen, kept, 1)",
        f"{ALARMS}[ring-100]",
    ),
    (
        "the level is taken for its complement",
        "inncli/metrics/out_of_distribution.py",
        "p = (n - nearer + 1) / (n + 1)",
        "p = (nearer + 1) / (n + 1)",
        f"{ALARMS}[gap-2000]",
    ),
    (
        "collinear columns are not turned to their axes",
        "inncli/metrics/out_of_distribution.py",
        "if y.shape[1] == 1 or not axes:",
        "if True:",
        f"{ALARMS}[collinear-2000]",
    ),
    (
        "labels are no part of the distance",
        "inncli/metrics/out_of_distribution.py",
        "OTHER_LABEL = 3.0",
        "OTHER_LABEL = 0.0",
        f"{FAMILIARITY}::test_a_value_that_belongs_to_another_label",
    ),
    (
        "recorded values are not spread over their cells",
        "inncli/metrics/out_of_distribution.py",
        "recording_step(y[:, i]) * (rng",
        "0 * recording_step(y[:, i]) * (rng",
        f"{ALARMS}[counts-2000]",
    ),
    (
        "the largest is best",
        "inncli/evaluation/compare.py",
        "score == min(scored, key=lambda s: s[0])[0]",
        "score == max(scored, key=lambda s: s[0])[0]",
        f"{COMPARE}::test_each_metric_knows_which_way_is_better",
    ),
    (
        "the sd of the population, not of the sample",
        "inncli/evaluation/compare.py",
        "statistics.stdev(values) if",
        "statistics.pstdev(values) if",
        f"{COMPARE}::test_seeds_are_taken_together_with_mean_and_sd",
    ),
    (
        "runs of tasks with other settings are compared",
        "inncli/evaluation/compare.py",
        "by_task.setdefault(_key(_setting(entry)), [])",
        'by_task.setdefault(entry.config["task"], [])',
        f"{COMPARE}::test_tasks_are_kept_apart_and_budgets_are_not",
    ),
    (
        "what a model brings with it is told again",
        "inncli/evaluation/compare.py",
        "> 1 and not implied:",
        "> 1:",
        f"{COMPARE}::test_what_a_model_brings_with_it_goes_without_saying",
    ),
    (
        "the curve shows the first seed",
        "inncli/plots/compare.py",
        "mean = np.array([values.mean() for values in seeds])",
        "mean = np.array([values[0] for values in seeds])",
        f"{COMPARE}::test_the_curve_goes_through_the_means_and_shows_every_seed",
    ),
]
