"""The masked net and the autoregressive transform: who sees whom, how many passes, and closed forms."""

from __future__ import annotations

import pytest
import torch

from inncli.nn.made import MADE
from inncli.transforms.autoregressive import Autoregressive
from inncli.transforms.elementwise import Affine
from inncli.transforms.inverse import Inverse
from inncli.transforms.spline import RationalQuadratic

ROWS = 64


@pytest.fixture(autouse=True)
def float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


def randomise(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return module


def sees(function, *inputs):
    """Which outputs depend on which entries of the first input, over many rows, by autograd. (outputs, inputs)."""
    at = inputs[0].clone().requires_grad_()
    out = function(at, *inputs[1:])
    rows = [
        torch.autograd.grad(out[:, i].sum(), at, retain_graph=True, allow_unused=True)[0] for i in range(out.shape[1])
    ]
    return torch.stack([torch.zeros_like(at[0]) if g is None else g.abs().amax(0) for g in rows]) > 0


@pytest.mark.parametrize("dim_context", [0, 3])
@pytest.mark.parametrize("hidden", [[], [32], [32, 40, 24]])
@pytest.mark.parametrize("dim", [2, 6])
def test_outputs_see_all_that_comes_before_and_nothing_else(dim, hidden, dim_context):
    net = randomise(MADE(dim, dim_context, 2, hidden))
    x = torch.randn(ROWS, dim)
    context = torch.randn(ROWS, dim_context) if dim_context else None
    before = torch.ones(dim, dim).tril(-1).bool()
    assert torch.equal(sees(net, x, context), before.repeat(2, 1))
    if dim_context:  # the context is seen by all, also by the first
        assert sees(lambda c: net(x, c), context).all()


@pytest.mark.parametrize(("dim", "dim_context"), [(5, 2), (5, 0), (1, 2), (1, 0)])
def test_every_weight_that_is_not_masked_learns(dim, dim_context):
    net = randomise(MADE(dim, dim_context, 2, [12, 12]))
    for i, layer in enumerate(getattr(net, "hidden", [])):
        if isinstance(layer, torch.nn.ReLU):  # which may be dead, and that is not what is asked here
            net.hidden[i] = torch.nn.Tanh()
    context = torch.randn(ROWS, dim_context) if dim_context else None
    net(torch.randn(ROWS, dim), context).square().sum().backward()
    for name, parameter in net.named_parameters():
        layer = net.get_submodule(name.rpartition(".")[0])
        mask = layer.mask.bool() if name.endswith("weight") else torch.ones_like(parameter, dtype=torch.bool)
        assert mask.any(-1).all() or name.startswith("last"), f"{name}: a hidden unit sees nothing"
        assert (parameter.grad[~mask] == 0).all(), name
        assert (parameter.grad[mask] != 0).all(), name


@pytest.mark.parametrize("elementwise", [Affine(), RationalQuadratic()], ids=["affine", "spline"])
def test_jacobian_is_lower_triangular_both_ways_round(elementwise):
    transform = randomise(Autoregressive(5, 2, elementwise, [16, 16]))
    x, context = torch.randn(ROWS, 5), torch.randn(ROWS, 2)
    lower = torch.ones(5, 5).tril().bool()
    assert torch.equal(sees(lambda x, c: transform(x, c)[0], x, context), lower)
    assert torch.equal(sees(lambda z, c: transform.inverse(z, c)[0], x, context), lower)


def test_passes_of_the_net_maf_scores_in_one_and_iaf_draws_in_one():
    transform = Autoregressive(4, 0, Affine(), [8])
    calls = []
    transform.net.register_forward_hook(lambda *_: calls.append(1))
    x = torch.randn(3, 4)
    for direction, passes in (
        (transform.forward, 1),
        (transform.inverse, 4),
        (Inverse(transform).forward, 4),
        (Inverse(transform).inverse, 1),
    ):
        calls.clear()
        direction(x)
        assert len(calls) == passes


def test_a_linear_net_gives_the_density_of_a_gaussian():
    # With t = -A x in the last layer's direct weights, z = (1 - A) x: a Gaussian with that whitening.
    transform = Autoregressive(4, 0, Affine(), [8])
    a = torch.randn(4, 4).tril(-1)
    with torch.no_grad():
        transform.net.last.weight[4:, -4:] = -a
    whitening = torch.eye(4) - a
    truth = torch.distributions.MultivariateNormal(torch.zeros(4), precision_matrix=whitening.T @ whitening)
    x = torch.randn(ROWS, 4)
    z, ladj = transform(x)
    log_prob = torch.distributions.Normal(0, 1).log_prob(z).sum(1) + ladj
    assert (log_prob - truth.log_prob(x)).abs().max() < 1e-12


def test_an_inverse_far_out_is_finite():
    # The coordinates that are not yet known are kept out of the net: 0 * inf would be NaN.
    transform = randomise(Autoregressive(3, 0, Affine(), [8]))
    x, ladj = transform.inverse(torch.full((1, 3), 1e200))
    assert x[:, 0].isfinite().all() and not x.isnan().any() and ladj.isfinite().all()


def test_inverse_swaps_directions_and_signs():
    transform = randomise(Autoregressive(3, 2, Affine(), [8]))
    x, context = torch.randn(5, 3), torch.randn(5, 2)
    for ours, theirs in ((Inverse(transform).forward, transform.inverse), (Inverse(transform).inverse, transform)):
        for a, b in zip(ours(x, context), theirs(x, context), strict=True):
            assert torch.equal(a, b)
