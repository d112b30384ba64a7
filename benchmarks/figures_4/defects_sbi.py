"""Mistakes that the benchmark's tasks, the effective sample size and the two-sample test must not have."""

TASKS, WEIGHTS = "tests/test_sbi_tasks.py", "tests/test_importance.py"
DEFECTS = [
    # sbibm: TwoMoons._likelihood
    (
        "a likelihood of two moons without its 1/r",
        "inncli/tasks/benchmarks/two_moons.py",
        "- np.log(np.pi * r))",
        "- np.log(np.pi * RADIUS))",
        f"{TASKS}::test_two_moons_likelihood_integrates_to_one_and_is_that_of_the_simulator",
    ),
    # sbibm: TwoMoons._sample_reference_posterior takes q of either sign
    (
        "a moon where |x1 + x2| would be negative",
        "inncli/tasks/benchmarks/two_moons.py",
        "(w >= 0) & ",
        "",
        f"{TASKS}::test_two_moons_reference_agrees_with_rejection_sampling[y2]",
    ),
    (
        "a posterior of two moons that leaves the square",
        "inncli/tasks/benchmarks/two_moons.py",
        "& (np.abs(x) <= 1).all(1)]",
        "& (np.abs(x) <= 2).all(1)]",
        f"{TASKS}::test_two_moons_reference_agrees_with_rejection_sampling[y1]",
    ),
    (
        "one degree of freedom too many in slcp's Wishart",
        "inncli/tasks/benchmarks/slcp.py",
        "rng.standard_gamma(1.25, m)",
        "rng.standard_gamma(1.75, m)",
        f"{TASKS}::test_slcp_reference_agrees_with_weighted_draws_of_the_prior[inside]",
    ),
    (
        "slcp without the prior of its correlation",
        "inncli/tasks/benchmarks/slcp.py",
        "(rest / var_v) ** 0.25",
        "(rest / var_v) ** 1.25",
        f"{TASKS}::test_slcp_reference_agrees_with_weighted_draws_of_the_prior[inside]",
    ),
    (
        "steps of the epidemic too long for fast ones",
        "inncli/tasks/benchmarks/sir.py",
        "LARGEST = 1.0",
        "LARGEST = 8.0",
        f"{TASKS}::test_sir_solves_its_equations",
    ),
    (
        "a step chosen by the error of all rows",
        "inncli/tasks/benchmarks/sir.py",
        "first_step=step, max_step=step,\n                         rtol=1e9, atol=1e9",
        "rtol=1e-6, atol=1e-6",
        f"{TASKS}::test_sir_rows_do_not_depend_on_each_other",
    ),
    (
        "a far lobe of the posterior is cut off",
        "inncli/tasks/sampling/adaptive_rejection.py",
        "DEPTH = 16.0",
        "DEPTH = 5.0",
        f"{TASKS}::test_sir_reference_agrees_with_a_brute_force_grid[9]",
    ),
    (
        "the wheel is imported to be found",
        "inncli/tasks/benchmarks/published.py",
        'package = find_spec("sbibm")  # finds',
        'package = __import__("sbibm").__spec__  # finds',
        f"{TASKS}::test_published_draws_are_read_without_importing_their_package",
    ),
    (
        "an effective sample size by the sum of weights, not of their squares",
        "inncli/metrics/ess.py",
        "share = first**2 / second",
        "share = first / second",
        f"{WEIGHTS}::test_share_is_that_of_a_normal_proposal_for_a_normal_target",
    ),
    (
        "weights without the model's density",
        "inncli/evaluation/evaluate.py",
        ' - trained.log_prob(x, y)\n    found.add("ess"',
        '\n    found.add("ess"',
        f"{WEIGHTS}::test_exact_draws_keep_their_size_and_others_lose_what_the_closed_form_says",
    ),
    (
        "published observations are passed over",
        "inncli/evaluation/reference.py",
        "else task.published_observations()",
        "else None",
        f"{WEIGHTS}::test_a_task_with_published_observations_is_compared_at_these",
    ),
]
