"""The two-sided INN: one bijection between [x, noise] and [y, z]."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from inncli.errors import ConfigError, ConvergenceError
from inncli.models.abilities import Free, Target, TwoSided, U, V, Z
from inncli.models.base import Draws, Observations, PerRow, X, Y
from inncli.models.column_choice import choose, one_number, remarks
from inncli.models.preprocessing import Scaling
from inncli.nn.features import Features
from inncli.nn.sharding import row_wise
from inncli.numerics.mmd import InverseMultiquadric, independence_test, two_sample_test
from inncli.transforms.base import Transform
from inncli.transforms.blocks import block_factory
from inncli.transforms.chain import Chain
from inncli.transforms.linear import LULinear
from inncli.types import BlockName, Float, NonNegativeInt, PositiveInt, Real
from inncli.variables import Variables

# What a block chosen by name is given here instead of its own default: the values with which `inn.yaml` was tuned.
TUNED: dict[str, dict[str, float | None]] = {
    "nice": {"clamp": None},
    "rnvp": {"clamp": 2.0},
    "glow": {"clamp": 2.0},
    "iresnet": {"lipschitz": 0.98},
}


class INN(TwoSided):
    r"""A bijection whose two sides are what one can know of x, and x itself.

    .. math:: [y, z, v] = f([x, u]), \qquad x \text{ given } y: \; [x, u] = f^{-1}([y, z, v]), \; z \sim N(0, I)

    x and y are scaled (labels of y one-hot); u and v pad both sides to one width. Padding is noise, not zeros: a
    bijection of the plane can't wrap a line around a ring, but one of the space can, and with u ~ N(0, 1) it knows
    the density of all that it may meet. A label has no width: what lies around its one-hot vector may be sigma u,
    column by column, so that the chain need not contract onto a point, which has no inverse (`split_padding`). Its
    objective sets, in buffers that are saved (`set_noise`, `set_padding`):

    * `sigma`, the sd of the noise on y (scaled): the inverse is taken at y + sigma * eps. In the MMD form it is the
      noise that y is known to have, 0 where none is known, and a small one for labels (`split_padding`).
    * `padding_sd`, the sd of u at training, and of v when it is drawn for the inverse: as it was trained.

    Without padding, and with sigma > 0, it has an exact density,

    .. math:: p(x | y) = N(f_y(x); y, \sigma^2) \, N(f_z(x); 0, I) \, |\det \partial f / \partial x|

    With padding that is the density of (x, u), and `log_prob` is NaN.

    Args:
        block: what the chain is made of: a name of `transforms.blocks.BLOCKS`, or `block(dim, dim_context, hidden=...,
            seed=...)`, which gives one Transform. Only a named one has the settings of TUNED.
        n_blocks, hidden: their number, and the widths of their subnets. A block that fixes its own `hidden`, as a node
            of a config may, keeps it.
        dim_z: width of z; null is that of x.
        padding: dimensions on both sides beyond those that [x] or [y, z] need.

    Raises: ConfigError if [y, z] has fewer dimensions than x: information would be lost.
    Reference: Ardizzone et al. 2019, Analyzing inverse problems with invertible neural networks,
        arXiv:1808.04730; Huang et al. 2020, Augmented normalizing flows, arXiv:2002.07101, for noise as padding.
    """

    padding_sd: Tensor  # (2,): of u, and of v at the inverse
    _noisy: Tensor  # (dim_y,): the columns whose noise is a column of u
    _free: Tensor  # the other columns of u

    def __init__(
        self,
        x: Variables,
        y: Variables | None,
        block: BlockName | Callable[..., Transform] = "rnvp",
        n_blocks: PositiveInt = 8,
        hidden: Sequence[PositiveInt] = (64, 64),
        dim_z: NonNegativeInt | None = None,
        padding: NonNegativeInt = 3,
    ) -> None:
        super().__init__(x, y)
        self.scale = Scaling(x)
        self.features = None if y is None else Features(y)
        self.dim_y = 0 if self.features is None else self.features.dim_out
        self.dim_z = x.dim if dim_z is None else dim_z
        if self.dim_y + self.dim_z < x.dim:
            raise ConfigError(
                f"model.dim_z: expected {x.dim - self.dim_y} or more, so that [y, z] has at least the {x.dim} "
                f"dimensions of x beside {self.dim_y} of y, got {self.dim_z}"
            )
        self.width = max(x.dim, self.dim_y + self.dim_z) + padding
        self.sizes_in = [x.dim, self.width - x.dim]
        # y comes last: at the start, when the chain is the identity, it lies at the padding of x and z at x.
        self.sizes_out = [self.dim_z, self.width - self.dim_y - self.dim_z, self.dim_y]
        # -inf is no noise. A parameter, since the likelihood form may learn it.
        self.log_sigma = nn.Parameter(torch.full((self.dim_y,), -math.inf), requires_grad=False)
        self.register_buffer("padding_sd", torch.ones(2))
        # Noise known in y's own units, (Dy,), which becomes sigma once the scaling is known.
        self._known_noise: Tensor | None = None
        # u and y end together: at the start, when the chain is the identity, each label's noise is in its place.
        labels = () if y is None else y.labels
        is_label = [names is not None for names in labels for _ in names or [""]]
        self._before = self.width - x.dim - self.dim_y  # columns of u before those beside y
        noisy = [j for j in range(self.dim_y) if is_label[j] and self._before + j >= 0]
        free = [i for i in range(self.sizes_in[1]) if i - self._before not in noisy]
        self.register_buffer("_free", torch.tensor(free, dtype=torch.long), persistent=False)
        self.register_buffer("_noisy", torch.zeros(self.dim_y, dtype=torch.bool), persistent=False)
        self._noisy[noisy] = True
        make_block = block_factory(block, hidden=hidden, **(TUNED.get(block, {}) if isinstance(block, str) else {}))
        blocks = [make_block(self.width, 0, seed=k) for k in range(n_blocks)]
        self.blocks = Chain(self.width, [*blocks, LULinear(self.width)])

    has_latent = True
    graph_capturable = True

    # what an objective sets

    @torch.no_grad()
    def set_noise(
        self, sd: float = 0.0, known: np.ndarray | None = None, learn: bool = False, labels: float | None = None
    ) -> None:
        """Sets sigma; see `TwoSided`."""
        self.log_sigma.fill_(math.log(sd) if sd else -math.inf)
        if labels:
            self.log_sigma.masked_fill_(self._noisy, math.log(labels))
        self.log_sigma.requires_grad_(learn and self.dim_y > 0)
        self._known_noise = None if known is None else torch.as_tensor(known, device=self.log_sigma.device)

    @torch.no_grad()
    def set_padding(self, sd_in: float, sd_out: float) -> None:
        """Sets the sd of u, and of v at the inverse."""
        self.padding_sd.copy_(torch.tensor([sd_in, sd_out]))

    # the two sides, scaled

    @property
    def sigma(self) -> Float[Tensor, " dim_y"]:
        """The sd of the noise on each scaled y, (Dy,)."""
        return self.log_sigma.exp()

    def scaled(self, x: X) -> X:
        """The x that the blocks see, (rows, Dx)."""
        return self.scale(x.double())[0].to(self._dtype)

    def target(self, y: Tensor | None, rows: int) -> Target:
        """The y that the blocks must give, (rows, dim_y); no columns without y."""
        if y is None:
            return self.padding_sd.new_zeros(rows, 0)
        assert self.features is not None  # a model of x given y has them
        return self.features(y.double()).to(self._dtype)

    def noise(self, rows: int, generator: torch.Generator) -> U:
        """u, the padding of x, (rows, width - Dx)."""
        return self.padding_sd[0] * self._normal(rows, self.sizes_in[1], generator)

    def split_padding(self, u: U) -> tuple[Target, Free]:
        """Sigma u for the labels of y, (rows, dim_y), zero elsewhere, and the columns of u that are none's noise."""
        beside = nn.functional.pad(u, (-self._before, 0))  # padded or cut, to the columns of y
        return torch.where(self._noisy, self.sigma, 0.0) * beside / self.padding_sd[0], u[:, self._free]

    @row_wise
    def forward(self, x: X, u: U) -> tuple[Target, Z, V, PerRow]:
        """y, z, v of a scaled x and its padding, and the log abs det Jacobian."""
        out, ladj = self.blocks(torch.cat([x, u], 1))
        z, v, y = out.split(self.sizes_out, 1)
        return y, z, v, ladj

    @row_wise
    def inverse(self, y: Target, z: Z, v: V) -> tuple[X, U]:
        """Scaled x and its padding of scaled y, z and v."""
        x, u = self.blocks.inverse(torch.cat([z, v, y], 1))[0].split(self.sizes_in, 1)
        return x, u

    def draw_latent(self, target: Target, generator: torch.Generator) -> tuple[Target, Z, V]:
        """What the inverse takes at a scaled y: y + sigma * eps, z ~ N(0, I), and v as trained."""
        z, v, eps = self._normal(len(target), self.width, generator).split(self.sizes_out, 1)
        return target + self.sigma * eps, z, self.padding_sd[1] * v

    def log_joint(self, x: X, u: U, target: Target) -> PerRow:
        r"""Log p(x, u | y) of scaled x, (rows,).

        .. math:: \log N(f_y; y, \sigma^2) + \log N(f_z; 0, I) + \log N(f_v; 0, I) + \log|\det J|
        """
        y, z, v, ladj = self(x, u)
        off = (y - target) / self.sigma
        return _normal(off) - self.log_sigma.sum() + _normal(z) + _normal(v) + ladj

    def _normal(self, rows: int, dim: int, generator: torch.Generator) -> Tensor:
        return torch.randn(rows, dim, generator=generator, dtype=self._dtype, device=generator.device)

    @property
    def _dtype(self) -> torch.dtype:
        return self.padding_sd.dtype

    # the contract

    @property
    def has_density(self) -> bool:  # type: ignore[override]  # other models set it as an attribute, this one computes it
        """Whether `log_prob` is that of the draws: without padding, and with noise on y."""
        return self.width == self.dim and bool((self.sigma > 0).all())

    @property
    def without_density(self) -> str:  # type: ignore[override]  # as above
        """The settings that would give it one."""
        dim_z = self.dim - self.dim_y
        if dim_z < 0:
            return super().without_density
        words = f"{'' if (self.sigma > 0).all() else 'model=inn '}model.padding=0 model.dim_z={dim_z}"
        return f"train it with {words} ({self.dim} of x - {self.dim_y} of y), or use `inn invert`"

    @torch.no_grad()
    def columns_for(self, x: X, y: Y) -> tuple[Variables, Variables | None]:
        """Chooses the map of each column of x and of y by its own values: what y tells of x, f has yet to learn."""
        y_columns = None if self.y is None or y is None else one_number(self.y, y.cpu().numpy())
        return choose(self.x, None, x.cpu().numpy(), None)[0], y_columns

    def remarks(self) -> list[str]:
        """What is said of the columns."""
        return remarks(self.x, self.y)

    @torch.no_grad()
    def initialise(self, x: X, y: Y, generator: torch.Generator) -> None:
        """Scalings, the blocks' own data-dependent starts, and a last layer that makes the whole the identity."""
        if y is not None and self.features is not None:
            self.features.initialise(y)
            if self._known_noise is not None:
                known = self.features.known_noise(self._known_noise).log()
                self.log_sigma.copy_(torch.where(self._noisy, self.log_sigma, known))
        scaled = self.scale.initialise(self.scale.dequantise(x, generator)).to(self._dtype)
        self.blocks.initialise(torch.cat([scaled, self.noise(len(scaled), generator)], 1))
        self._undo_mixing(generator)

    def _undo_mixing(self, generator: torch.Generator) -> None:
        """Makes the start the identity: the blocks begin as a linear map, which the last layer takes back."""
        last = self.blocks.parts[-1]
        assert isinstance(last, LULinear)
        last.set(torch.eye(self.width))
        probe = self._normal(1000 + 4 * self.width, self.width, generator)
        image = self.blocks(probe)[0].double()
        probe = probe.double()
        last.set(torch.linalg.lstsq(image - image.mean(0), probe - probe.mean(0)).solution.T)

    def log_prob(self, x: X, y: Y) -> PerRow:
        """Log p(x | y) of the dequantised x, (rows,); -inf outside the box, NaN with padding or where sigma is 0."""
        if not self.has_density:
            return x.new_full((len(x),), math.nan)
        inside = self.scale.covers(x)
        scaled, ladj = self.scale(self.scale.clamp(x))
        scaled = scaled.to(self._dtype)
        log_prob = self.log_joint(scaled, scaled[:, :0], self.target(y, len(x))) + ladj.to(self._dtype)
        return torch.where(inside & log_prob.isfinite(), log_prob, -math.inf)

    @torch.no_grad()
    def latent(self, x: X, y: Y, generator: torch.Generator) -> Z:
        """f_z of the dequantised rows with fresh padding, (rows, Dz)."""
        return self(self.scaled(self.scale.dequantise(x, generator)), self.noise(len(x), generator))[1]

    @torch.no_grad()
    def sample(self, y: Observations | None, n: int, generator: torch.Generator) -> Draws:
        """Draws n x for each row of y, (n_obs, n, Dx), inside the box and on the recording grid.

        Raises: ConvergenceError if a y is so far from the training ys that the blocks overflow.
        """
        n_obs = 1 if y is None else y.shape[0]
        target = self.target(y, n_obs).repeat_interleave(n, 0)
        # In chunks that stay in the processor's cache: less than half the time of one large batch.
        latents = zip(*(part.split(4096) for part in self.draw_latent(target, generator)), strict=True)
        scaled = torch.cat([self.inverse(*latent)[0] for latent in latents])
        x = self.scale.inverse(scaled.double())[0]
        bad = int((~x.isfinite().all(1)).sum())
        if bad:
            raise ConvergenceError(
                f"{bad} of {len(x)} draws are not finite: y is too far from what training saw; check its units"
            )
        return self.scale.record(x).reshape(n_obs, n, self.dim)

    @torch.no_grad()
    def posterior(
        self, y: Observations, n: int, generator: torch.Generator, starts: Tensor | None = None
    ) -> tuple[Draws, dict[str, Tensor]]:
        """Draws, and `y_error` of each: how far the model's own y of that x is from the given one."""
        x = self.sample(y, n, generator)
        error = self.y_error(x.reshape(-1, self.dim), y.repeat_interleave(n, 0), generator)
        return x, {"y_error": error.reshape(len(y), n)}

    @torch.no_grad()
    def y_error(self, x: X, y: Real[Tensor, "rows dim_y"], generator: torch.Generator) -> PerRow:
        r""":math:`|f_y(x) - y|` with fresh padding, (rows,).

        Units: those of y; a label counts as its one-hot vector.
        """
        assert self.features is not None  # a model of x given y has them
        got = self(self.scaled(x), self.noise(len(x), generator))[0]
        off = self.features.apart(got, self.target(y, len(y)))
        return off.square().sum(1).sqrt()

    @torch.no_grad()
    def diagnostics(self, x: X, y: Y) -> dict[str, float]:
        """`invertibility_error`: max abs of inverse(forward(x)) - x over sd, at these rows."""
        scaled = self.scaled(x)
        u = self.noise(len(x), torch.Generator(x.device).manual_seed(0))
        back = self.inverse(*self(scaled, u)[:3])[0]
        return {"invertibility_error": float((back - scaled).abs().max())}

    @torch.no_grad()
    def check(self, x: X, y: Y, generator: torch.Generator) -> dict[str, float]:
        """How well y comes back, and whether z is standard normal and independent of y, on held-out pairs.

        `y_error` is the root mean square of |f_y(x) - y|; `z_mmd2` and `z_y_mmd2` are squared MMDs of z to N(0, I) and
        of (y, z) to (y permuted, z), each with its permutation p-value: a small one says that they differ.
        At most 1,000 rows are used for the tests.
        """
        scaled = self.scaled(self.scale.dequantise(x, generator))
        z = self(scaled, self.noise(len(x), generator))[1][:1000].double()
        kernel = InverseMultiquadric()
        apart, p = two_sample_test(z, self._normal(len(z), z.shape[1], generator).double(), kernel, generator)
        found = {"z_mmd2": apart, "z_p_value": p}
        if y is not None:
            target = self.target(y, len(y))[:1000].double()
            apart, p = independence_test(target, z, kernel, kernel, generator)
            error = self.y_error(x, y, generator).square().mean().sqrt()
            found |= {"z_y_mmd2": apart, "z_y_p_value": p, "y_error": float(error)}
        return found


def _normal(z: Float[Tensor, "rows dim"]) -> PerRow:
    """Log density of N(0, I) at each row."""
    return -0.5 * z.square().sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)
