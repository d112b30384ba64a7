"""i-ResNet: certified nets, the solver, log-dets, and each mistake of the peers as a test."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from catalogue import MODELS
from inncli.cli.app import main
from inncli.errors import CheckpointError, ConvergenceError
from inncli.nn.lipschitz import LipschitzNet
from inncli.numerics.fixed_point import solve
from inncli.runs.registry import find_run
from inncli.training.checkpoint import load_checkpoint, save_checkpoint
from inncli.transforms import log_det
from inncli.transforms.blocks import ResidualBlock
from inncli.transforms.chain import Chain
from inncli.transforms.residual import Residual, health, residuals, verify
from inncli.variables import Variables

METHODS = ["banach", "anderson", "newton"]
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(autouse=True)
def float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def scattered(module, size=1.0, seed=5):
    """The module with random parameters, away from its start."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=seeded(seed)))
    return module


def residual(dim=3, dim_context=0, hidden=(32,), lipschitz=0.95, **words):
    torch.manual_seed(1)
    return scattered(Residual(dim, dim_context, list(hidden), lipschitz, **words))


def contraction(dim, lipschitz, seed=0):
    """g(x) = A x with |A| = lipschitz, its Jacobian, and x + g(x) = y solved in closed form."""
    a = torch.randn(dim, dim, generator=seeded(seed))
    a = lipschitz * a / torch.linalg.svdvals(a)[0]
    return (
        (lambda x, rows: x @ a.T),
        (lambda x, rows: a.expand(len(x), -1, -1)),
        (lambda y: torch.linalg.solve(torch.eye(dim) + a, y.T).T),
    )


# ---- the solver --------------------------------------------------------------------------------------
@every_method
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10])
def test_the_tolerance_bounds_the_error_of_x_not_a_step_or_a_residual(method, tolerance):
    # g(x) = -.99 x: the residual is a hundredth of the error, and a Banach step is as long as the residual.
    y = torch.randn(20, 2, generator=seeded())
    found = solve(
        lambda x, rows: -0.99 * x,
        y,
        0.99,
        tolerance,
        method,
        lambda x, rows: -0.99 * torch.eye(2).expand(len(x), -1, -1),
    )
    error = (found.x - 100 * y).norm(dim=1)
    assert (error <= found.error_bound * (1 + 1e-9) + 1e-11).all()
    assert (found.error_bound <= tolerance * (1 + y.norm(dim=1))).all()
    if method == "banach":  # log(tolerance) / log(L): no fixed count would have been enough
        assert found.evaluations.min() > 0.8 * math.log(tolerance / 100) / math.log(0.99)


@every_method
def test_solutions_are_the_closed_form(method):
    for dim in (1, 2, 5, 30):
        g, jacobian, truth = contraction(dim, 0.95)
        y = 10 * torch.randn(50, dim, generator=seeded(1))
        found = solve(g, y, 0.95, 1e-12, method, jacobian)
        assert (found.x - truth(y)).abs().max() < 1e-10
        assert (found.residual - (found.x + g(found.x, None) - y).norm(dim=1)).abs().max() < 1e-13


@every_method
def test_a_solver_that_has_not_converged_raises(method):
    y = torch.randn(8, 2, generator=seeded())

    def expanding(x, rows):  # Lipschitz 30, sold as .9
        return 3 * torch.sin(10 * x.roll(1, 1))

    def slope(x, rows):
        return torch.zeros(len(x), 2, 2)

    with pytest.raises(ConvergenceError, match=r"rows did not converge: residual .*, expected"):
        solve(expanding, y, 0.9, 1e-10, method, slope)


@every_method
def test_rounding_that_hides_the_solution_raises(method):
    y = torch.randn(8, 3, generator=seeded()).float()
    block = residual().float()
    net = block.net.at(None)
    with pytest.raises(ConvergenceError, match="solve in float64"):
        block.solve(y, net, method, 1e-9)


@every_method
def test_a_row_does_not_depend_on_its_batch(method):
    block = residual(dim=3, dim_context=2)
    z = 3 * torch.randn(40, 3, generator=seeded())
    context = torch.randn(40, 2, generator=seeded(1))
    block.solver = method
    with torch.no_grad():
        whole = block.inverse(z, context)[0]
        alone = torch.cat([block.inverse(z[i : i + 1], context[i : i + 1])[0] for i in range(40)])
        z[20:] *= 100  # harder mates
        mates = block.inverse(z, context)[0]
    assert (whole - alone).abs().max() < 1e-13
    assert (whole[:20] - mates[:20]).abs().max() < 1e-13


