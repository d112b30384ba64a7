"""Mistakes that the benchmark's tasks, the effective sample size and the two-sample test must not have."""

from defects._mutation import Defect

DEFECTS = [
    # sbibm: TwoMoons._likelihood
    Defect(
        "a likelihood of two moons without its 1/r",
        "inncli.tasks.benchmarks.two_moons:TwoMoons.log_likelihood",
        "np.log(np.pi * r)",
        "np.log(np.pi * RADIUS)",
        "test_sbi_tasks::test_two_moons_likelihood_integrates_to_one_and_is_that_of_the_simulator",
    ),
    # sbibm: TwoMoons._sample_reference_posterior takes q of either sign
    Defect(
        "a moon where |x1 + x2| would be negative",
        "inncli.tasks.benchmarks.two_moons:TwoMoons.reference_posterior",
        "(w >= 0) & (np.abs(x) <= 1).all(1)",
        "(np.abs(x) <= 1).all(1)",
        "test_sbi_tasks::test_two_moons_reference_agrees_with_rejection_sampling[y2]",
    ),
    Defect(
        "a posterior of two moons that leaves the square",
        "inncli.tasks.benchmarks.two_moons:TwoMoons.reference_posterior",
        "x[(w >= 0) & (np.abs(x) <= 1).all(1)]",
        "x[(w >= 0) & (np.abs(x) <= 2).all(1)]",
        "test_sbi_tasks::test_two_moons_reference_agrees_with_rejection_sampling[y1]",
    ),
    Defect(
        "one degree of freedom too many in slcp's Wishart",
        "inncli.tasks.benchmarks.slcp:Slcp.reference_posterior",
        "rng.standard_gamma(1.25, m)",
        "rng.standard_gamma(1.75, m)",
        "test_sbi_tasks::test_slcp_reference_agrees_with_weighted_draws_of_the_prior[inside]",
    ),
    Defect(
        "slcp without the prior of its correlation",
        "inncli.tasks.benchmarks.slcp:Slcp.reference_posterior",
        "(rest / var_v) ** 0.25",
        "(rest / var_v) ** 1.25",
        "test_sbi_tasks::test_slcp_reference_agrees_with_weighted_draws_of_the_prior[inside]",
    ),
    Defect(
        "steps of the epidemic too long for fast ones",
        "inncli.tasks.benchmarks.sir",
        "LARGEST = 1.0",
        "LARGEST = 8.0",
        "test_sbi_tasks::test_sir_solves_its_equations",
    ),
    Defect(
        "a step chosen by the error of all rows",
        "inncli.tasks.benchmarks.sir:_solved",
        'solve_ivp(slope, (DAYS[0], DAYS[-1]), start, "DOP853", t_eval=DAYS, first_step=step, max_step=step, '
        "rtol=1e9, atol=1e9)",
        'solve_ivp(slope, (DAYS[0], DAYS[-1]), start, "DOP853", t_eval=DAYS, rtol=1e-6, atol=1e-6)',
        "test_sbi_tasks::test_sir_rows_do_not_depend_on_each_other",
    ),
    Defect(
        "a far lobe of the posterior is cut off",
        "inncli.tasks.sampling.adaptive_rejection",
        "DEPTH = 16.0",
        "DEPTH = 5.0",
        "test_sbi_tasks::test_sir_reference_agrees_with_a_brute_force_grid[9]",
    ),
    Defect(
        "the wheel is imported to be found",
        "inncli.tasks.benchmarks.published:draws",
        'find_spec("sbibm")',
        '__import__("sbibm").__spec__',
        "test_sbi_tasks::test_published_draws_are_read_without_importing_their_package",
    ),
    Defect(
        "an effective sample size by the sum of weights, not of their squares",
        "inncli.metrics.ess:effective_sample_size",
        "share = first**2 / second",
        "share = first / second",
        "test_importance::test_share_is_that_of_a_normal_proposal_for_a_normal_target",
    ),
    Defect(
        "weights without the model's density",
        "inncli.evaluation.evaluate:_importance",
        "task.log_prior(x) + task.log_likelihood(y, x) - trained.log_prob(x, y)",
        "task.log_prior(x) + task.log_likelihood(y, x)",
        "test_importance::test_exact_draws_keep_their_size_and_others_lose_what_the_closed_form_says",
    ),
    Defect(
        "published observations are passed over",
        "inncli.evaluation.reference:add_c2st",
        "task.published_observations()",
        "None",
        "test_importance::test_a_task_with_published_observations_is_compared_at_these",
    ),
]
