"""Mistakes of the official maximum-entropy notebook, and others that would pass unnoticed."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "the penalty test compares a residual with itself",
        "inncli.objectives.maxent:MaxEnt._begin_phase",
        "if self.phase > 1 and self._shrinks_too_slowly(mean, noise):\n"
        "    self.weight.copy_((self.weight * self.growth).clamp_max(self.max_penalty))",
        "self.before = mean\n"
        "if self.phase > 1 and self._shrinks_too_slowly(mean, noise):\n"
        "    self.weight.copy_((self.weight * self.growth).clamp_max(self.max_penalty))",
        "test_maxent::test_the_penalty_grows_where_the_residual_does_not_shrink_and_only_there",
    ),
    Defect(
        "the penalty test never fires",
        "inncli.objectives.maxent:MaxEnt._shrinks_too_slowly",
        "2 * (variance + self.shrink**4 * variance_before).sqrt()",
        "math.inf * (variance + self.shrink**4 * variance_before).sqrt()",
        "test_maxent::test_the_penalty_grows_where_the_residual_does_not_shrink_and_only_there",
    ),
    Defect(
        "the penalty grows because of noise",
        "inncli.objectives.maxent:MaxEnt._squared_norm",
        "return r @ r - noise.trace(), 4 * r @ noise @ r + 2 * noise.square().sum()",
        "return r @ r, 0 * noise.trace()",
        "test_maxent::test_the_penalty_grows_where_the_residual_does_not_shrink_and_only_there",
    ),
    Defect(
        "multipliers are not averaged and follow the noise",
        "inncli.objectives.maxent:MaxEnt._begin_phase",
        "average = 3 / (self.phase + 2)",
        "average = 1.0",
        "test_maxent::test_multipliers_settle_although_residuals_are_noisy",
    ),
    Defect(
        "a normal draw stands for a uniform one in the strata",
        "inncli.objectives.maxent:latin_normal",
        "u = (stratum + uniform()) / n",
        "u = (stratum + torch.randn(n, dim, generator=generator, dtype=torch.float64)) / n",
        "test_maxent::test_latin_draws_are_normal_one_in_each_stratum_and_have_a_fifth_of_the_noise",
    ),
    Defect(
        "a normal draw stands for a uniform one at the start",
        "inncli.tasks.maxent.beta:MaxentBeta.reference",
        "return rng.random((n, 1))",
        "return np.clip(rng.normal(0.5, 0.2, (n, 1)), 1e-6, 1 - 1e-6)",
        "test_maxent::test_uniform_is_uniform_and_no_normal_draw",
    ),
    Defect(
        "the penalty squares a noisy mean",
        "inncli.objectives.maxent:MaxEnt._product_of_halves",
        "return self._whiten(r[:half].mean(0)) @ self._whiten(r[half:].mean(0))",
        "return self._whiten(r.mean(0)) @ self._whiten(r.mean(0)) + 0 * half",
        "test_maxent::test_the_penalty_of_a_small_batch_is_unbiased",
    ),
    Defect(
        "multipliers carry no gradient to the flow",
        "inncli.objectives.maxent:MaxEnt.forward",
        "constraint = self.multipliers @ r.mean(0)",
        "constraint = self.multipliers @ r.mean(0).detach()",
        "test_maxent::test_the_gradient_is_that_of_the_exact_lagrangian",
    ),
    Defect(
        "draws forget their log-det",
        "inncli.models.flow:ConditionalFlow.push_forward",
        "return x, _standard_normal(z) - ladj",
        "return x, _standard_normal(z) - 0 * ladj",
        "test_maxent::test_reparameterised_draws_know_their_density_and_carry_gradients",
    ),
    Defect(
        "a stopped run forgets its multipliers",
        "inncli.objectives.maxent:MaxEnt.attach",
        "self.register_buffer(name, value.to(device))",
        "self.register_buffer(name, value.to(device), persistent=False)",
        "test_maxent::test_a_stopped_run_resumes_to_the_same_bytes",
    ),
    Defect(
        "a model starts from the answer",
        "inncli.tasks.maxent.base:MaxentTask.training_pairs",
        "self.reference",
        "self.prior",
        "test_maxent::test_a_model_starts_from_the_reference_measure_and_not_from_the_answer[gamma]",
    ),
    Defect(
        "shares of a draw are rounded to a sum above 1",
        "inncli.transforms.simplex:Simplex._inverse",
        "log_x[:, :-1].exp() * (1 - self.rounding)",
        "log_x[:, :-1].exp()",
        "test_maxent::test_draws_far_out_stay_in_the_simplex",
    ),
    Defect(
        "the log-det of the simplex leaves out the last share",
        "inncli.transforms.simplex:Simplex._forward",
        "log_x.sum(1).to",
        "log_x[:, :-1].sum(1).to",
        "test_transforms::test_ladj_is_autograds_in_both_directions[simplex]",
    ),
]
