"""The Transform contract (float64), over the whole catalogue; and closed forms of single leaves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from catalogue import DOMAINS, IMAGES, TRANSFORMS
from inncli.config import plan
from inncli.config.registry import factory, instantiate
from inncli.errors import ShapeError
from inncli.transforms.actnorm import ActNorm
from inncli.transforms.blocks import GlowBlock, RealNVPBlock
from inncli.transforms.chain import Chain
from inncli.transforms.coupling import Coupling
from inncli.transforms.elementwise import Affine
from inncli.transforms.linear import LinearGaussian
from inncli.transforms.marginal import QuantileTransform
from inncli.transforms.permute import Rotation
from inncli.transforms.power import PowerMap
from inncli.variables import Variables

ROWS = 32
TOLERANCE = 1e-9


@pytest.fixture(autouse=True)
def float64():
    """The contract is held in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def build(name):
    """A transform with randomised parameters: blocks start near the identity, which hides errors."""
    generator = torch.Generator().manual_seed(5)
    torch.manual_seed(5)  # first weights come from torch's global generator
    transform = TRANSFORMS[name]()
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    u = torch.rand(ROWS, transform.dim, generator=generator)
    x = DOMAINS.get(name, lambda u: 6 * u - 3)(u)
    context = torch.randn(ROWS, transform.dim_context, generator=generator) if transform.dim_context else None
    return transform, x, context


def jacobian(function, x, context):
    """Autograd's Jacobian of each row, (B, D, D)."""
    rows = range(len(x))
    return torch.stack(
        [
            torch.autograd.functional.jacobian(
                lambda row, i=i: function(row[None], None if context is None else context[i : i + 1])[0][0], x[i]
            )
            for i in rows
        ]
    )


every_transform = pytest.mark.parametrize("name", TRANSFORMS)


@every_transform
def test_round_trip_both_ways(name):
    transform, x, context = build(name)
    z, _ = transform(x, context)
    assert (transform.inverse(z, context)[0] - x).abs().max() <= TOLERANCE
    z = IMAGES.get(name, lambda z: z)(torch.randn(z.shape, generator=torch.Generator().manual_seed(1)))
    assert (transform(transform.inverse(z, context)[0], context)[0] - z).abs().max() <= TOLERANCE


@every_transform
def test_ladj_is_autograds_in_both_directions(name):
    transform, x, context = build(name)
    z, ladj = transform(x, context)
    sign, truth = torch.linalg.slogdet(jacobian(transform.forward, x, context))
    assert (sign != 0).all()
    assert (ladj - truth).abs().max() <= TOLERANCE
    _, ladj_inverse = transform.inverse(z.detach(), context)
    truth = torch.linalg.slogdet(jacobian(transform.inverse, z.detach(), context))[1]
    assert (ladj_inverse - truth).abs().max() <= TOLERANCE


@every_transform
def test_ladj_of_the_inverse_is_minus_the_forwards(name):
    transform, x, context = build(name)
    z, ladj = transform(x, context)
    assert (transform.inverse(z, context)[1] + ladj).abs().max() <= TOLERANCE


@every_transform
def test_gradients_reach_every_parameter(name):
    transform, x, context = build(name)
    if not list(transform.parameters()):
        # nothing to train
        fixed = ("permutation", "rotation", "box", "standardise", "heap_map", "simplex", "power_map")
        assert name in (*fixed, "whitening", "column_maps", "circle")
        return
    z, ladj = transform(x, context)
    (z.square().sum() + ladj.sum()).backward()
    for key, parameter in transform.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, key
    if "nice" not in name and "additive" not in name:  # volume-preserving: their ladj is constant
        transform.zero_grad()
        transform(x, context)[1].sum().backward()
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in transform.parameters())


@every_transform
def test_context_matters_or_is_refused(name):
    transform, x, context = build(name)
    if transform.dim_context:
        assert (transform(x, context)[0] - transform(x, context + 1)[0]).abs().max() > 1e-6
        with pytest.raises(ShapeError, match="expected a context"):
            transform(x, None)
        with pytest.raises(ShapeError, match="expected a context"):
            transform(x, context[:, :0])
    else:
        with pytest.raises(ShapeError, match="takes no context"):
            transform(x, torch.zeros(ROWS, 1))


@every_transform
def test_rows_are_independent(name):
    transform, x, context = build(name)
    for function in (transform.forward, transform.inverse):
        start = x if function == transform.forward else transform(x, context)[0]
        whole = function(start, context)
        changed = start.clone()
        changed[1:] = changed[1:].flip(0)
        first = function(changed, context)
        parts = [function(start[i : i + 5], None if context is None else context[i : i + 5]) for i in range(0, ROWS, 5)]
        for k in (0, 1):
            # Matrix products of another size round otherwise, and large random weights stretch that.
            assert (whole[k][0] - first[k][0]).abs().max() <= 1e-10
            assert (whole[k] - torch.cat([part[k] for part in parts])).abs().max() <= 1e-10


