"""Maximum mean discrepancies against brute force, closed forms and their own definition."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from inncli.numerics.mmd import (
    Gaussian,
    InverseMultiquadric,
    Logarithmic,
    Polynomial,
    independence_test,
    make_kernel,
    mmd2,
    moment_features,
    moment_mmd2,
    squared_distances,
    two_sample_test,
)


def draws(n, dim, seed=0, shift=0.0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


KERNELS = {
    "imq": (
        InverseMultiquadric([0.2, 1.5]),
        lambda x, y: sum(h**2 / (h**2 + (x - y).square().sum()) for h in (0.2, 1.5)),
    ),
    "gaussian": (Gaussian([0.5, 2]), lambda x, y: sum((-(x - y).square().sum() / 2 / h**2).exp() for h in (0.5, 2))),
    "logarithmic": (Logarithmic(), lambda x, y: -(1 + (x - y).square().sum()).log()),
    "polynomial": (Polynomial(3), lambda x, y: sum((x @ y) ** k for k in (1, 2, 3))),
}


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("name", KERNELS)
def test_mmd_is_its_definition_whatever_the_block(name, unbiased):
    kernel, k = KERNELS[name]
    x, y = draws(13, 3), draws(9, 3, 1, 0.5)

    def within(rows):
        values = [k(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows) if not (unbiased and i == j)]
        return sum(values) / len(values)

    truth = within(x) + within(y) - 2 * sum(k(a, b) for a in x for b in y) / (13 * 9)
    for block in (4, 100):
        assert abs(mmd2(x, y, kernel, unbiased, block) - truth) < 1e-12


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_explicit_moments_are_the_polynomial_kernel(degree):
    x, y = draws(40, 3), draws(30, 3, 1, 0.3)
    dot = x @ y.T
    assert (
        moment_features(x, degree) @ moment_features(y, degree).T - sum(dot**k for k in range(1, degree + 1))
    ).abs().max() < 1e-10
    by_kernel = mmd2(x, y, Polynomial(degree), unbiased=False)
    assert abs(moment_mmd2(x, y, degree) - by_kernel) < 1e-10 * max(1.0, float(by_kernel))


def test_gaussian_mmd_of_two_normals_has_a_closed_form():
    # E k(x, y) for x - y ~ N(m, v I) is (h^2 / (h^2 + v))^(D/2) exp(-|m|^2 / 2(h^2 + v))
    h, shift, dim = 0.8, 0.7, 2

    def mean(distance, variance):
        return (h**2 / (h**2 + variance)) ** (dim / 2) * torch.exp(
            torch.tensor(-dim * distance**2 / 2 / (h**2 + variance))
        )

    truth = 2 * mean(0.0, 2.0) - 2 * mean(shift, 2.0)
    estimates = torch.stack(
        [mmd2(draws(400, dim, s), draws(400, dim, 1000 + s, shift), Gaussian([h])) for s in range(100)]
    )
    standard_error = estimates.std() / 10
    assert abs(estimates.mean() - truth) < 4 * standard_error < 0.01
    biased = mmd2(draws(400, dim, 0), draws(400, dim, 1, 0.0), Gaussian([h]), unbiased=False)
    assert biased > 0  # where the unbiased one scatters around 0


def test_unbiased_has_mean_zero_where_nothing_differs():
    values = torch.stack([mmd2(draws(50, 2, s), draws(50, 2, 500 + s), InverseMultiquadric()) for s in range(300)])
    assert abs(values.mean()) < 4 * values.std() / 300**0.5
    assert (values < 0).any()


def test_distances_keep_their_digits_far_from_the_origin():
    x = (1e4 + draws(20, 3)).float()
    exact = (x.double()[:, None] - x.double()).square().sum(2)
    assert (squared_distances(x, x) - exact).abs().max() < 1e-3
    assert (squared_distances(x, x) >= 0).all()


@pytest.mark.parametrize("name", KERNELS)
def test_gradient(name):
    kernel = KERNELS[name][0]
    x, y = draws(7, 2).requires_grad_(), draws(6, 2, 1)
    assert torch.autograd.gradcheck(lambda x: mmd2(x, y, kernel, block=3), x)


def test_median_heuristic_and_names():
    x, y = draws(300, 2), draws(200, 2, 1)
    scale = Gaussian.median(x, y).scales[1]
    pairs = torch.pdist(torch.cat([x, y]))
    assert abs(scale - pairs.median()) < 1e-9
    assert Gaussian.median(1000 * x, 1000 * y).scales[1] == pytest.approx(1000 * scale)
    assert make_kernel("gaussian", [1.0], x, y).scales == (scale,)
    assert make_kernel("imq", None, x, y).scales == (0.05, 0.2, 0.9)
    assert make_kernel("polynomial", [2], x, y).degree == 2


def test_two_sample_p_value_is_uniform_under_the_null_and_small_where_they_differ():
    kernel = InverseMultiquadric()
    generator = torch.Generator().manual_seed(0)
    p = [two_sample_test(draws(40, 2, s), draws(30, 2, 900 + s), kernel, generator, 99)[1] for s in range(200)]
    below = torch.tensor([[value <= level for value in p] for level in (0.1, 0.3, 0.5, 0.8)]).double().mean(1)
    assert (below - torch.tensor([0.1, 0.3, 0.5, 0.8])).abs().max() < 0.12  # 4 standard errors at most
    value, p = two_sample_test(draws(200, 2), draws(150, 2, 1, 0.5), kernel, generator)
    assert p == pytest.approx(1 / 201)
    assert value == pytest.approx(float(mmd2(draws(200, 2), draws(150, 2, 1, 0.5), kernel)), abs=1e-12)


def test_independence_is_told_from_dependence_without_correlation():
    kernel = InverseMultiquadric()
    generator = torch.Generator().manual_seed(0)
    y = draws(300, 1)
    assert independence_test(y, y.square() + 0.1 * draws(300, 1, 1), kernel, kernel, generator)[1] < 0.01
    p = [
        independence_test(draws(40, 1, s), draws(40, 2, 900 + s), kernel, kernel, generator, 99)[1] for s in range(200)
    ]
    assert abs(torch.tensor(p).mean() - 0.5) < 4 * 0.29 / 200**0.5


def test_independence_statistic_is_the_mean_mmd_to_permuted_pairs():
    # With the product kernel, the joint against all n^2 pairs (y_i, z_j).
    y, z = draws(6, 1), draws(6, 2, 1)
    k, h = InverseMultiquadric([0.7]), Gaussian([1.0])
    i, j = torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij")

    def mean(a, b, c, d):  # mean product kernel of the pairs (y_a, z_b) with (y_c, z_d)
        return (k(y[a], y[c]) * h(z[b], z[d])).mean()

    own, i, j = torch.arange(6), i.flatten(), j.flatten()
    truth = mean(own, own, own, own) - 2 * mean(own, own, i, j) + mean(i, j, i, j)
    assert independence_test(y, z, k, h, torch.Generator().manual_seed(0), 1)[0] == pytest.approx(
        float(truth), abs=1e-12
    )


MEMORY = """
import resource, torch
from inncli.numerics.mmd import InverseMultiquadric, mmd2
torch.set_num_threads(1)
x, y = torch.randn(2, 50_000, 2).unbind()
with torch.no_grad():
    value = mmd2(x, y, InverseMultiquadric([0.9]))
assert abs(value) < 1e-3, value
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_fifty_thousand_by_fifty_thousand_needs_under_a_gigabyte():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1_000_000  # kB, torch itself included; half a minute
