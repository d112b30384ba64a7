"""What goes wrong in exact samplers, in the ball's crossing and in the comparison, and what would pass unnoticed."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "the arm's posterior without the period of its curve",
        "inncli.tasks.benchmarks.inverse_kinematics:InverseKinematics.reference_posterior",
        "turned - 0.5 * (x1 / SD[0]) ** 2 + np.log(k)",
        "turned - 0.5 * (x1 / SD[0]) ** 2",
        "test_kruse::test_arms_agree_with_rejection[y0-0.01]",
    ),
    Defect(
        "the arm's rail is forgotten: any x1 is as likely",
        "inncli.tasks.benchmarks.inverse_kinematics:InverseKinematics.reference_posterior",
        "turned - 0.5 * (x1 / SD[0]) ** 2",
        "turned - 0.0 * x1",
        "test_kruse::test_arms_agree_with_rejection[y2-0.001]",
    ),
    Defect(
        "half of the arm's curve: the elbow bends one way",
        "inncli.tasks.benchmarks.inverse_kinematics:_angles",
        "ellipj(4 * k * u, m)",
        "ellipj(2 * k * u, m)",
        "test_kruse::test_arms_agree_with_rejection[y2-0.001]",
    ),
    Defect(
        "a proposal is kept whatever its density",
        "inncli.tasks.sampling.grid_rejection:sample_cells",
        "np.log(rng.random(2 * n)) < log_density(s, t) - envelope[index]",
        "np.isfinite(log_density(s, t))",
        "test_kruse::test_cells_draw_their_density",
    ),
    Defect(
        "sin(b/2) by a formula that loses digits at the saddle",
        "inncli.tasks.benchmarks.inverse_kinematics:_angles",
        "np.copysign(np.sqrt(np.maximum(r2 - first**2, 0)), sn)",
        "np.sqrt(r2 * (1 - r2)) * sn",
        "test_kruse::test_arms_reach_y_wherever_it_lies",
    ),
    Defect(
        "the ball's crossing after a fixed count of steps",
        "inncli.tasks.benchmarks.inverse_ballistics:_root",
        "range(100)",
        "range(2)",
        "test_kruse::test_the_crossing_is_lamberts_and_behind_the_apex",
    ),
    Defect(
        "the ball's crossing has no gradient",
        "inncli.tasks.benchmarks.inverse_ballistics:_crossing",
        "s - height + rise * expm1(-s)",
        "s - detached(height) + detached(rise) * expm1(-s)",
        "test_tasks::test_observe_is_differentiable[inverse_ballistics]",
    ),
    Defect(
        "throws from the ground are lost",
        "inncli.tasks.benchmarks.inverse_ballistics:_height",
        "return np.maximum(0, MEAN_X2 + SD_X2 * np.minimum(ndtri(quantile), HIGHEST))",
        "return np.abs(MEAN_X2 + SD_X2 * np.clip(ndtri(quantile), -HIGHEST, HIGHEST)) + 1e-9",
        "test_kruse::test_the_atom_of_throws_from_the_ground_is_kept",
    ),
    Defect(
        "a cell is drawn by its prior, and its bound is divided out all the same",
        "inncli.tasks.benchmarks.inverse_ballistics:InverseBallistics.reference_posterior",
        "log_bound = log_mass - 0.5 * ((at - nearest) / SD_X1) ** 2",
        "log_bound = log_mass",
        "test_kruse::test_throws_agree_with_rejection[8.0-integer]",
    ),
    Defect(
        "the published MMD with another kernel",
        "inncli.metrics.mmd2:mmd2_to_reference",
        "InverseMultiquadric((0.05, 0.2, 0.9))",
        "InverseMultiquadric((0.1, 0.2, 0.9))",
        "test_kruse::test_mmd2_is_zero_where_draws_agree_and_the_double_sum_everywhere",
    ),
    Defect(
        "a model that ignores y gets it after all",
        "inncli.models.flow:ConditionalFlow.__init__",
        "y = None if ignore_y else y",
        "y = y",
        "test_kruse::test_a_flow_sees_bounds_of_y_and_one_that_ignores_y_sees_nothing",
    ),
]
