r"""Maximum mean discrepancy: how far two sets of draws are apart, by a kernel.

.. math:: \mathrm{MMD}^2(P, Q) = E\,k(x, x') - 2 E\,k(x, y) + E\,k(y, y')

with x, x' ~ P and y, y' ~ Q independent. The biased estimate takes the means over all pairs, x = x' included, and is
never negative; the unbiased one leaves x = x' out and scatters around 0 where P = Q. Everything is differentiable,
and computed in blocks of rows, so that memory does not grow with the square of their number.

Reference: Gretton et al. 2012, A kernel two-sample test, JMLR 13.
"""

from __future__ import annotations

import functools
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

Distances = Callable[[Tensor, Tensor], Tensor]  # (n, D), (m, D) -> |x - y|^2, (n, m)
BLOCK = 256  # rows: a block stays in the cache; one of 2,048 takes five times as long a pair


class Kernel(ABC):
    """A positive definite k(x, y), summed over its scales.

    Shape: x (n, D), y (m, D); k (n, m).
    """

    @abstractmethod
    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """K of every row of x with every row of y, (n, m)."""


class InverseMultiquadric(Kernel):
    r"""A kernel of heavy tails, which pulls draws several h away too; far out its pull falls as 1 / r^3.

    .. math:: k(x, y) = \sum_h \frac{h^2}{h^2 + |x - y|^2}

    Args:
        scales: h, in the units of x. The default is that of the INN papers, for variables of about unit size.
        distances: how to measure |x - y|^2; None is `squared_distances`.

    Reference: Ardizzone et al. 2019, arXiv:1808.04730; Kruse et al. 2021, arXiv:2101.10763.
    """

    def __init__(self, scales: Sequence[float] = (0.05, 0.2, 0.9), distances: Distances | None = None) -> None:
        self.scales = tuple(scales)
        self.distances = distances or squared_distances

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        d2 = self.distances(x, y)
        return _total(h**2 / (h**2 + d2) for h in self.scales)


