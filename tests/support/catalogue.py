"""The catalogue that the contracts run over: name -> constructor. A new transform or model is one line."""

from __future__ import annotations

import math
from functools import partial

import torch

from inncli.models.adjoint import Adjoint
from inncli.models.flow import ConditionalFlow
from inncli.models.inn import INN
from inncli.objectives.bidirectional_ml import BidirectionalML
from inncli.transforms.actnorm import ActNorm
from inncli.transforms.autoregressive import Autoregressive
from inncli.transforms.blocks import (
    ConditionalPrior,
    ConditionalScale,
    GlowBlock,
    IAFBlock,
    MAFBlock,
    NICEBlock,
    RealNVPBlock,
    ResidualBlock,
    SplineBlock,
)
from inncli.transforms.chain import Chain
from inncli.transforms.circle import Circle
from inncli.transforms.class_gaussian import ClassGaussian
from inncli.transforms.column_maps import ColumnMaps
from inncli.transforms.coupling import Coupling
from inncli.transforms.elementwise import Additive, Affine
from inncli.transforms.inverse import Inverse
from inncli.transforms.linear import LinearGaussian, LULinear
from inncli.transforms.marginal import BoundsTransform, QuantileTransform, Standardise
from inncli.transforms.permute import Permutation, Rotation
from inncli.transforms.power import PowerMap
from inncli.transforms.simplex import Simplex
from inncli.transforms.spline import RationalQuadratic
from inncli.transforms.whitening import Whitening
from inncli.variables import Variables

HIDDEN = [16, 16]
CLAMP, LIPSCHITZ = 2.0, 0.98  # harder to keep to the contracts than the defaults


def box(bounds):
    """A BoundsTransform with a non-trivial unit, as after `initialise`."""
    made = BoundsTransform(Variables.numbered("x", len(bounds), bounds=bounds))
    made.unit.copy_(torch.linspace(0.5, 2, len(bounds)))
    return made


def heap_map():
    """A fitted QuantileTransform: column 1 has heaps at 0 and at 28, column 2 none, column 3 one at 5."""
    x = Variables.numbered(
        "x", 3, bounds=((0.0, 400.0), (None, None), (0.0, None)), steps=(1.0, 0.0, 0.1), heaps=((0.0, 28.0), (), (5.0,))
    )
    generator = torch.Generator().manual_seed(0)
    u = torch.rand(500, 3, generator=generator, dtype=torch.float64)
    rows = torch.stack([(u[:, 0] * 360).round(), u[:, 1], (u[:, 2] * 20).round(decimals=1)], 1)
    rows[:200, 0], rows[200:300, 0], rows[100:250, 2] = 0.0, 28.0, 5.0
    made = QuantileTransform(x)
    made.initialise(rows + torch.tensor(x.steps) * (torch.rand(500, 3, generator=generator) - 0.5))
    return made


def standardise(dim):
    """A Standardise away from the identity."""
    made = Standardise(dim)
    made.centre.copy_(torch.arange(dim))
    made.scale.copy_(torch.linspace(0.1, 10, dim))
    return made


def power_map():
    """A PowerMap fitted to columns skewed to the right, not at all and to the left."""
    made = PowerMap(3)
    normal = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made.initialise(torch.stack([normal[:, 0].exp(), normal[:, 1], -normal[:, 2].exp() + 3], 1))
    return made