@every_transform
def test_dtype_is_kept_and_state_round_trips(name):
    transform, x, context = build(name)
    other = TRANSFORMS[name]()
    other.load_state_dict(transform.state_dict())
    assert torch.equal(other(x, context)[0], transform(x, context)[0])
    single = transform.float()
    z, ladj = single(x.float(), None if context is None else context.float())
    assert z.dtype == ladj.dtype == torch.float32
    assert single.inverse(z, None if context is None else context.float())[0].dtype == torch.float32


@every_transform
def test_wrong_shape_says_expected_and_got(name):
    transform, x, context = build(name)
    with pytest.raises(ShapeError, match=rf"expected \(B, {transform.dim}\), got \({ROWS}, {transform.dim + 1}\)"):
        transform(torch.zeros(ROWS, transform.dim + 1), context)
    with pytest.raises(ShapeError, match="expected"):
        transform.inverse(torch.zeros(transform.dim), context)


def test_couplings_start_as_the_identity():
    for name in (
        "additive_coupling",
        "affine_coupling",
        "affine_coupling_1d",
        "conditional_scale",
        "spline_coupling",
        "autoregressive",
        "autoregressive_spline",
    ):
        transform = TRANSFORMS[name]()
        x = torch.randn(8, transform.dim)
        context = torch.randn(8, transform.dim_context)
        assert (transform(x, context)[0] - x).abs().max() < 1e-14


@pytest.mark.parametrize("wrong", [1e-6, -1e-6])
@pytest.mark.parametrize("direction", ["_forward", "_inverse"])
def test_the_contract_has_teeth(monkeypatch, direction, wrong):
    """A log-det that is wrong by 1e-6, in either direction, fails the tests above: no tolerance is infinite."""
    right = getattr(Coupling, direction)

    def off(self, x, context):
        out, ladj = right(self, x, context)
        return out, ladj + wrong

    monkeypatch.setattr(Coupling, direction, off)
    for test in (test_ladj_is_autograds_in_both_directions, test_ladj_of_the_inverse_is_minus_the_forwards):
        with pytest.raises(AssertionError):
            test("affine_coupling")


