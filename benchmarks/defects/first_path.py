"""Peers' mistakes on the way from simulations to a trained flow: couplings, flow, tasks, runs, files."""

from defects._mutation import Defect

DEFECTS = [
    # FrEIA: PullBackDistribution.log_prob drops the log-det
    Defect(
        "a density without its log-det",
        "inncli.models.flow:ConditionalFlow.log_prob",
        "log_prob = _standard_normal(z) + ladj",
        "log_prob = _standard_normal(z)",
        "test_models::test_density_integrates_to_one_and_matches_its_draws_cell_by_cell[rnvp]",
    ),
    # FrEIA: coupling Jacobian tests use atol=inf
    Defect(
        "a coupling's log-det with the wrong sign",
        "inncli.transforms.elementwise:Affine.forward",
        "return x * s.exp() + t, s.sum(1)",
        "return x * s.exp() + t, -s.sum(1)",
        "test_transforms::test_ladj_is_autograds_in_both_directions[affine_coupling]",
    ),
    Defect(
        "the inverse's log-det with the forward's sign",
        "inncli.transforms.elementwise:Affine.inverse",
        "return (z - t) * (-s).exp(), -s.sum(1)",
        "return (z - t) * (-s).exp(), s.sum(1)",
        "test_transforms::test_ladj_of_the_inverse_is_minus_the_forwards[affine_coupling]",
    ),
    # FrEIA's i-ResNet: a log-det without gradient, which likelihood training silently drops
    Defect(
        "a log-det without a gradient",
        "inncli.transforms.linear:LULinear._forward",
        "return x @ (self.p @ lower @ upper).T, self.log_diagonal.sum().expand(x.shape[0])",
        "return x @ (self.p @ lower @ upper).T, self.log_diagonal.sum().detach().expand(x.shape[0])",
        "test_transforms::test_gradients_reach_every_parameter[lu_linear]",
    ),
    # FrEIA: conditions accepted and ignored
    Defect(
        "a context that is taken and ignored",
        "inncli.transforms.coupling:Coupling._split",
        "self.subnet(x_a if context is None else torch.cat([x_a, context], 1))",
        "self.subnet(x_a if context is None else torch.cat([x_a, 0 * context], 1))",
        "test_transforms::test_context_matters_or_is_refused[affine_coupling]",
    ),
    Defect(
        "a context given to an unconditional transform is ignored",
        "inncli.transforms.base:Transform._check",
        "context is not None",
        "False",
        "test_transforms::test_context_matters_or_is_refused[actnorm]",
    ),
    # default GLOW of 24 blocks: round trip off by 4e13
    Defect(
        "affine scales without a clamp",
        "inncli.transforms.elementwise:Affine._split",
        "return self.clamp * torch.tanh(s / self.clamp), t",
        "return s, t",
        "test_transforms::test_an_affine_scale_stays_within_its_clamp",
    ),
    Defect(
        "blocks that don't start near the identity",
        "inncli.nn.mlp:MLP.__init__",
        "nn.init.normal_(self.last.weight, std=gain / widths[-1] ** 0.5)",
        "nn.init.normal_(self.last.weight, std=1 / widths[-1] ** 0.5)",
        "test_transforms::test_24_blocks_keep_their_digits[GlowBlock]",
    ),
    # sbi: rejection sampling that never ends when the posterior leaks out of the prior's box
    Defect(
        "a rejection loop without an end",
        "inncli.models.truncation:redraw_outside",
        "for _ in range(1000):\n"
        "    rows = bad.nonzero().squeeze(1)\n"
        "    if len(rows) == 0:\n"
        "        return x\n"
        "    x[rows] = draw(None if y is None else y[rows], len(rows), generator)\n"
        "    bad[rows] = outside(x[rows])",
        "while True:\n"
        "    rows = bad.nonzero().squeeze(1)\n"
        "    if len(rows) == 0:\n"
        "        return x\n"
        "    x[rows] = draw(None if y is None else y[rows], len(rows), generator)\n"
        "    bad[rows] = outside(x[rows])",
        "test_models::test_truncation_that_can_never_succeed_ends_with_a_clear_error",
    ),
    # sbi: NaN simulations that fail late
    Defect(
        "failed simulations are kept",
        "inncli.tasks.base:Task._successes",
        "return pairs if good.all() else pairs.take(good)",
        "return pairs",
        "test_tasks::test_failed_simulations_are_counted_and_dropped",
    ),
    # sbi: saves by pickle
    Defect(
        "a pickle is read",
        "inncli.data.tables:_read_npy",
        "np.load(io.BytesIO(data), allow_pickle=False)",
        "np.load(io.BytesIO(data), allow_pickle=True)",
        "test_reading::test_an_npy_table_is_never_unpickled",
    ),
    # pandas, numpy: a first row with a word or ? taken for the names
    Defect(
        "a missing value in the first row makes a header",
        "inncli.data.csv_text:_names_first",
        "words = [i for i, cell in enumerate(first) if i not in numbers and not is_gap(cell)]",
        "words = [i for i, cell in enumerate(first) if i not in numbers]",
        "test_messy_tables::test_a_messy_table_is_read_rightly_and_what_changed_is_said[a dash in row 1]",
    ),
    Defect(
        "a label in the first row makes a header",
        "inncli.data.csv_text:_names_first",
        "a_label = any(first[i] in below[i] for i in words)",
        "a_label = False",
        "test_messy_tables::test_a_messy_table_is_read_rightly_and_what_changed_is_said[whole numbers and a label]",
    ),
    Defect(
        "thousands that may be fractions are guessed",
        "inncli.data.cells:_commas_are_decimal",
        "plain and all(_WHOLE.fullmatch(text) and abs(int(text)) < 1000 for text in plain)",
        "all(_WHOLE.fullmatch(text) and abs(int(text)) < 1000 for text in plain)",
        "test_messy_tables::test_a_messy_table_is_refused_in_one_line[9,372 and nothing tells]",
    ),
    Defect(
        "a name without a header depends on how many ys are asked for",
        "inncli.tasks.measured.roles:_named_ys",
        "return max(numbers, default=0 if y == [] else 1)",
        "return len(y or [0])",
        "test_table::test_a_name_without_a_header_is_one_column_whatever_else_is_asked",
    ),
    Defect(
        "one constant column is named at a time",
        "inncli.tasks.base:Task._check_prior",
        "check_spread(self.x, x, None if self.constant_y else self.y, y)",
        "check_spread(self.x, x, None, y)",
        "test_tasks::test_a_constant_column_is_refused_before_the_budget_is_spent",
    ),
    Defect(
        "a relation leans on a column that is itself computed",
        "inncli.data.relations:_eliminated",
        "[i for i in found if weights[i]]",
        "[]",
        "test_relations::test_relations_are_found_and_rows_completed[a chain]",
    ),
    Defect(
        "draws are completed beyond the bounds of the computed column",
        "inncli.inference.trained_model:TrainedModel._completed",
        "np.zeros(x.shape[:2], dtype=bool) if self.model.is_search else self.relations.outside(x)",
        "np.zeros(x.shape[:2], dtype=bool)",
        "test_related_columns::test_draws_satisfy_the_relation_and_the_density_is_that_of_the_free_columns",
    ),
    Defect(
        "a resumed run is given relations that it did not begin with",
        "inncli.experiments.train:_resume",
        "setup = replace(setup, relations=verify.relations(run.last, read_header(run.last)[1]))",
        "pass",
        "test_related_columns::test_a_run_goes_on_with_the_columns_that_it_began_with[all columns]",
    ),
    # Hydra: three runs started together share one timestamped directory
    Defect(
        "two runs of one instant share a directory",
        "inncli.runs.registry:reserve",
        "path.mkdir()\nreturn path",
        "path.mkdir(exist_ok=True)\nreturn path",
        "test_run::test_reserve_gives_each_caller_its_own_directory",
    ),
    # Hydra: in a partly failed sweep only the first failure is printed
    Defect(
        "only the first failed job of a sweep is told",
        "inncli.cli.sweep_table:report",
        "for line in failures(jobs):\n    console.note(line)",
        "for line in failures(jobs)[:1]:\n    console.note(line)",
        "test_cli::test_a_failed_job_leaves_the_others",
    ),
    # a ramp in the loss: the untrained state, judged before the ramp, stays the best for ever
    Defect(
        "epochs compared by a loss that a ramp changes",
        "inncli.training.loop:Loop.validate",
        "loss = self.objective.validation_loss(self.model, part, self.progress.step, noise)",
        "loss = self.objective(self.model, part, self.progress.step, noise)[0]",
        "test_trainer::test_a_ramped_objective_does_not_keep_the_untrained_state",
    ),
]