def whitening():
    """A Whitening fitted to three columns that hang together and follow a context of two."""
    generator = torch.Generator().manual_seed(0)
    context = torch.randn(400, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(400, 3, generator=generator, dtype=torch.float64) @ torch.tensor(
        [[1.0, 0.5, 0.0], [0.0, 0.1, 0.7], [0.3, 0.0, 2.0]], dtype=torch.float64
    )
    made = Whitening(3, 2)
    made.initialise(context @ torch.tensor([[1.0, 2.0, 0.0], [0.0, -1.0, 0.5]], dtype=torch.float64) + noise, context)
    return made


COLUMNS = {
    "identity": (None, None),
    "log": (None, None),
    "softplus": (-2.0, None),
    "logit": (0.0, 1.0),
    "probit": (-1.0, 3.0),
    "log_probit": (1e-6, 10.0),
    "symlog": (None, None),
    "power": (None, None),
    "quantile": (None, None),
}


def column_values(u):
    """Values in the domain of each map of COLUMNS, from u uniform in (0, 1), (rows, 9)."""
    normal = torch.special.ndtri(u)
    tail = torch.tan(math.pi * (u - 0.5))  # a Cauchy
    columns = [
        normal[:, 0],
        normal[:, 1].exp(),
        -2 + normal[:, 2].exp(),
        u[:, 3],
        -1 + 4 * u[:, 4],
        1e-6 * 1e7 ** u[:, 5],
        tail[:, 6],
        normal[:, 7].exp(),
        tail[:, 8],
    ]
    return torch.stack(columns, 1)


def column_maps():
    """One fitted map of each kind."""
    names = tuple(COLUMNS)
    x = Variables.numbered("x", len(names), maps=names)
    made = ColumnMaps(x, tuple(COLUMNS.values()))
    u = torch.rand(2000, len(names), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made.initialise(column_values(u))
    return made


def circle():
    """A fitted Circle: a phase and an angle in degrees that follow the context, and a column between them on a line."""
    x = Variables.numbered(
        "x", 3, bounds=((0.0, 2 * math.pi), (None, None), (-180.0, 180.0)), periods=(2 * math.pi, None, 360.0)
    )
    generator = torch.Generator().manual_seed(0)
    turn = 2 * math.pi * torch.rand(500, generator=generator, dtype=torch.float64)
    context = torch.stack([turn.cos(), turn.sin()], 1)
    made = Circle(x, 2)
    made.initialise(torch.stack([turn, turn, turn.rad2deg() - 180], 1), context)
    return made


TRANSFORMS = {
    "permutation": partial(Permutation, 5),
    "rotation": partial(Rotation, 5, seed=3),
    "actnorm": partial(ActNorm, 3),
    "lu_linear": partial(LULinear, 5, seed=1),
    "linear_gaussian": partial(LinearGaussian, 3, 2),
    "class_gaussian": partial(ClassGaussian, 3, 4, classes=3, first=1),
    "linear_gaussian_unconditional": partial(LinearGaussian, 3),
    "additive_coupling": partial(Coupling, 5, 2, Additive(), HIDDEN),
    "affine_coupling": partial(Coupling, 5, 2, Affine(CLAMP), HIDDEN),
    "affine_coupling_swapped": partial(Coupling, 5, 0, Affine(CLAMP), HIDDEN, swap=True),
    "affine_coupling_1d": partial(Coupling, 1, 2, Affine(CLAMP), HIDDEN),
    "affine_coupling_1d_unconditional": partial(Coupling, 1, 0, Affine(CLAMP), HIDDEN),
    "spline_coupling": partial(Coupling, 5, 2, RationalQuadratic(bound=2.5), HIDDEN),
    "spline_coupling_1d": partial(Coupling, 1, 2, RationalQuadratic(bound=2.5), HIDDEN),
    "nice": partial(NICEBlock, 4, 3, HIDDEN),
    "nice_unclamped": partial(NICEBlock, 4, 3, HIDDEN, clamp=None),
    "rnvp": partial(RealNVPBlock, 4, 3, HIDDEN, clamp=CLAMP),
    "rnvp_odd_unconditional": partial(RealNVPBlock, 7, 0, HIDDEN, clamp=CLAMP, mix="rotation"),
    "rnvp_rotation": partial(RealNVPBlock, 3, 1, HIDDEN, clamp=CLAMP, mix="rotation"),
    "rnvp_1d": partial(RealNVPBlock, 1, 2, HIDDEN, clamp=CLAMP),
    "spline": partial(SplineBlock, 4, 3, HIDDEN),
    "spline_odd_unconditional": partial(SplineBlock, 7, 0, HIDDEN, mix="permutation"),
    "spline_1d": partial(SplineBlock, 1, 2, HIDDEN),
    "glow": partial(GlowBlock, 4, 3, HIDDEN, clamp=CLAMP),
    "glow_1d": partial(GlowBlock, 1, 2, HIDDEN, clamp=CLAMP),
    "autoregressive": partial(Autoregressive, 5, 2, Affine(CLAMP), HIDDEN),
    "autoregressive_unconditional": partial(Autoregressive, 4, 0, Affine(CLAMP), HIDDEN),
    "autoregressive_spline": partial(Autoregressive, 3, 2, RationalQuadratic(bound=2.5), HIDDEN),
    "autoregressive_1d": partial(Autoregressive, 1, 2, Affine(CLAMP), HIDDEN),
    "autoregressive_1d_unconditional": partial(Autoregressive, 1, 0, Affine(CLAMP), HIDDEN),
    "inverse": lambda: Inverse(Coupling(5, 2, Affine(CLAMP), HIDDEN)),
    "maf": partial(MAFBlock, 4, 3, HIDDEN, Affine(CLAMP)),
    "iaf": partial(IAFBlock, 4, 3, HIDDEN, Affine(CLAMP), mix="rotation"),
    "iaf_1d": partial(IAFBlock, 1, 2, HIDDEN, Affine(CLAMP)),
    "iresnet": partial(ResidualBlock, 4, 3, HIDDEN, lipschitz=LIPSCHITZ),
    "iresnet_unconditional": partial(ResidualBlock, 7, 0, HIDDEN, lipschitz=0.9),
    "iresnet_1d": partial(ResidualBlock, 1, 2, [16], lipschitz=LIPSCHITZ),
    "conditional_scale": partial(ConditionalScale, 3, 2, HIDDEN),
    "conditional_scale_unconditional": partial(ConditionalScale, 3, 0, HIDDEN),
    "conditional_prior": partial(ConditionalPrior, 3, 2, HIDDEN),
    "conditional_prior_unconditional": partial(ConditionalPrior, 3, 0, HIDDEN),
    "chain": lambda: Chain(4, [RealNVPBlock(4, 2, HIDDEN, CLAMP), ActNorm(4), GlowBlock(4, 2, HIDDEN, CLAMP, seed=1)]),
    "box": partial(box, ((0.0, 1.0), (-2.0, None), (None, 3.0), (None, None))),
    "standardise": partial(standardise, 4),
    "heap_map": heap_map,
    "simplex": partial(Simplex, 3),
    "power_map": power_map,
    "whitening": whitening,
    "column_maps": column_maps,
    "circle": circle,
}

# Points in the domain of those transforms that are not defined on all of R^dim: u uniform in (0, 1).
DOMAINS = {
    "box": lambda u: u * torch.tensor([1.0, 6, -6, 4]) + torch.tensor([0.0, -2, 3, -2]),
    "simplex": lambda u: u / (u.sum(1, keepdim=True) + 0.2),
    "column_maps": lambda u: column_values(0.05 + 0.9 * u),
    "circle": lambda u: u * torch.tensor([2 * math.pi, 3, 360]) - torch.tensor([0.0, 0, 180]),
    "heap_map": lambda u: torch.stack([u[:, 0] * 400, u[:, 1] * 8 - 4, u[:, 2] * 19], 1),
}

# The images of those transforms that don't reach all of R^dim, from z normal.
IMAGES = {"circle": lambda z: 3 * torch.tanh(z)}

BLOCKS = {
    "nice": dict(
        block=partial(NICEBlock, hidden=HIDDEN),
        last=partial(ConditionalPrior, hidden=HIDDEN),
    ),
    "rnvp": dict(block=partial(RealNVPBlock, hidden=HIDDEN, clamp=CLAMP)),
    "glow": dict(block=partial(GlowBlock, hidden=HIDDEN, clamp=CLAMP)),
    "spline": dict(block=partial(SplineBlock, hidden=HIDDEN)),
    "maf": dict(block=partial(MAFBlock, hidden=HIDDEN, elementwise=Affine(CLAMP))),
    "iaf": dict(block=partial(IAFBlock, hidden=HIDDEN, elementwise=Affine(CLAMP))),
    "iresnet": dict(block=partial(ResidualBlock, hidden=HIDDEN, lipschitz=LIPSCHITZ)),
}


def inn(x, y):
    """A two-sided INN in the form that has a density: by likelihood, without padding."""
    made = INN(x, y, n_blocks=3, hidden=HIDDEN, dim_z=x.dim - (0 if y is None else y.dim), padding=0)
    BidirectionalML(sigma=0.3).attach(made, None)
    return made


MODELS = {
    **{name: partial(ConditionalFlow, n_blocks=3, dim_embedding=4, **parts) for name, parts in BLOCKS.items()},
    "rnvp_truncate": partial(ConditionalFlow, n_blocks=3, dim_embedding=4, bounds="truncate", **BLOCKS["rnvp"]),
    "marginal": partial(ConditionalFlow, n_blocks=3, ignore_y=True, **BLOCKS["spline"]),
    "maf_power": partial(ConditionalFlow, n_blocks=3, power=True, **BLOCKS["maf"]),
    "inn": inn,
    "rnvp_without_linear": partial(ConditionalFlow, n_blocks=3, linear_start=False, **BLOCKS["rnvp"]),
}
# Models without a density: `test_adjoint.py` holds them to what is left of the contract.
SEARCHES = {"adjoint": partial(Adjoint, hidden=HIDDEN, max_steps=60, patience=20, n_starts=64)}