class Gaussian(Kernel):
    r"""The Gaussian kernel at several bandwidths.

    .. math:: k(x, y) = \sum_h \exp(-|x - y|^2 / 2h^2)

    Args:
        scales: h, in the units of x; `Gaussian.median` takes it from the data.
        distances: how to measure |x - y|^2; None is `squared_distances`.
    """

    def __init__(self, scales: Sequence[float], distances: Distances | None = None) -> None:
        self.scales = tuple(scales)
        self.distances = distances or squared_distances

    @classmethod
    def median(
        cls, x: Tensor, y: Tensor, factors: Sequence[float] = (0.5, 1.0, 2.0), distances: Distances | None = None
    ) -> Gaussian:
        """Bandwidths at `factors` of the median distance between pooled rows (1,000 of them at most).

        Shape: x (n, D), y (m, D).
        """
        rows = torch.cat([x.detach(), y.detach()])
        rows = rows[:: max(len(rows) // 1000, 1)]
        i, j = torch.triu_indices(len(rows), len(rows), 1, device=rows.device)
        middle = float(squared_distances(rows, rows)[i, j].median().sqrt())
        # Where all rows are equal, any bandwidth will do.
        return cls([factor * (middle or 1.0) for factor in factors], distances)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        d2 = self.distances(x, y)
        return _total(torch.exp(-d2 / (2 * h**2)) for h in self.scales)


class Logarithmic(Kernel):
    r"""A kernel that pulls at every distance: it moves a row twice as far off by the same share of its distance.

    .. math:: k(x, y) = -\log(1 + |x - y|^2)

    It is positive definite for weights that sum to zero, as those of an MMD do; the MMD is then zero for equal
    distributions alone. As a loss it grows with the logarithm of a row's distance, and its gradient does not grow.

    Reference: Boughorbel et al. 2005, Conditionally positive definite kernels for SVM based image recognition;
        Sejdinovic et al. 2013, Equivalence of distance-based and RKHS-based statistics in hypothesis testing.
    """

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return -torch.log1p(direct_distances(x, y))


class Polynomial(Kernel):
    r"""A kernel that compares all moments up to order m, and nothing beyond them: see `moment_features`.

    .. math:: k(x, y) = \sum_{k=1}^{m} (x \cdot y)^k
    """

    def __init__(self, degree: int = 3) -> None:
        self.degree = degree

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        dot = x @ y.T
        return _total(dot**k for k in range(1, self.degree + 1))


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|^2 of all pairs, never negative; measured from the centre of y, so that few digits cancel.

    Shape: x (n, D), y (m, D), out (n, m).
    """
    centre = y.detach().mean(0)
    x, y = x - centre, y - centre
    return (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp_min(0)


def direct_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|^2 of all pairs, from the differences themselves.

    Rows far from all others keep their distances to each other; those of `squared_distances` drown in the rounding of
    |x|^2. It is as quick for a few columns, and takes three times as long for 30.

    Shape: x (n, D), y (m, D), out (n, m).
    """
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()


def moment_features(x: Tensor, degree: int) -> Tensor:
    r"""All tensor powers of x up to order m, the explicit feature map of `Polynomial`.

    .. math:: \phi(x) = (x, \; x \otimes x, \; \dots, \; x^{\otimes m}), \quad
              \phi(x) \cdot \phi(y) = \sum_{k=1}^m (x \cdot y)^k

    Shape: x (n, D), out (n, D + D^2 + ... + D^m).
    """
    powers = [x]
    for _ in range(1, degree):
        powers.append((powers[-1][:, :, None] * x[:, None, :]).flatten(1))
    return torch.cat(powers, 1)


def moment_mmd2(x: Tensor, y: Tensor, degree: int) -> Tensor:
    r"""The biased squared MMD under `Polynomial`, from the moments themselves; linear in the rows.

    .. math:: |\bar\phi(x) - \bar\phi(y)|^2

    Shape: x (n, D), y (m, D), out a scalar.
    """
    return (moment_features(x, degree).mean(0) - moment_features(y, degree).mean(0)).square().sum()


def mmd2(x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool = True, block: int = BLOCK) -> Tensor:
    """The squared MMD between the rows of x and those of y, a scalar.

    Args:
        x: rows.
        y: rows to compare with.
        kernel: k, in the units of the rows.
        unbiased: leaves out each row's pair with itself; the estimate may then be negative.
        block: rows of a block; only the last digits of the result depend on it.

    Shape: x (n, D), y (m, D).
    """
    blocks = [(a, b) for a in torch.split(x, block) for b in torch.split(y, block)]
    cross = _total(kernel(a, b).sum().double() for a, b in blocks) / (len(x) * len(y))
    return (_within(x, kernel, unbiased, block) + _within(y, kernel, unbiased, block) - 2 * cross).to(x.dtype)


def _total(terms: Iterable[Tensor]) -> Tensor:
    return functools.reduce(operator.add, terms)


def _within(x: Tensor, kernel: Kernel, unbiased: bool, block: int) -> Tensor:
    """The mean of k over the pairs of one set; each pair of blocks is computed once, k being symmetric."""
    parts = torch.split(x, block)
    total = x.new_zeros((), dtype=torch.float64)  # of up to billions of entries
    for i, a in enumerate(parts):
        own = kernel(a, a)
        total = total + (own.sum() - own.diagonal().sum() if unbiased else own.sum())
        for b in parts[i + 1 :]:
            total = total + 2 * kernel(a, b).sum().double()
    return total / (len(x) * (len(x) - 1) if unbiased else len(x) ** 2)


@torch.no_grad()
def two_sample_test(
    x: Tensor, y: Tensor, kernel: Kernel, generator: torch.Generator, permutations: int = 200
) -> tuple[float, float]:
    """The unbiased squared MMD and its permutation p-value: small where x and y differ in distribution.

    The p-value is exact (uniform where they do not differ), in steps of 1 / (permutations + 1). The kernel matrix of
    all rows is held in memory, so that a few thousand rows are the most.

    Shape: x (n, D), y (m, D).
    """
    n, m = len(x), len(y)
    rows = torch.cat([x, y])
    k = kernel(rows, rows)
    k = k - torch.diag(k.diagonal())
    orders = [torch.arange(n + m, device=x.device)] + [
        torch.randperm(n + m, generator=generator, device=x.device) for _ in range(permutations)
    ]
    first = torch.zeros(len(orders), n + m, dtype=k.dtype, device=x.device)
    for row, order in enumerate(orders):
        first[row, order[:n]] = 1.0
    second = 1 - first
    across = first @ k
    value = (across * first).sum(1) / (n * (n - 1)) - 2 * (across * second).sum(1) / (n * m)
    value = value + ((second @ k) * second).sum(1) / (m * (m - 1))
    return float(value[0]), _p_value(value)


@torch.no_grad()
def independence_test(
    y: Tensor, z: Tensor, kernel_y: Kernel, kernel_z: Kernel, generator: torch.Generator, permutations: int = 200
) -> tuple[float, float]:
    r"""The squared MMD between (y, z) and (y permuted, z), and its permutation p-value.

    .. math:: \frac{1}{n^2} \mathrm{tr}(K H L H), \quad H = I - \tfrac1n 1 1^T

    Under the product kernel k(y, y') l(z, z'), in the mean over all permutations, which has this closed form (HSIC).
    The p-value is exact, and small where z depends on y.

    Shape: y (n, Dy), z (n, Dz).
    Reference: Gretton et al. 2007, A kernel statistical test of independence.
    """
    n = len(y)
    k, centred = kernel_y(y, y), kernel_z(z, z)
    centred = centred - centred.mean(0) - centred.mean(1, keepdim=True) + centred.mean()
    orders = [torch.arange(n, device=y.device)] + [
        torch.randperm(n, generator=generator, device=y.device) for _ in range(permutations)
    ]
    value = torch.stack([(k[order][:, order] * centred).sum() for order in orders]) / n**2
    return float(value[0]), _p_value(value)


def _p_value(statistics: Tensor) -> float:
    """The share of permutations, the data's own order among them, whose statistic is as large as its own."""
    # A permutation that changes nothing may come out an ulp below.
    own = statistics[0] - 1e-6 * statistics.abs().max()
    return float((statistics >= own).double().mean())


def make_kernel(name: str, scales: Sequence[float] | None, x: Tensor, y: Tensor) -> Kernel:
    """A kernel to train by, whose distances keep their digits however far off a row is.

    Args:
        name: `imq`, `gaussian` or `polynomial`, as in a config.
        scales: h of each scale for `imq`; multiples of the median distance for `gaussian`; the highest order
            of moments, one number, for `polynomial`; None for the kernel's default.
        x: rows to be compared, for the median distance.
        y: the rows that they are compared with.

    Shape: x (n, D), y (m, D).
    """
    if name == "imq":
        return InverseMultiquadric(scales or (0.05, 0.2, 0.9), direct_distances)
    if name == "gaussian":
        return Gaussian.median(x, y, scales or (0.5, 1.0, 2.0), direct_distances)
    return Polynomial(int(scales[0])) if scales else Polynomial()
