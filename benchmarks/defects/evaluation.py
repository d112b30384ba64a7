"""What `inn evaluate`, the maps and task monotone could get wrong."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "the C2ST compares exact draws with exact draws",
        "inncli.evaluation.reference:add_c2st",
        "compared.append((y_obs, x, reference[: len(x)]))",
        "compared.append((y_obs, reference[len(x) // 2:], reference[: len(x) // 2]))",
        "test_evaluate::test_a_model_made_wrong_on_purpose_is_found_out[too wide]",
    ),
    Defect(
        "the draws compared are those of another y",
        "inncli.evaluation.reference:add_c2st",
        "task.reference_posterior(y_obs, n, rng)",
        "task.reference_posterior(y_obs + 0.5, n, rng)",
        "test_evaluate::test_the_exact_posterior_is_found_to_be_exact",
    ),
    Defect(
        "the resimulation error is that of the true x",
        "inncli.evaluation.evaluate:_resimulation",
        "zip(draws, pairs.y, strict=True)",
        "zip(pairs.x[:, None], pairs.y, strict=True)",
        "test_evaluate::test_a_model_made_wrong_on_purpose_is_found_out[ignores y]",
    ),
    Defect(
        "the likelihood of training's own rows",
        "inncli.inference.run_task:held_out_pairs",
        'return task.test_pairs(config["seed"]), "test rows of the table"',
        'return task.training_pairs(config["seed"]), "test rows of the table"',
        "test_evaluate::test_a_table_is_judged_by_the_rows_it_set_aside",
    ),
    Defect(
        "recorded values are not spread over their cells, or over too wide ones",
        "inncli.evaluation.evaluate:_likelihood",
        "np.array(trained.x.steps) * (rng.random(pairs.x.shape) - 0.5)",
        "20 * np.array(trained.x.steps) * (rng.random(pairs.x.shape) - 0.5)",
        "test_evaluate::test_a_table_is_judged_by_the_rows_it_set_aside",
    ),
    Defect(
        "a standard error that forgets the root of n",
        "inncli.evaluation.cache:Evaluation.add",
        "float(spread / np.sqrt(len(values)))",
        "float(spread)",
        "test_evaluate::test_the_models_own_numbers_join_the_metrics",
    ),
    Defect(
        "a stranger's simulator is run without being asked",
        "inncli.inference.run_task:task_of",
        "trust.to_run([config]) if resimulate else trust",
        "trust.to_run([config])",
        "test_evaluate::test_json_holds_what_the_task_allows_and_nothing_that_is_no_number"
        "[simulator-words3-metrics3-validation rows]",
    ),
    Defect(
        "the classifier isn't seeded",
        "inncli.metrics.c2st:_accuracy",
        'MLPClassifier(activation="relu", hidden_layer_sizes=(width, width), max_iter=1000, solver="adam", '
        "random_state=seed)",
        'MLPClassifier(activation="relu", hidden_layer_sizes=(width, width), max_iter=1000, solver="adam", '
        "random_state=None)",
        "test_evaluate::test_the_published_classifier_tells_what_differs_from_what_does_not",
    ),
    Defect(
        "columns that are not z-scored",
        "inncli.metrics.c2st:_accuracy",
        "(np.concatenate([reference, x]) - mean) / sd",
        "np.concatenate([reference, x])",
        "test_evaluate::test_the_published_classifier_tells_what_differs_from_what_does_not",
    ),
    Defect(
        "fixed points of the circle map without whole turns",
        "inncli.numerics.iterated_maps:fixed_points",
        "map.period is None",
        "True",
        "test_cobweb::test_circle_fixed_points[1.1-0.9]",
    ),
    Defect(
        "a fixed point that only touches the diagonal is missed",
        "inncli.numerics.iterated_maps:fixed_points",
        "abs(map.function(np.float64(at)) - at - turn) <= TOLERANCE",
        "abs(map.function(np.float64(at)) - at - turn) < 0",
        "test_cobweb::test_a_fixed_point_that_only_touches_the_diagonal_between_two_grid_points",
    ),
    Defect(
        "a repelling point is called stable",
        "inncli.numerics.iterated_maps:FixedPoint.stable",
        "abs(self.slope) < 1",
        "self.slope < 1",
        "test_cobweb::test_logistic_fixed_points[3.2]",
    ),
    Defect(
        "an inversion whose slope has the wrong sign",
        "inncli.numerics.iterated_maps:inversion",
        "lambda x: -slope(x)",
        "lambda x: slope(x)",
        "test_cobweb::test_slopes_are_those_of_the_function[kepler]",
    ),
    Defect(
        "a posterior of monotone without its prior",
        "inncli.tasks.toy.monotone:Monotone.reference_posterior",
        "-0.5 * (x / self.sd) ** 2 - 0.5 * ((x - self.e * np.sin(x) - at) / sd) ** 2",
        "-0.5 * ((x - self.e * np.sin(x) - at) / sd) ** 2",
        "test_cobweb::test_the_posterior_of_monotone_agrees_with_rejection_sampling[-2.0-0.5]",
    ),
]