@pytest.mark.parametrize("name", ["nice", "rnvp", "glow", "spline", "maf", "iaf"])
def test_24_shipped_blocks_lose_few_digits_in_float32(name):
    """Off their start as after a short training; a default GLOW elsewhere ends at 4e13."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    (job,) = plan([f"model={name}"])
    block = factory(job.config["model"]["block"])
    chain = Chain(4, [block(4, 3, seed=k) for k in range(24)])
    with torch.no_grad():
        for parameter in chain.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape))
        x, context = torch.randn(1000, 4), torch.randn(1000, 3)
        z, ladj = chain(x, context)
        back, ladj_back = chain.inverse(z, context)
    assert (back - x).abs().max() < 1e-3
    assert (ladj + ladj_back).abs().max() < 1e-2


@pytest.mark.parametrize("block", [RealNVPBlock, GlowBlock])
def test_24_blocks_keep_their_digits(block):
    chain = Chain(4, [block(4, 0, [32, 32], seed=k) for k in range(24)]).float()
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float32)
    assert (chain.inverse(chain(x)[0])[0] - x).abs().max() < 1e-5


def test_an_affine_scale_stays_within_its_clamp():
    affine, x = Affine(1.5), torch.ones(2, 1)
    z, ladj = affine.forward(x, torch.tensor([[1e3, 0.0], [-1e3, 0.0]]))
    torch.testing.assert_close(ladj, torch.tensor([1.5, -1.5]))
    torch.testing.assert_close(z, torch.tensor([[1.5], [-1.5]]).exp())


def test_two_sided_affine_is_the_inn_papers_formula():
    block = TRANSFORMS["rnvp_odd_unconditional"]()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    first, second = block.parts[0], block.parts[1]
    x = torch.randn(6, 7)
    x1, x2 = x[:, :3], x[:, 3:]

    def s_t(half, given):
        s, t = half.subnet(given).chunk(2, 1)
        return 2 * torch.tanh(s / 2), t

    s2, t2 = s_t(first, x2)
    y1 = x1 * s2.exp() + t2
    s1, t1 = s_t(second, y1)
    y2 = x2 * s1.exp() + t1
    z, ladj = block(x)
    expected = torch.cat([y1, y2], 1) @ block.parts[2].q.T
    assert (z - expected).abs().max() < 1e-12
    assert (ladj - s1.sum(1) - s2.sum(1)).abs().max() < 1e-12


def test_rotation_is_orthogonal_with_determinant_one():
    q = Rotation(6, seed=2).q
    assert (q @ q.T - torch.eye(6)).abs().max() < 1e-14
    assert abs(torch.linalg.det(q) - 1) < 1e-13


def test_actnorm_starts_at_mean_0_and_sd_1():
    x = torch.randn(500, 3) * torch.tensor([1.0, 5, 0]) + 7
    z = ActNorm(3).initialise(x)
    assert z.mean(0).abs().max() < 1e-12
    assert (z.std(0) - torch.tensor([1.0, 1, 0])).abs().max() < 1e-12


@pytest.mark.parametrize("name", ["nice", "rnvp", "glow", "spline", "maf", "iresnet"])
def test_only_blocks_that_start_from_the_data_ask_for_it(name):
    node = plan([f"model={name}"])[0].config["model"]
    model = instantiate(node, x=Variables(("a", "b")), y=Variables(("c",)))
    before = {key: value.clone() for key, value in model.blocks.state_dict().items()}
    model.blocks.initialise(torch.randn(50, 2) * 3 + 1, torch.randn(50, model.blocks.dim_context))
    changed = any(not torch.equal(value, before[key]) for key, value in model.blocks.state_dict().items())
    assert model.blocks.starts_from_data == changed == (name in ("glow", "iresnet"))


def test_linear_gaussian_is_the_exact_posterior_of_a_linear_problem():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(2, 3, generator=generator)
    x = torch.randn(200_000, 3, generator=generator)
    y = x @ a.T + 0.5 * torch.randn(200_000, 2, generator=generator)
    layer = LinearGaussian(3, 2)
    layer.initialise(x, y)
    precision = torch.eye(3) + a.T @ a / 0.25
    covariance = torch.linalg.inv(precision)
    w = layer._w()
    assert (torch.linalg.inv(w.T @ w) - covariance).abs().max() < 0.01
    assert (layer.a - covariance @ a.T / 0.25).abs().max() < 0.02


def test_linear_gaussian_keeps_columns_that_hang_closely_together():
    # Correlation .9999, as of a radius and a circumference: shrinking by dim / rows would cost 10 nats a row.
    generator = torch.Generator().manual_seed(0)
    covariance = 0.9999 * torch.ones(10, 10) + 0.0001 * torch.eye(10)
    x = torch.randn(600, 10, generator=generator) @ torch.linalg.cholesky(covariance).T
    layer = LinearGaussian(10)
    layer.initialise(x[:300])
    z, ladj = layer(x[300:])
    log_prob = torch.distributions.Normal(0, 1).log_prob(z).sum(1) + ladj
    truth = torch.distributions.MultivariateNormal(torch.zeros(10), covariance)
    assert (truth.log_prob(x[300:]) - log_prob).mean() < 0.3


def test_linear_gaussian_survives_fewer_rows_than_columns():
    x = torch.randn(4, 10)
    layer = LinearGaussian(10, 3)
    z = layer.initialise(x, torch.randn(4, 3))
    assert z.isfinite().all()


def test_power_map_makes_skewed_columns_normal_and_leaves_a_normal_one():
    from scipy.stats import kstest

    truth = PowerMap(3)
    truth.power.copy_(torch.tensor([0.2, 1.0, 1.8]))
    x = truth.inverse(torch.as_tensor(np.random.default_rng(0).standard_normal((5000, 3))))[0]
    layer = PowerMap(3)
    z = layer.initialise(x)
    assert (layer.power - truth.power).abs().max() <= 0.06  # three steps of the grid
    assert z.mean(0).abs().max() < 1e-12 and (z.std(0, correction=0) - 1).abs().max() < 1e-12
    assert all(kstest(column, "norm").statistic < 0.02 for column in z.numpy().T)


def test_power_map_is_scipys_yeo_johnson():
    from scipy.stats import yeojohnson

    layer = PowerMap(4)
    layer.power.copy_(torch.tensor([0.3, 1.0, 1.7, 1e-6]))
    x = torch.linspace(-6, 6, 25)[:, None].expand(-1, 4)
    z, _ = layer(x)
    for i, power in enumerate(layer.power.tolist()):
        assert np.abs(z[:, i].numpy() - yeojohnson(x[:, i].numpy(), power)).max() < 1e-9


def test_power_map_keeps_a_constant_column():
    z = PowerMap(2).initialise(torch.stack([torch.ones(50), torch.randn(50)], 1))
    assert z.isfinite().all()


def test_heap_map_gives_each_heap_its_share_of_a_normal():
    rng = np.random.default_rng(0)
    x = np.where(rng.random(20_000) < 0.4, 0.0, rng.gamma(3, 50, 20_000).round())
    facts = Variables(("x",), bounds=((0.0, 2000.0),), steps=(1.0,), heaps=((0.0,),))
    u = torch.as_tensor(x + rng.random(20_000) - 0.5)[:, None]
    layer = QuantileTransform(facts)
    z = layer.initialise(u)[:, 0].numpy()
    share = (x == 0).mean()
    assert (z[x == 0] < z[x > 0].min()).all()
    edge = math.sqrt(2) * torch.special.erfinv(torch.tensor(2 * share - 1)).item()
    assert abs(z[x == 0].max() - edge) < 0.01
    from scipy.stats import kstest

    assert kstest(z, "norm").statistic < 0.02


def test_heap_map_keeps_draws_inside_however_far_z_lies():
    layer = TRANSFORMS["heap_map"]()
    x, ladj = layer.inverse(torch.tensor([[-30.0, 0, -30], [30, 0, 30], [-8, 0, 8]]))
    assert (x[:, 0] >= -0.5).all() and (x[:, 0] <= 400.5).all() and (x[:, 2] >= -0.05).all()
    assert not ladj.isnan().any()
