"""Mistakes of the official maximum-entropy notebook, and others that would pass unnoticed."""

OBJECTIVE = "inncli/objectives/maxent.py"
TESTS = "tests/test_maxent.py"
DEFECTS = [
    (
        "the penalty test compares a residual with itself",
        OBJECTIVE,
        "        if self.phase > 1 and",
        "        self.before = mean\n        if self.phase > 1 and",
        f"{TESTS}::test_the_penalty_grows_where_the_residual_does_not_shrink_and_only_there",
    ),
    (
        "the penalty test never fires",
        OBJECTIVE,
        "return bool(excess > 2 *",
        "return bool(excess > math.inf *",
        f"{TESTS}::test_the_penalty_grows_where_the_residual_does_not_shrink_and_only_there",
    ),
    (
        "the penalty grows because of noise",
        OBJECTIVE,
        "return r @ r - noise.trace(), 4 * r @ noise @ r + 2 * noise.square().sum()",
        "return r @ r, 0 * noise.trace()",
        f"{TESTS}::test_the_penalty_grows_where_the_residual_does_not_shrink_and_only_there",
    ),
    (
        "multipliers are not averaged and follow the noise",
        OBJECTIVE,
        "average = 3 / (self.phase + 2)",
        "average = 1.0",
        f"{TESTS}::test_multipliers_settle_although_residuals_are_noisy",
    ),
    (
        "a normal draw stands for a uniform one in the strata",
        OBJECTIVE,
        "u = (stratum + torch.rand(n, dim, **like)) / n",
        "u = (stratum + torch.randn(n, dim, **like)) / n",
        f"{TESTS}::test_latin_draws_are_normal_one_in_each_stratum_and_have_a_fifth_of_the_noise",
    ),
    (
        "a normal draw stands for a uniform one at the start",
        "inncli/tasks/maxent/beta.py",
        "return rng.random((n, 1))",
        "return np.clip(rng.normal(0.5, 0.2, (n, 1)), 1e-6, 1 - 1e-6)",
        f"{TESTS}::test_uniform_is_uniform_and_no_normal_draw",
    ),
    (
        "the penalty squares a noisy mean",
        OBJECTIVE,
        "return self._whiten(r[:half].mean(0)) @ self._whiten(r[half:].mean(0))",
        "return self._whiten(r.mean(0)) @ self._whiten(r.mean(0)) + 0 * half",
        f"{TESTS}::test_the_penalty_of_a_small_batch_is_unbiased",
    ),
    (
        "multipliers carry no gradient to the flow",
        OBJECTIVE,
        "constraint = self.multipliers @ r.mean(0)",
        "constraint = self.multipliers @ r.mean(0).detach()",
        f"{TESTS}::test_the_gradient_is_that_of_the_exact_lagrangian",
    ),
    (
        "draws forget their log-det",
        "inncli/models/flow.py",
        "return x, _standard_normal(z) - ladj",
        "return x, _standard_normal(z) - 0 * ladj",
        f"{TESTS}::test_reparameterised_draws_know_their_density_and_carry_gradients",
    ),
    (
        "a stopped run forgets its multipliers",
        OBJECTIVE,
        "self.register_buffer(name, value.to(device))",
        "self.register_buffer(name, value.to(device), persistent=False)",
        f"{TESTS}::test_a_stopped_run_resumes_to_the_same_bytes",
    ),
    (
        "a model starts from the answer",
        "inncli/tasks/maxent/base.py",
        "Pairs(self.reference(self.budget,",
        "Pairs(self.prior(self.budget,",
        f"{TESTS}::test_a_model_starts_from_the_reference_measure_and_not_from_the_answer[gamma]",
    ),
    (
        "shares of a draw are rounded to a sum above 1",
        "inncli/transforms/simplex.py",
        ".exp() * (1 - self.rounding)",
        ".exp()",
        f"{TESTS}::test_draws_far_out_stay_in_the_simplex",
    ),
    (
        "the log-det of the simplex leaves out the last share",
        "inncli/transforms/simplex.py",
        "return (log_x[:, :-1] - log_x[:, -1:]).to(x.dtype), -log_x.sum(1)",
        "return (log_x[:, :-1] - log_x[:, -1:]).to(x.dtype), -log_x[:, :-1].sum(1)",
        "tests/test_transforms.py::test_ladj_is_autograds_in_both_directions[simplex]",
    ),
]
