"""What `inn evaluate`, the maps and task monotone could get wrong."""

EVALUATE, COBWEB = "tests/test_evaluate.py", "tests/test_cobweb.py"
SPOILED = f"{EVALUATE}::test_a_model_made_wrong_on_purpose_is_found_out"
DEFECTS = [
    (
        "the C2ST compares exact draws with exact draws",
        "inncli/evaluation/reference.py",
        "compared.append((y_obs, x, reference[: len(x)]))",
        "compared.append((y_obs, reference[len(x) // 2:], reference[: len(x) // 2]))",
        f"{SPOILED}[too wide]",
    ),
    (
        "the draws compared are those of another y",
        "inncli/evaluation/reference.py",
        "task.reference_posterior(y_obs, n, rng)",
        "task.reference_posterior(y_obs + 0.5, n, rng)",
        f"{EVALUATE}::test_the_exact_posterior_is_found_to_be_exact",
    ),
    (
        "the resimulation error is that of the true x",
        "inncli/evaluation/evaluate.py",
        "for x, y in zip(draws, pairs.y)])",
        "for x, y in zip(pairs.x[:, None], pairs.y)])",
        f"{SPOILED}[ignores y]",
    ),
    (
        "the likelihood of training's own rows",
        "inncli/experiments/train.py",
        'return task.test_pairs(config["seed"]), "test rows of the table"',
        'return task.training_pairs(config["seed"]), "test rows of the table"',
        f"{EVALUATE}::test_a_table_is_judged_by_the_rows_it_set_aside",
    ),
    (
        "recorded values are not spread over their cells, or over too wide ones",
        "inncli/evaluation/evaluate.py",
        "np.array(trained.x.steps) * (rng.random",
        "20 * np.array(trained.x.steps) * (rng.random",
        f"{EVALUATE}::test_a_table_is_judged_by_the_rows_it_set_aside",
    ),
    (
        "a standard error that forgets the root of n",
        "inncli/evaluation/cache.py",
        "np.std(values, ddof=1) / np.sqrt(len(values))",
        "np.std(values, ddof=1)",
        f"{EVALUATE}::test_the_models_own_numbers_join_the_metrics",
    ),
    (
        "a stranger's simulator is run without being asked",
        "inncli/evaluation/evaluate.py",
        "task = None if with_file and not resimulate else task_of(run, resimulate)",
        "task = task_of(run, True)",
        f"{EVALUATE}::test_json_holds_what_the_task_allows_and_nothing_that_is_no_number[simulator-words3-metrics3-validation rows]",
    ),
    (
        "the classifier isn't seeded",
        "inncli/metrics/c2st.py",
        "random_state=seed)\n    train",
        "random_state=None)\n    train",
        f"{EVALUATE}::test_the_published_classifier_tells_what_differs_from_what_does_not",
    ),
    (
        "columns that are not z-scored",
        "inncli/metrics/c2st.py",
        "(np.concatenate([reference, x]) - mean) / sd",
        "np.concatenate([reference, x])",
        f"{EVALUATE}::test_the_published_classifier_tells_what_differs_from_what_does_not",
    ),
    (
        "fixed points of the circle map without whole turns",
        "inncli/numerics/iterated_maps.py",
        "turns = [0.0] if map.period is None else",
        "turns = [0.0] if True else",
        f"{COBWEB}::test_circle_fixed_points[1.1-0.9]",
    ),
    (
        "a fixed point that only touches the diagonal is missed",
        "inncli/numerics/iterated_maps.py",
        "<= TOLERANCE]",
        "< 0]",
        f"{COBWEB}::test_a_fixed_point_that_only_touches_the_diagonal_between_two_grid_points",
    ),
    (
        "a repelling point is called stable",
        "inncli/numerics/iterated_maps.py",
        "else abs(self.slope) < 1",
        "else self.slope < 1",
        f"{COBWEB}::test_logistic_fixed_points[3.2]",
    ),
    (
        "an inversion whose slope has the wrong sign",
        "inncli/numerics/iterated_maps.py",
        "lambda x: -slope(x)",
        "lambda x: slope(x)",
        f"{COBWEB}::test_slopes_are_those_of_the_function[kepler]",
    ),
    (
        "a posterior of monotone without its prior",
        "inncli/tasks/toy/monotone.py",
        "log_p = -0.5 * (x / self.sd) ** 2 - 0.5",
        "log_p = -0.5",
        f"{COBWEB}::test_the_posterior_of_monotone_agrees_with_rejection_sampling[-2.0-0.5]",
    ),
]
