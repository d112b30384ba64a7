"""The blocks a flow is stacked from: NICE, RealNVP, spline, GLOW, MAF, IAF, i-ResNet, and NICE's scaling layer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from inncli.errors import ConfigError, did_you_mean
from inncli.nn.mlp import MLP
from inncli.transforms.actnorm import ActNorm
from inncli.transforms.autoregressive import Autoregressive
from inncli.transforms.base import Context, Moved, Points, Transform
from inncli.transforms.chain import Chain
from inncli.transforms.coupling import Coupling
from inncli.transforms.elementwise import Additive, Affine, Elementwise
from inncli.transforms.inverse import Inverse
from inncli.transforms.linear import LULinear
from inncli.transforms.permute import Permutation, Rotation
from inncli.transforms.residual import Residual
from inncli.transforms.spline import RationalQuadratic
from inncli.types import BlockName, NonNegativeFloat, PositiveFloat, PositiveInt, Share


def two_sided(
    dim: int, dim_context: int, elementwise: Elementwise, hidden: Sequence[int], gain: float = 0.0
) -> list[Transform]:
    """Both halves of a two-sided coupling; in dimension 1 there is only one."""
    halves = [True, False] if dim > 1 else [False]
    return [Coupling(dim, dim_context, elementwise, hidden, swap, gain) for swap in halves]


def mixing(kind: str, dim: int, seed: int) -> list[Transform]:
    """What stands between two blocks: a fixed rotation or permutation, nothing in dimension 1."""
    if dim == 1:
        return []
    return [Rotation(dim, seed) if kind == "rotation" else Permutation(dim, seed)]


class NICEBlock(Chain):
    """Two additive halves and a fixed mixing; volume-preserving.

    The subnets start at `gain`, not at zero: where x_b is symmetric given x_a, as on a ring, the
    identity is a minimum of the loss over small shifts, and additive blocks never leave it. Being
    volume-preserving they are stable at any start.

    Args:
        hidden: widths of each subnet's hidden layers.
        mix: what stands between two blocks.
        gain: see `Coupling`.
        clamp: see `Additive`.
        seed: of the mixing.

    Reference: Dinh et al. 2014, NICE, arXiv:1410.8516.
    """

    def __init__(
        self,
        dim: int,
        dim_context: int,
        hidden: Sequence[int] = (64, 64),
        mix: Literal["permutation", "rotation"] = "rotation",
        gain: NonNegativeFloat = 2.0,
        clamp: PositiveFloat | None = 1.0,
        seed: int = 0,
    ) -> None:
        halves = two_sided(dim, dim_context, Additive(clamp), hidden, gain)
        super().__init__(dim, [*halves, *mixing(mix, dim, seed)])


class RealNVPBlock(Chain):
    r"""The two-sided affine block of the INN paper and a fixed mixing.

    .. math:: y_1 = x_1 \odot e^{s_2(x_2)} + t_2(x_2), \quad y_2 = x_2 \odot e^{s_1(y_1)} + t_1(y_1)

    Reference: Dinh et al. 2017, Density estimation using Real NVP, arXiv:1605.08803;
        Ardizzone et al. 2019, Analyzing inverse problems with INNs, arXiv:1808.04730.
    """

    def __init__(
        self,
        dim: int,
        dim_context: int,
        hidden: Sequence[int] = (64, 64),
        clamp: PositiveFloat = 1.5,
        mix: Literal["permutation", "rotation"] = "permutation",
        seed: int = 0,
    ) -> None:
        halves = two_sided(dim, dim_context, Affine(clamp), hidden)
        super().__init__(dim, [*halves, *mixing(mix, dim, seed)])


class SplineBlock(Chain):
    """The two-sided block with rational-quadratic splines, and a fixed mixing.

    An affine half can only shift and scale x_b; a spline gives it several humps, also in dimension 1.

    Reference: Durkan et al. 2019, Neural spline flows, arXiv:1906.04032.
    """

    def __init__(
        self,
        dim: int,
        dim_context: int,
        hidden: Sequence[int] = (64, 64),
        bins: PositiveInt = 8,
        bound: PositiveFloat = 5.0,
        clamp: PositiveFloat = 1.5,
        mix: Literal["permutation", "rotation"] = "rotation",
        seed: int = 0,
    ) -> None:
        halves = two_sided(dim, dim_context, RationalQuadratic(bins, bound, clamp), hidden)
        super().__init__(dim, [*halves, *mixing(mix, dim, seed)])


class GlowBlock(Chain):
    """One step of flow: ActNorm, an invertible linear map by LU, one affine coupling.

    Reference: Kingma and Dhariwal 2018, Glow, arXiv:1807.03039.
    """

    def __init__(
        self, dim: int, dim_context: int, hidden: Sequence[int] = (64, 64), clamp: PositiveFloat = 1.5, seed: int = 0
    ) -> None:
        coupling = Coupling(dim, dim_context, Affine(clamp), hidden)
        # In dimension 1 the linear map would be ActNorm's scale once more.
        super().__init__(dim, [ActNorm(dim), *([LULinear(dim, seed)] if dim > 1 else []), coupling])


class MAFBlock(Chain):
    """One masked autoregressive map and a fixed mixing: quick to score, dim passes to draw.

    `elementwise` moves a coordinate given those before it: `Affine`, which None stands for, or `RationalQuadratic`.

    Reference: Papamakarios et al. 2017, Masked autoregressive flow, arXiv:1705.07057.
    """

    def __init__(
        self,
        dim: int,
        dim_context: int,
        hidden: Sequence[int] = (64, 64),
        elementwise: Elementwise | None = None,
        mix: Literal["permutation", "rotation"] = "permutation",
        seed: int = 0,
    ) -> None:
        super().__init__(
            dim, [Autoregressive(dim, dim_context, elementwise or Affine(), hidden), *mixing(mix, dim, seed)]
        )


class IAFBlock(Chain):
    """MAF's map used the other way, and a fixed mixing: quick to draw, dim passes to score.

    Reference: Kingma et al. 2016, Improving variational inference with inverse autoregressive flow,
        arXiv:1606.04934.
    """

    def __init__(
        self,
        dim: int,
        dim_context: int,
        hidden: Sequence[int] = (64, 64),
        elementwise: Elementwise | None = None,
        mix: Literal["permutation", "rotation"] = "permutation",
        seed: int = 0,
    ) -> None:
        autoregressive = Autoregressive(dim, dim_context, elementwise or Affine(), hidden)
        super().__init__(dim, [Inverse(autoregressive), *mixing(mix, dim, seed)])


class ResidualBlock(Chain):
    """ActNorm, with a context a scaling by it, and one invertible residual step.

    The scaling gives each y its own size of the steps that follow, which ActNorm gives all of them together: .03 nats
    on the ring. `seed` is every block's; here nothing is drawn and fixed.

    Reference: Behrmann et al. 2019, Invertible residual networks, arXiv:1811.00995; Chen et al. 2019,
        Residual flows for invertible generative modeling, arXiv:1906.02735.
    """

    def __init__(
        self,
        dim: int,
        dim_context: int,
        hidden: Sequence[int] = (128,),
        lipschitz: Share = 0.95,
        log_det: Literal["auto", "exact", "series", "roulette"] = "auto",
        terms: PositiveInt = 8,
        tolerance: PositiveFloat = 1e-11,
        solver: Literal["anderson", "newton", "banach"] = "anderson",
        seed: int = 0,
    ) -> None:
        scale = [ConditionalScale(dim, dim_context, [32], clamp=2.0)] if dim_context else []
        step = Residual(dim, dim_context, hidden, lipschitz, log_det, terms, tolerance, solver)
        super().__init__(dim, [ActNorm(dim), *scale, step])


class ConditionalScale(Transform):
    r"""NICE's diagonal scaling, here a function of the context.

    .. math:: z = x \odot e^{s(c)}, \quad s = \alpha \tanh(\hat s / \alpha)

    Without a context s is a constant vector, as in the paper. On top it sets how dense the volume is; below the blocks
    it gives each y its own size of the shifts that follow.

    Reference: Dinh et al. 2014, NICE, arXiv:1410.8516, section 3.3.
    """

    def __init__(self, dim: int, dim_context: int, hidden: Sequence[int] = (64,), clamp: PositiveFloat = 4.0) -> None:
        super().__init__(dim, dim_context)
        self.clamp = clamp
        self.subnet = MLP(dim_context, dim, hidden)

    def _log_scale(self, x: Tensor, context: Tensor | None) -> Tensor:
        raw = self.subnet(x[:, :0] if context is None else context)
        return self.clamp * torch.tanh(raw / self.clamp)

    def _forward(self, x: Points, context: Context) -> Moved:
        s = self._log_scale(x, context)
        return x * s.exp(), s.sum(1)

    def _inverse(self, z: Points, context: Context) -> Moved:
        s = self._log_scale(z, context)
        return z * (-s).exp(), -s.sum(1)


class ConditionalPrior(ConditionalScale):
    r"""NICE's diagonal scaling with a prior of learned tails on top, both functions of the context.

    .. math:: z = \sinh\big(\delta(c) \operatorname{arsinh}(x \odot e^{s(c)})\big), \quad
        \log \delta = \beta \tanh(\hat d / \beta)

    Volume-preserving blocks move volume and can't thin it out: which share of the mass has which density is up to the
    prior alone. Where the data has lighter tails than a normal, as across a ring, a normal prior leaves mass that has
    to lie where no data is. With delta above 1 the tails are lighter, below 1 heavier; at 1 it is `ConditionalScale`.

    Args:
        hidden, clamp: see `ConditionalScale`.
        clamp_tails: beta.

    Reference: Dinh et al. 2014, NICE, arXiv:1410.8516, section 3.4; Jones and Pewsey 2009, Sinh-arcsinh distributions,
        Biometrika 96, 761-780.
    """

    def __init__(
        self,
        dim: int,
        dim_context: int,
        hidden: Sequence[int] = (64,),
        clamp: PositiveFloat = 4.0,
        clamp_tails: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(dim, dim_context, hidden, clamp)
        self.clamp_tails = clamp_tails
        self.tails = MLP(dim_context, dim, hidden)

    def _log_power(self, x: Tensor, context: Tensor | None) -> Tensor:
        raw = self.tails(x[:, :0] if context is None else context)
        return self.clamp_tails * torch.tanh(raw / self.clamp_tails)

    def _forward(self, x: Points, context: Context) -> Moved:
        x, ladj = super()._forward(x, context)
        log_power = self._log_power(x, context)
        a = torch.asinh(x)
        b = log_power.exp() * a
        return torch.sinh(b), ladj + (log_power + _log_cosh(b) - _log_cosh(a)).sum(1)

    def _inverse(self, z: Points, context: Context) -> Moved:
        log_power = self._log_power(z, context)
        b = torch.asinh(z)
        a = (-log_power).exp() * b
        x, ladj = super()._inverse(torch.sinh(a), context)
        return x, ladj + (_log_cosh(a) - _log_cosh(b) - log_power).sum(1)


def _log_cosh(a: Tensor) -> Tensor:
    """Of any size; less log 2, which cancels wherever it is used."""
    return a.abs() + torch.log1p(torch.exp(-2 * a.abs()))


def bends(part: nn.Module) -> bool:
    """Whether this part makes of one number more than an affine function of it; the tails of a prior don't count."""
    if isinstance(part, (Coupling, Autoregressive)):
        return not isinstance(part.elementwise, (Additive, Affine))
    affine = (Chain, Inverse, ActNorm, LULinear, Permutation, Rotation, ConditionalScale)
    return isinstance(part, Transform) and not isinstance(part, affine)


# What a name stands for in `model.block`: one more line, and one more word in `types.BlockName`, is one more choice.
BLOCKS: dict[BlockName, Callable[..., Transform]] = {
    "nice": NICEBlock,
    "rnvp": RealNVPBlock,
    "glow": GlowBlock,
    "spline": SplineBlock,
    "iresnet": ResidualBlock,
}


def block_factory(block: BlockName | Callable[..., Transform], **settings: object) -> Callable[..., Transform]:
    """The `block(dim, dim_context, seed=...)` that a model stacks.

    Args:
        block: a name of BLOCKS, or what makes a block: a class, a `functools.partial` of one, any function.
        settings: further arguments of it. Where `block` is a partial, those that it fixes stand.

    Raises: ConfigError if no block has this name.
    """
    if isinstance(block, str) and block not in BLOCKS:
        raise ConfigError(f"block: expected one of {', '.join(BLOCKS)}, got {block!r}{did_you_mean(block, BLOCKS)}")
    made = BLOCKS[block] if isinstance(block, str) else block
    return functools.partial(made, **{**settings, **getattr(made, "keywords", {})})
