"""What the 2-D densities and the digits could get wrong."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "the pinwheel's density takes the turn to be rigid",
        "inncli.tasks.densities.pinwheel:_log_density",
        "slope = 1 + RATE * f[:, 1] * np.exp(_bounded(f[:, 0]))",
        "slope = np.ones(len(f))",
        "test_densities::test_the_pinwheels_solutions_are_those_of_its_own_map",
    ),
    Defect(
        "the pinwheel's draws turn the other way",
        "inncli.tasks.densities.pinwheel:Pinwheel.prior",
        "np.arctan2(f[:, 1], f[:, 0]) - theta",
        "np.arctan2(f[:, 1], f[:, 0]) + theta",
        "test_densities::test_draws_fall_into_cells_as_the_density_says[Pinwheel]",
    ),
    Defect(
        "the spirals' angle is uniform",
        "inncli.tasks.densities.two_spirals:TwoSpirals.prior",
        "TURN * np.sqrt(rng.random(n))",
        "TURN * rng.random(n)",
        "test_densities::test_draws_fall_into_cells_as_the_density_says[TwoSpirals]",
    ),
    Defect(
        "the spirals' square is centred",
        "inncli.tasks.densities.two_spirals:TwoSpirals.prior",
        "SIDE * rng.random((n, 2))",
        "SIDE * (rng.random((n, 2)) - 0.5)",
        "test_densities::test_draws_fall_into_cells_as_the_density_says[TwoSpirals]",
    ),
    Defect(
        "too few nodes along the Swiss roll",
        "inncli.tasks.densities.swissroll:Swissroll.log_density",
        "nodes(LOW, HIGH, 400)",
        "nodes(LOW, HIGH, 20)",
        "test_densities::test_draws_fall_into_cells_as_the_density_says[Swissroll]",
    ),
    Defect(
        "one of the moons lies elsewhere",
        "inncli.tasks.densities.moons",
        "[[-1.0, -0.2], [1.0, 0.8]]",
        "[[-1.0, -0.2], [1.0, 0.4]]",
        "test_densities::test_the_draws_look_like_the_published_ones",
    ),
    Defect(
        "circles by area instead of evenly",
        "inncli.tasks.densities.curves:log_circles",
        "np.log(ive(0, r * radii / sd**2))",
        "np.log(ive(1, r * radii / sd**2))",
        "test_densities::test_the_bessel_form_is_the_integral_over_the_angle[Rings]",
    ),
    Defect(
        "a white square of the board is drawn",
        "inncli.tasks.densities.checkerboard:Checkerboard.prior",
        "2 * rng.integers(-1, 1, n) + column % 2",
        "2 * rng.integers(-1, 1, n) + column % 3",
        "test_densities::test_the_board_has_eight_even_squares_and_nothing_beside",
    ),
    Defect(
        "blank pixels are pixels like others",
        "inncli.tasks.measured.digits:Digits.__init__",
        "0.0 if empty else GREYS[-1]",
        "GREYS[-1]",
        "test_digits::test_blank_pixels_are_known_and_all_cells_hold_their_rows",
    ),
    Defect(
        "one covariance for all classes",
        "inncli.transforms.class_gaussian:_shrunk",
        "(1 - shared) * rows.T",
        "0 * rows.T",
        "test_digits::test_many_rows_give_each_class_its_exact_gaussian",
    ),
    Defect(
        "the class is read from the wrong entries of the context",
        "inncli.transforms.class_gaussian:ClassGaussian.__init__",
        "slice(first, first + classes)",
        "slice(0, classes)",
        "test_digits::test_many_rows_give_each_class_its_exact_gaussian",
    ),
    Defect(
        "clip leaves the heap map in",
        "inncli.models.preprocessing:Scaling.__init__",
        "x = replace(x, heaps=((),) * x.dim)",
        "pass",
        "test_digits::test_clip_is_for_recorded_columns_and_records_the_bound",
    ),
]