def test_rows_that_have_converged_cost_no_more_evaluations():
    block = residual()
    z = torch.randn(200, 3, generator=seeded())
    seen = []
    net = block.net.at(None)

    def counted(x, rows):
        seen.append(len(x))
        return net(x)

    found = solve(counted, z, block.net.certificate(), 1e-10, "banach")
    assert sum(seen) == int(found.evaluations.sum()) < 200 * len(seen)
    assert seen == sorted(seen, reverse=True)


def test_non_finite_rows_give_nan_and_leave_the_others_alone():
    g, jacobian, truth = contraction(2, 0.9)
    y = torch.tensor([[1.0, 2], [math.nan, 0], [math.inf, 0], [3, 4]])
    for method in METHODS:
        found = solve(g, y, 0.9, 1e-10, method, jacobian)
        assert found.x[1:3].isnan().all() and found.residual[1:3].isnan().all()
        assert (found.x[[0, 3]] - truth(y[[0, 3]])).abs().max() < 1e-9
    assert solve(g, y[:0], 0.9, 1e-10).x.shape == (0, 2)


def test_errors_do_not_add_up_along_a_chain():
    # Four blocks that squeeze by .02 to .05 where the data are: a residual of 1e-6 a block would be off by 1e-2.
    chain = Chain(1, [steep(seed) for seed in range(4)])
    x = torch.linspace(-0.1, 0.1, 50)[:, None]
    with torch.no_grad():
        z, ladj = chain(x)
        assert ladj.max() < math.log(1e-4)
        assert (chain.inverse(z)[0] - x).abs().max() <= 1e-8


def steep(seed):
    """A 1-D residual step with slope -.98 at 0."""
    block = Residual(1, 0, [4], 0.98)
    with torch.no_grad():
        block.net.weights[0].copy_(torch.full((4, 1), 0.5))
        block.net.weights[1].copy_(torch.full((1, 4), -0.5))
        block.net.biases[0].zero_()
        block.net.log_curvatures[0].fill_(0.1 * seed)
    return block


@pytest.mark.parametrize(("dim", "method"), [(2, "anderson"), (2, "newton"), (4, "anderson"), (16, "anderson")])
def test_accelerated_solvers_need_half_of_banachs_evaluations(dim, method):
    block = Residual(dim, 0, [64], 0.98)
    with torch.no_grad():  # J = -L W^T diag(cos) W with orthonormal columns: the bound is nearly attained
        w = torch.linalg.qr(torch.randn(64, dim, generator=seeded()))[0]
        block.net.weights[0].copy_(w)
        block.net.weights[1].copy_(-w.T)
        block.net.biases[0].mul_(0.3)
        block.net.log_curvatures[0].fill_(math.log(2))
    z = 0.5 * torch.randn(500, dim, generator=seeded())
    net = block.net.at(None)
    for tolerance, share in ((1e-6, 0.5), (1e-10, 1 / 3)):
        plain, fast = (float(block.solve(z, net, m, tolerance).evaluations.double().mean()) for m in ("banach", method))
        assert fast <= share * plain, (plain, fast)


# ---- gradients through the inverse -------------------------------------------------------------------
@pytest.mark.parametrize("dim", [3, 70])  # by the Jacobian, and by a solver for its transpose
def test_gradients_through_the_inverse_are_those_through_many_iterations(dim):
    block = residual(dim, dim_context=2, lipschitz=0.8)
    z = torch.randn(6, dim, generator=seeded(), requires_grad=True)
    context = torch.randn(6, 2, generator=seeded(1), requires_grad=True)
    toward = torch.randn(6, dim, generator=seeded(2))
    x, _ = block.inverse(z, context)
    wanted = [z, context, *block.parameters()]
    ours = torch.autograd.grad((x * toward).sum(), wanted)
    unrolled = z
    for _ in range(250):
        unrolled = z - block.net(unrolled, context)
    assert (x - unrolled).abs().max() < 1e-10
    theirs = torch.autograd.grad((unrolled * toward).sum(), wanted)
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-8 * (1 + b.abs().max())


