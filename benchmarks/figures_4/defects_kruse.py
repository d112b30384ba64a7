"""What goes wrong in exact samplers, in the ball's crossing and in the comparison, and what would pass unnoticed."""

ARM, BALL, CELLS = (
    "inncli/tasks/benchmarks/inverse_kinematics.py",
    "inncli/tasks/benchmarks/inverse_ballistics.py",
    "inncli/tasks/sampling/grid_rejection.py",
)
TESTS = "tests/test_kruse.py"
DEFECTS = [
    (
        "the arm's posterior without the period of its curve",
        ARM,
        "(x1 / SD[0]) ** 2 + np.log(k)",
        "(x1 / SD[0]) ** 2",
        f"{TESTS}::test_arms_agree_with_rejection[y0-0.01]",
    ),
    (
        "the arm's rail is forgotten: any x1 is as likely",
        ARM,
        "turned - 0.5 * (x1 / SD[0]) ** 2",
        "turned - 0.0 * x1",
        f"{TESTS}::test_arms_agree_with_rejection[y2-0.001]",
    ),
    (
        "half of the arm's curve: the elbow bends one way",
        ARM,
        "ellipj(4 * k * u, m)",
        "ellipj(2 * k * u, m)",
        f"{TESTS}::test_arms_agree_with_rejection[y2-0.001]",
    ),
    (
        "a proposal is kept whatever its density",
        CELLS,
        "np.log(rng.random(2 * n)) < log_density(s, t) - envelope[index]",
        "np.isfinite(log_density(s, t))",
        f"{TESTS}::test_cells_draw_their_density",
    ),
    (
        "sin(b/2) by a formula that loses digits at the saddle",
        ARM,
        "np.copysign(np.sqrt(np.maximum(r2 - first**2, 0)), sn)",
        "np.sqrt(r2 * (1 - r2)) * sn",
        f"{TESTS}::test_arms_reach_y_wherever_it_lies",
    ),
    (
        "the ball's crossing after a fixed count of steps",
        BALL,
        "for _ in range(100):",
        "for _ in range(2):",
        f"{TESTS}::test_the_crossing_is_lamberts_and_behind_the_apex",
    ),
    (
        "the ball's crossing has no gradient",
        BALL,
        "f = s - height + rise * expm1(-s)\n    return",
        "f = s - detached(height) + detached(rise) * expm1(-s)\n    return",
        "tests/test_tasks.py::test_observe_is_differentiable[inverse_ballistics]",
    ),
    (
        "throws from the ground are lost",
        BALL,
        "return np.maximum(0, MEAN_X2 + SD_X2 * np.minimum(ndtri(quantile), HIGHEST))",
        "return np.abs(MEAN_X2 + SD_X2 * np.clip(ndtri(quantile), -HIGHEST, HIGHEST)) + 1e-9",
        f"{TESTS}::test_the_atom_of_throws_from_the_ground_is_kept",
    ),
    (
        "a cell is drawn by its prior, and its bound is divided out all the same",
        BALL,
        "log_bound = log_mass - 0.5 * ((y - nearest) / SD_X1) ** 2",
        "log_bound = log_mass",
        f"{TESTS}::test_throws_agree_with_rejection[8.0-integer]",
    ),
    (
        "the published MMD with another kernel",
        "inncli/metrics/c2st.py",
        "InverseMultiquadric((0.05, 0.2, 0.9))",
        "InverseMultiquadric((0.1, 0.2, 0.9))",
        f"{TESTS}::test_mmd2_is_zero_where_draws_agree_and_the_double_sum_everywhere",
    ),
    (
        "a model that ignores y gets it after all",
        "inncli/models/flow.py",
        "y = None if ignore_y else y",
        "y = y",
        f"{TESTS}::test_a_flow_sees_bounds_of_y_and_one_that_ignores_y_sees_nothing",
    ),
]
