"""Defects that the i-ResNet's tests must catch: (what, file, text, text with the defect, test)."""

T = "tests/test_iresnet.py::"
SOLVERS, RESIDUAL = "inncli/numerics/fixed_point.py", "inncli/transforms/residual.py"
LIPSCHITZ, LOG_DET = "inncli/nn/lipschitz.py", "inncli/transforms/log_det.py"

DEFECTS = [
    (
        "1: stop at a squared step over the tolerance, not at a bound of the error",
        SOLVERS,
        "        going = (norm > target[rows]) & norm.isfinite()",
        "        going = (norm.square() / tolerance > 1) & norm.isfinite()",
        T + "test_the_tolerance_bounds_the_error_of_x_not_a_step_or_a_residual",
    ),
    (
        "1: a fixed count of iterations that never looks",
        SOLVERS,
        "        going = (norm > target[rows]) & norm.isfinite()",
        "        going = norm.isfinite() & (len(history) < 50)",
        T + "test_the_tolerance_bounds_the_error_of_x_not_a_step_or_a_residual",
    ),
    (
        "2: the residual is taken for the error",
        SOLVERS,
        "    target = tolerance * (1 - lipschitz) * (1 + y.norm(dim=1))",
        "    target = tolerance * (1 + y.norm(dim=1))",
        T + "test_the_tolerance_bounds_the_error_of_x_not_a_step_or_a_residual",
    ),
    (
        "2: a residual of 1e-6 a block, end to end",
        RESIDUAL,
        "        tolerance: PositiveFloat = 1e-11,",
        "        tolerance: PositiveFloat = 1e-5,",
        T + "test_errors_do_not_add_up_along_a_chain",
    ),
    (
        "3: the bound by five steps of power iteration",
        LIPSCHITZ,
        "    return w / torch.linalg.eigvalsh(gram)[-1].clamp_min(1.0).sqrt()",
        "    v = torch.ones(len(gram), dtype=w.dtype)\n    for _ in range(5):\n        v = gram @ v / (gram @ v).norm()\n"
        "    return w / (v @ gram @ v).clamp_min(1.0).sqrt()",
        T + "test_the_bound_holds_for_any_weights",
    ),
    (
        "3: the certificate by five steps of power iteration",
        LIPSCHITZ,
        "        return math.prod(float(torch.linalg.svdvals(w.double())[0]) for w in self.effective_weights())",
        "        norms = []\n        for w in self.effective_weights():\n            v = torch.ones(w.shape[1], dtype=w.dtype)\n"
        "            for _ in range(5):\n                v = w.T @ (w @ v) / (w.T @ (w @ v)).norm()\n"
        "            norms.append(float((w @ v).norm()))\n        return math.prod(norms)",
        T + "test_the_certificate_is_no_power_iteration",
    ),
    (
        "4: log-det without a gradient",
        LOG_DET,
        "    return torch.linalg.slogdet(eye + jacobian)[1]",
        "    return torch.linalg.slogdet(eye + jacobian.detach())[1]",
        T + "test_log_det_has_its_gradient",
    ),
    (
        "4: conditions accepted and ignored",
        LIPSCHITZ,
        "            biases = [b + shift for b, shift in zip(biases, self.context(context).split(self.hidden, 1))]",
        "            biases = [b + 0 * shift for b, shift in zip(biases, self.context(context).split(self.hidden, 1))]",
        T + "test_the_block_is_conditional_and_unconditional",
    ),
    (
        "4: log-det of the inverse at z",
        RESIDUAL,
        "        g, slopes = net.with_slopes(x)\n        return x.to(z.dtype)",
        "        g, slopes = net.with_slopes(z.double())\n        return x.to(z.dtype)",
        T + "test_log_det_of_the_inverse_is_taken_at_the_x_that_was_found",
    ),
    (
        "5: a one-probe estimate in densities",
        RESIDUAL,
        '        if self.training and self.log_det != "exact":',
        '        if self.log_det != "exact":',
        T + "test_densities_are_exact_and_never_random",
    ),
    (
        "5: a roulette without its weights",
        LOG_DET,
        "        weights.append(1 / survives)",
        "        weights.append(1.0)",
        T + "test_roulette_weights_each_term_by_how_rarely_it_is_reached",
    ),
    (
        "a solver that stops quietly",
        SOLVERS,
        "        if left == 0:\n            raise ConvergenceError(",
        "        if left == 0:\n            out[rows] = x\n            return Solution(out, residual, residual, evaluations, history)\n"
        "            raise ConvergenceError(",
        T + "test_a_solver_that_has_not_converged_raises",
    ),
    (
        "gradient of the inverse without the implicit function theorem",
        RESIDUAL,
        "        fixed_point.register_hook(implicit)\n",
        "",
        T + "test_gradients_through_the_inverse_are_those_through_many_iterations",
    ),
    (
        "a net with L >= 1 is loaded",
        RESIDUAL,
        "        if not found < 1:",
        "        if found > 1e9:",
        T + "test_a_net_that_may_not_be_invertible_is_refused_on_load_by_name",
    ),
]