def test_log_det_of_the_inverse_is_taken_at_the_x_that_was_found():
    block = residual(2)
    z = 2 * torch.randn(100, 2, generator=seeded())
    x, ladj = block.inverse(z)
    assert (ladj + block(x)[1]).abs().max() < 1e-10
    assert (ladj + block(z)[1]).abs().max() > 0.05  # at z it would be another


# ---- log-dets ----------------------------------------------------------------------------------------
def jacobian_of(block, x, context=None):
    rows = [
        torch.autograd.functional.jacobian(
            lambda row, i=i: block(row[None], None if context is None else context[i : i + 1])[0][0], x[i]
        )
        for i in range(len(x))
    ]
    return torch.stack(rows)


@pytest.mark.parametrize("hidden", [[24], [24, 20], [24, 20, 16]])
@pytest.mark.parametrize("dim", [1, 2, 16, 64])
def test_exact_log_det_is_autograds_slogdet(dim, hidden):
    block = residual(dim, 2, hidden)
    x, context = torch.randn(5, dim, generator=seeded()), torch.randn(5, 2, generator=seeded(1))
    truth = torch.linalg.slogdet(jacobian_of(block, x, context))[1]
    assert truth.abs().max() > 0.01
    assert (block(x, context)[1] - truth).abs().max() < 1e-10


def test_log_det_has_its_gradient():
    block = residual(2, hidden=(8,))
    x = torch.randn(10, 2, generator=seeded())
    block(x)[1].sum().backward()
    for name, parameter in block.named_parameters():
        grad, index, h = parameter.grad, (0,) * parameter.ndim, 1e-6
        with torch.no_grad():
            ends = []
            for sign in (1, -1):
                parameter[index] += sign * h
                ends.append(float(block(x)[1].sum()))
                parameter[index] -= sign * h
        assert abs(float(grad[index]) - (ends[0] - ends[1]) / (2 * h)) < 1e-6, name
        assert grad.abs().max() > 1e-6, name


def test_products_with_the_jacobian():
    block = residual(5, 0, (12, 9))
    x = torch.randn(7, 5, generator=seeded())
    net = block.net.at(None)
    _, slopes = net.with_slopes(x)
    jacobian = jacobian_of(block, x) - torch.eye(5)
    v = torch.randn(7, 3, 5, generator=seeded(1))
    assert (net.jacobian(slopes) - jacobian).abs().max() < 1e-12
    assert (net.push(slopes, v) - v @ jacobian.mT).abs().max() < 1e-12
    assert (net.pull(slopes, v[:, 0]) - (v[:, :1] @ jacobian)[:, 0]).abs().max() < 1e-12


def estimates(kind, dim=6, rows=4, repeats=400, probes=50, **words):
    """Exact log-dets, and many independent estimates of `probes` probes each: (rows,), (rows, repeats)."""
    block = residual(dim, log_det=kind, lipschitz=0.9, **words).train()
    x = torch.randn(rows, dim, generator=seeded())
    net = block.net.at(None)
    _, slopes = net.with_slopes(x)
    generator = seeded(3)
    with torch.no_grad():
        many = torch.stack([block.estimates(net, slopes, probes, generator).mean(1) for _ in range(repeats)], 1)
    return log_det.exact(net.jacobian(slopes)).detach(), many


def test_roulette_is_unbiased_within_its_standard_error():
    exact, many = estimates("roulette", terms=1)
    z = (many.mean(1) - exact) / log_det.standard_error(many)
    assert (z.abs() < 4).all(), z
    # The check has teeth: one term alone, which the roulette always takes, is far off.
    _, short = estimates("series", terms=1)
    assert ((short.mean(1) - exact) / log_det.standard_error(short)).abs().max() > 8


def test_roulette_weights_each_term_by_how_rarely_it_is_reached():
    # A diagonal J has no noise from the probes: all that is random is where the series is cut.
    slopes = torch.tensor([[-0.6, -0.5, -0.6], [0.5, -0.3, 0.6]])
    exact = torch.log1p(slopes).sum(1)
    generator = seeded()
    many = torch.stack(
        [
            log_det.roulette(
                lambda v: v * slopes[:, None], log_det.random_signs(2, 1, 3, slopes, generator), 0.5, 1, generator
            )[:, 0]
            for _ in range(4000)
        ],
        1,
    )
    assert ((many.mean(1) - exact).abs() < 4 * log_det.standard_error(many)).all()
    assert (log_det.standard_error(many) < 0.03).all()  # fine enough to see a wrong weight, which is off by .3


