"""What the 2-D densities and the digits could get wrong."""

DENSITIES, DIGITS = "tests/test_densities.py", "tests/test_digits.py"
DRAWS = f"{DENSITIES}::test_draws_fall_into_cells_as_the_density_says"
DEFECTS = [
    (
        "the pinwheel's density takes the turn to be rigid",
        "inncli/tasks/densities/pinwheel.py",
        "slope = 1 + RATE * f[:, 1] * np.exp(_bounded(f[:, 0]))",
        "slope = np.ones(len(f))",
        f"{DENSITIES}::test_the_pinwheels_solutions_are_those_of_its_own_map",
    ),
    (
        "the pinwheel's draws turn the other way",
        "inncli/tasks/densities/pinwheel.py",
        "np.arctan2(f[:, 1], f[:, 0]) - theta",
        "np.arctan2(f[:, 1], f[:, 0]) + theta",
        f"{DRAWS}[Pinwheel]",
    ),
    (
        "the spirals' angle is uniform",
        "inncli/tasks/densities/two_spirals.py",
        "TURN * np.sqrt(rng.random(n))",
        "TURN * rng.random(n)",
        f"{DRAWS}[TwoSpirals]",
    ),
    (
        "the spirals' square is centred",
        "inncli/tasks/densities/two_spirals.py",
        "SIDE * rng.random((n, 2))",
        "SIDE * (rng.random((n, 2)) - 0.5)",
        f"{DRAWS}[TwoSpirals]",
    ),
    (
        "too few nodes along the Swiss roll",
        "inncli/tasks/densities/swissroll.py",
        "nodes(LOW, HIGH, 400)",
        "nodes(LOW, HIGH, 20)",
        f"{DENSITIES}::test_draws_fall_into_cells_as_the_density_says[Swissroll]",
    ),
    (
        "one of the moons lies elsewhere",
        "inncli/tasks/densities/moons.py",
        "[1.0, 0.8]]",
        "[1.0, 0.4]]",
        f"{DENSITIES}::test_the_draws_look_like_the_published_ones",
    ),
    (
        "circles by area instead of evenly",
        "inncli/tasks/densities/curves.py",
        "np.log(ive(0, r * radii / sd**2))",
        "np.log(ive(1, r * radii / sd**2))",
        f"{DENSITIES}::test_the_bessel_form_is_the_integral_over_the_angle[Rings]",
    ),
    (
        "a white square of the board is drawn",
        "inncli/tasks/densities/checkerboard.py",
        "+ column % 2 ",
        "+ column % 3 ",
        f"{DENSITIES}::test_the_board_has_eight_even_squares_and_nothing_beside",
    ),
    (
        "blank pixels are pixels like others",
        "inncli/tasks/measured/digits.py",
        "0.0 if empty else GREYS[-1]",
        "GREYS[-1]",
        f"{DIGITS}::test_blank_pixels_are_known_and_all_cells_hold_their_rows",
    ),
    (
        "one covariance for all classes",
        "inncli/transforms/class_gaussian.py",
        "own = (1 - shared) * rows.T",
        "own = 0 * rows.T",
        f"{DIGITS}::test_many_rows_give_each_class_its_exact_gaussian",
    ),
    (
        "the class is read from the wrong entries of the context",
        "inncli/transforms/class_gaussian.py",
        "slice(first, first + classes)",
        "slice(0, classes)",
        f"{DIGITS}::test_many_rows_give_each_class_its_exact_gaussian",
    ),
    (
        "clip leaves the heap map in",
        "inncli/models/preprocessing.py",
        "x = replace(x, heaps=((),) * x.dim)",
        "pass",
        f"{DIGITS}::test_clip_is_for_recorded_columns_and_records_the_bound",
    ),
]
