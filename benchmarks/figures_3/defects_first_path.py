"""Peers' mistakes that the code of issue 2 must not have: couplings, flow, tasks, runs, files (field.md)."""

COUPLING = "tests/test_transforms.py"
DEFECTS = [
    # FrEIA: PullBackDistribution.log_prob drops the log-det
    (
        "a density without its log-det",
        "inncli/models/flow.py",
        "log_prob = _standard_normal(z) + ladj",
        "log_prob = _standard_normal(z)",
        "tests/test_models.py::test_density_integrates_to_one_and_matches_its_draws_cell_by_cell[rnvp]",
    ),
    # FrEIA: coupling Jacobian tests use atol=inf
    (
        "a coupling's log-det with the wrong sign",
        "inncli/transforms/elementwise.py",
        "return x * s.exp() + t, s.sum(1)",
        "return x * s.exp() + t, -s.sum(1)",
        f"{COUPLING}::test_ladj_is_autograds_in_both_directions[affine_coupling]",
    ),
    (
        "the inverse's log-det with the forward's sign",
        "inncli/transforms/elementwise.py",
        "return (z - t) * (-s).exp(), -s.sum(1)",
        "return (z - t) * (-s).exp(), s.sum(1)",
        f"{COUPLING}::test_ladj_of_the_inverse_is_minus_the_forwards[affine_coupling]",
    ),
    # FrEIA's i-ResNet: a log-det without gradient, which likelihood training silently drops
    (
        "a log-det without a gradient",
        "inncli/transforms/linear.py",
        "return x @ (self.p @ lower @ upper).T, self.log_diagonal.sum().expand(x.shape[0])",
        "return x @ (self.p @ lower @ upper).T, self.log_diagonal.sum().detach().expand(x.shape[0])",
        f"{COUPLING}::test_gradients_reach_every_parameter[lu_linear]",
    ),
    # FrEIA: conditions accepted and ignored
    (
        "a context that is taken and ignored",
        "inncli/transforms/coupling.py",
        "self.subnet(x_a if context is None else torch.cat([x_a, context], 1))",
        "self.subnet(x_a if context is None else torch.cat([x_a, 0 * context], 1))",
        f"{COUPLING}::test_context_matters_or_is_refused[affine_coupling]",
    ),
    (
        "a context given to an unconditional transform is ignored",
        "inncli/transforms/base.py",
        "if context is not None:",
        "if False:",
        f"{COUPLING}::test_context_matters_or_is_refused[actnorm]",
    ),
    # default GLOW of 24 blocks: round trip off by 4e13
    (
        "affine scales without a clamp",
        "inncli/transforms/elementwise.py",
        "return self.clamp * torch.tanh(s / self.clamp), t",
        "return s, t",
        f"{COUPLING}::test_an_affine_scale_stays_within_its_clamp",
    ),
    (
        "blocks that don't start near the identity",
        "inncli/nn/mlp.py",
        "nn.init.normal_(self.last.weight, std=gain / widths[-1] ** 0.5)",
        "nn.init.normal_(self.last.weight, std=1 / widths[-1] ** 0.5)",
        f"{COUPLING}::test_24_blocks_keep_their_digits[GlowBlock]",
    ),
    # sbi: rejection sampling that never ends when the posterior leaks out of the prior's box
    (
        "a rejection loop without an end",
        "inncli/models/flow.py",
        "for _ in range(1000):\n            rows",
        "while True:\n            rows",
        "tests/test_models.py::test_truncation_that_can_never_succeed_ends_with_a_clear_error",
    ),
    # sbi: NaN simulations that fail late
    (
        "failed simulations are kept",
        "inncli/tasks/base.py",
        "return pairs if good.all() else pairs.take(good)",
        "return pairs",
        "tests/test_tasks.py::test_failed_simulations_are_counted_and_dropped",
    ),
    # sbi: saves by pickle
    (
        "a pickle is read",
        "inncli/data/tables.py",
        "allow_pickle=False",
        "allow_pickle=True",
        "tests/test_reading.py::test_an_npy_table_is_never_unpickled",
    ),
    # Hydra: three runs started together share one timestamped directory
    (
        "two runs of one instant share a directory",
        "inncli/runs/registry.py",
        "            path.mkdir()\n            return path",
        "            path.mkdir(exist_ok=True)\n            return path",
        "tests/test_run.py::test_reserve_gives_each_caller_its_own_directory",
    ),
    # Hydra: in a partly failed sweep only the first failure is printed
    (
        "only the first failed job of a sweep is told",
        "inncli/cli/sweep_table.py",
        "for line in failures(jobs):",
        "for line in failures(jobs)[:1]:",
        "tests/test_cli.py::test_a_failed_job_leaves_the_others",
    ),
    # a ramp in the loss: the untrained state, judged before the ramp, stays the best for ever
    (
        "epochs compared by a loss that a ramp changes",
        "inncli/training/trainer.py",
        "loss = self.objective.validation_loss(self.model, part, self.progress.step, noise)",
        "loss = self.objective(self.model, part, self.progress.step, noise)[0]",
        "tests/test_trainer.py::test_a_ramped_objective_does_not_keep_the_untrained_state",
    ),
]