def test_roulette_gradient_is_unbiased():
    block = residual(3, log_det="roulette", lipschitz=0.9, terms=2).train()
    x = torch.randn(1, 3, generator=seeded())
    weight = block.net.weights[0]
    net = block.net.at(None)
    exact = torch.autograd.grad(log_det.exact(net.jacobian(net.with_slopes(x)[1])).sum(), weight)[0]
    torch.manual_seed(0)
    x = x.expand(50, -1)  # as many probes
    many = torch.stack([torch.autograd.grad(block(x)[1].mean(), weight)[0] for _ in range(300)])
    z = (many.mean(0) - exact) / (many.std(0) / len(many) ** 0.5)
    assert z.abs().max() < 4


def test_power_series_is_biased_by_no_more_than_its_bound():
    exact, many = estimates("series", repeats=100, terms=3)
    bound = 6 * 0.9**4 / (4 * 0.1)
    error = log_det.standard_error(many)
    assert ((many.mean(1) - exact).abs() < bound + 4 * error).all()
    exact, many = estimates("series", repeats=100, terms=60)
    assert ((many.mean(1) - exact).abs() < 4 * log_det.standard_error(many)).all()


@pytest.mark.parametrize(("dim", "kind"), [(2, "auto"), (2, "roulette"), (70, "auto"), (70, "series")])
def test_densities_are_exact_and_never_random(dim, kind):
    block = residual(dim, log_det=kind)
    x = torch.randn(4, dim, generator=seeded())
    block.eval()
    first, second = block(x)[1], block(x)[1]
    assert torch.equal(first, second)
    assert (first - torch.linalg.slogdet(jacobian_of(block, x))[1]).abs().max() < 1e-10
    block.train()
    assert torch.equal(block(x)[1], block(x)[1]) == (block.log_det == "exact")


# ---- the certificate ---------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [0.01, 1.0, 1e3])
@pytest.mark.parametrize("hidden", [[128], [128, 128]])
def test_the_bound_holds_for_any_weights(size, hidden):
    # Many nearly equal singular values: where a few steps of power iteration stop at .9 of the norm.
    for dtype, slack in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        net = scattered(LipschitzNet(4, 0, hidden, 0.98), size).to(dtype)
        with torch.no_grad():
            norms = [float(torch.linalg.svdvals(w.double())[0]) for w in net.effective_weights()]
        assert all(norm <= 1 + slack for norm in norms[:-1]) and norms[-1] <= 0.98 + slack
        assert abs(net.certificate() - math.prod(norms)) < 1e-12 + slack / 10 and net.certificate() <= 0.98 + slack
    average = LipschitzNet(4, 0, hidden, 0.98)
    with torch.no_grad():  # an average of weights is weights like any other
        for p, a, b in zip(
            average.parameters(), net.double().parameters(), scattered(net, 1.0, 6).parameters(), strict=True
        ):
            p.copy_(0.5 * a + 0.5 * b)
    assert average.certificate() <= 0.98 + 1e-12


def test_the_certificate_is_no_power_iteration():
    net = scattered(LipschitzNet(64, 0, [64], 0.98))
    for w in net.effective_weights():
        v = torch.randn(64, generator=seeded())
        for _ in range(5):
            v = w.T @ (w @ v)
            v = v / v.norm()
        assert float((w @ v).detach().norm()) < 0.995 * float(torch.linalg.svdvals(w.detach())[0])
    truth = math.prod(float(torch.linalg.svdvals(w)[0]) for w in net.effective_weights())
    assert net.certificate() == pytest.approx(truth, abs=1e-12) and truth > 0.9799


def test_no_pair_of_points_beats_the_certificate_whatever_the_context():
    net = scattered(LipschitzNet(2, 3, [32, 32], 0.9), 2.0)
    x = torch.randn(4000, 2, generator=seeded())
    nearby = x + 1e-3 * torch.randn(4000, 2, generator=seeded(1))
    context = 10 ** torch.linspace(-2, 8, 4000)[:, None] * torch.randn(4000, 3, generator=seeded(2))
    ratio = (net(x, context) - net(nearby, context)).norm(dim=1) / (x - nearby).norm(dim=1)
    assert 0.05 < ratio.max() <= net.certificate()
    assert (net(x, context) - net(x, context + 1)).norm(dim=1).max() > 0.1  # the context's own path has no bound


