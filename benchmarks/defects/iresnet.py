"""Mistakes in the i-ResNet's solvers, bounds and log-dets."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "1: stop at a squared step over the tolerance, not at a bound of the error",
        "inncli.numerics.fixed_point:solve",
        "going = (norm > target[rows]) & norm.isfinite()",
        "going = (norm.square() / tolerance > 1) & norm.isfinite()",
        "test_iresnet::test_the_tolerance_bounds_the_error_of_x_not_a_step_or_a_residual",
    ),
    Defect(
        "1: a fixed count of iterations that never looks",
        "inncli.numerics.fixed_point:solve",
        "going = (norm > target[rows]) & norm.isfinite()",
        "going = norm.isfinite() & (len(history) < 50)",
        "test_iresnet::test_the_tolerance_bounds_the_error_of_x_not_a_step_or_a_residual",
    ),
    Defect(
        "2: the residual is taken for the error",
        "inncli.numerics.fixed_point:solve",
        "target = tolerance * (1 - lipschitz) * (1 + y.norm(dim=1))",
        "target = tolerance * (1 + y.norm(dim=1))",
        "test_iresnet::test_the_tolerance_bounds_the_error_of_x_not_a_step_or_a_residual",
    ),
    Defect(
        "2: a residual of 1e-6 a block, end to end",
        "inncli.transforms.residual:Residual.__init__",
        "1e-11",
        "1e-5",
        "test_iresnet::test_errors_do_not_add_up_along_a_chain",
    ),
    Defect(
        "3: the bound by five steps of power iteration",
        "inncli.nn.lipschitz:_within_unit_ball",
        "return w / torch.linalg.eigvalsh(gram)[-1].clamp_min(1.0).sqrt()",
        "v = torch.ones(len(gram), dtype=w.dtype)\n"
        "for _ in range(5):\n"
        "    v = gram @ v / (gram @ v).norm()\n"
        "return w / (v @ gram @ v).clamp_min(1.0).sqrt()",
        "test_iresnet::test_the_bound_holds_for_any_weights",
    ),
    Defect(
        "3: the certificate by five steps of power iteration",
        "inncli.nn.lipschitz:LipschitzNet.certificate",
        "return math.prod(float(torch.linalg.svdvals(w.double())[0]) for w in self.effective_weights())",
        "norms = []\n"
        "for w in self.effective_weights():\n"
        "    v = torch.ones(w.shape[1], dtype=w.dtype)\n"
        "    for _ in range(5):\n"
        "        v = w.T @ (w @ v) / (w.T @ (w @ v)).norm()\n"
        "    norms.append(float((w @ v).norm()))\n"
        "return math.prod(norms)",
        "test_iresnet::test_the_certificate_is_no_power_iteration",
    ),
    Defect(
        "4: log-det without a gradient",
        "inncli.transforms.log_det:exact",
        "return torch.linalg.slogdet(eye + jacobian)[1]",
        "return torch.linalg.slogdet(eye + jacobian.detach())[1]",
        "test_iresnet::test_log_det_has_its_gradient",
    ),
    Defect(
        "4: conditions accepted and ignored",
        "inncli.nn.lipschitz:LipschitzNet.at",
        "biases = [b + shift for b, shift in zip(biases, self.context(context).split(self.hidden, 1), strict=True)]",
        "biases = [b + 0 * s for b, s in zip(biases, self.context(context).split(self.hidden, 1), strict=True)]",
        "test_iresnet::test_the_block_is_conditional_and_unconditional",
    ),
    Defect(
        "4: log-det of the inverse at z",
        "inncli.transforms.residual:Residual._inverse",
        "net.with_slopes(x)",
        "net.with_slopes(z.double())",
        "test_iresnet::test_log_det_of_the_inverse_is_taken_at_the_x_that_was_found",
    ),
    Defect(
        "5: a one-probe estimate in densities",
        "inncli.transforms.residual:Residual._log_det",
        'self.training and self.log_det != "exact"',
        'self.log_det != "exact"',
        "test_iresnet::test_densities_are_exact_and_never_random",
    ),
    Defect(
        "5: a roulette without its weights",
        "inncli.transforms.log_det:roulette",
        "weights.append(1 / survives)",
        "weights.append(1.0)",
        "test_iresnet::test_roulette_weights_each_term_by_how_rarely_it_is_reached",
    ),
    Defect(
        "a solver that stops quietly",
        "inncli.numerics.fixed_point:solve",
        "raise ConvergenceError(\n"
        '    f"{len(rows)} of {len(y)} rows did not converge: residual {float(norm.max()):.2g}, expected "\n'
        '    f"{float(target[rows].min()):.2g} for an error below {tolerance:g} at Lipschitz constant "\n'
        '    f"{lipschitz:.4f}; solve in float64, or ask for less")',
        "out[rows] = x\n"
        "return Solution(out, residual, residual, evaluations, history)\n"
        "raise ConvergenceError(\n"
        '    f"{len(rows)} of {len(y)} rows did not converge: residual {float(norm.max()):.2g}, expected "\n'
        '    f"{float(target[rows].min()):.2g} for an error below {tolerance:g} at Lipschitz constant "\n'
        '    f"{lipschitz:.4f}; solve in float64, or ask for less")',
        "test_iresnet::test_a_solver_that_has_not_converged_raises",
    ),
    Defect(
        "gradient of the inverse without the implicit function theorem",
        "inncli.transforms.residual:Residual._with_gradient",
        "fixed_point.register_hook(implicit)",
        "",
        "test_iresnet::test_gradients_through_the_inverse_are_those_through_many_iterations",
    ),
    Defect(
        "a net with L >= 1 is loaded",
        "inncli.transforms.residual:verify",
        "not found < 1",
        "found > 1e9",
        "test_iresnet::test_a_net_that_may_not_be_invertible_is_refused_on_load_by_name",
    ),
]
