"""What circles, discrete unknowns and sums beside an offset could get wrong."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "a mean beside an offset is the plain sum's",
        "inncli.numerics.statistics:mean_and_variance",
        "middle = np.where(seen, middle + off, middle)",
        "middle = np.where(seen, middle, middle)",
        "test_statistics::test_rows_beside_an_offset_have_their_own_mean_and_sd",
    ),
    Defect(
        "the mean of angles is that of numbers",
        "inncli.numerics.statistics:statistics",
        "on is None",
        "True",
        "test_statistics::test_angles_on_both_sides_of_the_cut_have_their_mean_between_them",
    ),
    Defect(
        "parts of a circle are cut each by itself",
        "inncli.inference.summary:Column.add",
        "if self._edges is None:\n    self._start = float(mean(values) if self._on is None else "
        "circle.mean(values, self._on))",
        "self._start = float(mean(values) if self._on is None else circle.mean(values, self._on))",
        "test_statistics::test_parts_of_a_circle_sum_up_as_the_whole",
    ),
    Defect(
        "ranks of angles are cut where the circle begins",
        "inncli.metrics.diagnosis:unrolled",
        "not any(circles)",
        "True",
        "test_calibration::test_an_angle_near_its_cut_is_judged_as_any_other",
    ),
    Defect(
        "the true value has no say in where the circle is cut",
        "inncli.metrics.diagnosis:unrolled",
        "circle.mean(both, on, 1, keepdims=True)",
        "circle.mean(both[:, :-1], on, 1, keepdims=True)",
        "test_calibration::test_ranks_on_an_even_circle_are_even",
    ),
    Defect(
        "the upper end of a circle is drawn, a hair below itself",
        "inncli.models.preprocessing:Scaling.record",
        "torch.where(end, self.low, grid)",
        "torch.where(end, grid, grid)",
        "test_circle_flow::test_a_hair_below_the_end_is_the_beginning",
    ),
    Defect(
        "discrete unknowns of a simulator are not looked for",
        "inncli.tasks.user.facts:found_in",
        "step = columns.circle_step(values, on) if on else columns.draws_step(values)",
        "step = 0.0",
        "test_simulator::test_what_the_draws_show_of_discrete_unknowns",
    ),
    Defect(
        "the tail of a count ends where the draws do",
        "inncli.data.columns:ends",
        "(values == end).sum() >= HEAP_ROWS",
        "(values == end).sum() >= 1",
        "test_simulator::test_what_the_draws_show_of_discrete_unknowns",
    ),
]