def test_the_certificate_sits_in_the_checkpoint_and_in_the_health_report():
    model = MODELS["iresnet"](x=Variables.numbered("x", 2), y=None)
    scattered(model.blocks, 0.3)
    state = model.state_dict()
    for k, (name, part) in enumerate(residuals(model)):
        assert float(state[f"{name}.certificate"]) == part.net.certificate() < 1
        assert health(model.blocks)[f"lipschitz_{k}"] == part.net.certificate()
    model.load_state_dict(state)


def test_a_net_that_may_not_be_invertible_is_refused_on_load_by_name():
    model = MODELS["iresnet"](x=Variables.numbered("x", 2), y=None)
    scattered(model.blocks, 1.0)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    hand_made = {**state, "blocks.parts.1.parts.1.net.lipschitz": torch.tensor(1.3)}
    with pytest.raises(
        CheckpointError, match=r"block 1 \(blocks.parts.1.parts.1\) has Lipschitz constant 1.3, expected below 1"
    ):
        model.load_state_dict(hand_made)
    nothing = {**state, "blocks.parts.2.parts.1.net.lipschitz": torch.tensor(math.nan)}
    model.load_state_dict(state)
    with pytest.raises(CheckpointError, match=r"block 2 \(blocks.parts.2.parts.1\)"):
        model.load_state_dict(nothing)
    model.load_state_dict(state)
    lying = {**state, "blocks.parts.0.parts.1.certificate": torch.tensor(0.5)}
    with pytest.raises(
        CheckpointError, match="block 0 .* is certified for Lipschitz constant 0.5, its weights have 0.9"
    ):
        model.load_state_dict(lying)
    model.load_state_dict(state)
    verify(model)


def test_commands_show_certificates_draw_the_convergence_and_refuse_a_hand_made_net(tmp_path, monkeypatch, capsys):
    torch.set_default_dtype(torch.float32)
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    def inn(*words, code=0):
        got = main(list(words))
        out, err = capsys.readouterr()
        assert got == code, err
        return out if code == 0 else err

    inn(
        "train",
        "model=iresnet",
        "model.n_blocks=2",
        "model.block.hidden=[16]",
        "trainer.max_steps=30",
        "task.n_train=500",
    )
    run = find_run(None, tmp_path / "runs")
    shown = json.loads(inn("show", "--json"))["diagnostics"]
    tensors, meta = load_checkpoint(run.best)
    for k in range(2):
        saved = float(tensors[f"model.blocks.parts.{k}.parts.2.certificate"])
        assert abs(shown[f"lipschitz_{k}"] - saved) < 1e-6 and 0 < saved < 1
    assert 0 < shown["solver_evaluations"] < 30 and shown["invertibility_error"] < 5e-5

    assert Path(inn("plot", "convergence").strip()).read_bytes().startswith(b"\x89PNG")
    assert "--y goes with" in inn("plot", "convergence", "--y", "1", code=2)
    for name in ("a.npz", "b.npz"):
        inn("density", "--grid", "20", "--y", "0.3", "--out", name)
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()

    tensors["model.blocks.parts.1.parts.2.net.lipschitz"] = torch.tensor(40.0, dtype=torch.float64)
    meta.pop("checksum")
    save_checkpoint(run.best, tensors, meta)
    for words in (["invert", "--y", "0.3"], ["density", "--grid", "20", "--y", "0.3"], ["show"]):
        line = inn(*words, code=2)
        assert "block 1 (blocks.parts.1.parts.2) has Lipschitz constant" in line and line.count("\n") == 1


def test_the_block_is_conditional_and_unconditional():
    for dim_context in (0, 3):
        block = scattered(ResidualBlock(2, dim_context, [16]), 0.5)
        x = torch.randn(5, 2, generator=seeded())
        context = torch.randn(5, dim_context, generator=seeded(1)) if dim_context else None
        step = block.parts[-1]
        if dim_context:
            assert (step(x, context)[0] - step(x, context + 1)[0]).abs().max() > 0.01
            assert (step(x, context)[1] - step(x, context + 1)[1]).abs().max() > 0.01
        z, ladj = block(x, context)
        back, ladj_back = block.inverse(z, context)
        assert (back - x).abs().max() < 1e-9 and (ladj + ladj_back).abs().max() < 1e-9
