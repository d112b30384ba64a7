"""The conditional normalizing flow p(x | y)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from inncli.errors import ConfigError, ConvergenceError
from inncli.models import truncation
from inncli.models.base import Draws, Model, Observations, PerRow, Scalar, X, Y
from inncli.models.column_choice import choose, remarks
from inncli.models.preprocessing import Scaling
from inncli.nn.components import Components
from inncli.nn.embedding import Embedding
from inncli.nn.features import Edges, Features
from inncli.nn.sharding import row_wise
from inncli.transforms.base import Transform
from inncli.transforms.blocks import ConditionalScale, bends, block_factory
from inncli.transforms.chain import Chain
from inncli.transforms.circle import Circle
from inncli.transforms.class_gaussian import ClassGaussian
from inncli.transforms.linear import LinearGaussian
from inncli.transforms.residual import health
from inncli.transforms.whitening import Whitening
from inncli.types import BlockName, BoundsMode, NonNegativeInt, PositiveInt
from inncli.variables import Variables


class ConditionalFlow(Model):
    r"""A normalizing flow, conditional where the task has a y.

    .. math:: z = f_\text{blocks}(f_\text{linear}(f_\text{scale}(x); y); e(y)), \quad
        \log p(x | y) = \log N(z; 0, I) + \log|\det \partial z / \partial x|

    * scale: a column at a time, set from the data and saved: heaps spread, mapped to the real line,
      robust standardisation (`models.preprocessing`); a circle is cut opposite to where y expects x (`Circle`).
    * linear: the linear-Gaussian fit of x given y in closed form (`Whitening`), then an affine map to be trained,
      which starts as the identity.
    * blocks: `n_blocks` of `block`, started as the identity.

    Args:
        block: a name of `transforms.blocks.BLOCKS`, or `block(dim, dim_context, seed=...)`, which gives one Transform.
        n_blocks: how many of them.
        last: one more Transform on top, `last(dim, dim_context)`.
        bounds: how bounded unknowns stay in their box. `auto` maps the box to the real line, each column by the map
            that suits it best, `logit` all by that one; `truncate` draws again what falls outside and renormalises the
            density; `clip`, for recorded columns, records it as the bound, and what the density has outside is lost to
            it.
        linear_start: False leaves the linear layer out; class gives each label of y a covariance of its own
            (`ClassGaussian`).
        ignore_y: True learns p(x), whatever y: what a model that does look at y has to beat.
        power: True also lets a column take a power against skew (`PowerMap`), where that suits it best.

    Reference: Winkler et al. 2019, Learning likelihoods with conditional normalizing flows,
        arXiv:1912.00042; Papamakarios et al. 2021, Normalizing flows, arXiv:1912.02762.
    """

    def __init__(
        self,
        x: Variables,
        y: Variables | None,
        block: BlockName | Callable[..., Transform] = "rnvp",
        n_blocks: PositiveInt = 8,
        last: Callable[..., Transform] | None = None,
        dim_embedding: NonNegativeInt = 16,
        bounds: BoundsMode = "auto",
        linear_start: bool | Literal["class"] = True,
        power: bool = False,
        ignore_y: bool = False,
    ) -> None:
        super().__init__(x, y)
        self.ignores_y = ignore_y
        self._bounds, self._power = bounds, power
        y = None if ignore_y else y
        dim = x.dim
        self.features = None if y is None else Features(y)
        dim_features = 0 if self.features is None else self.features.dim_out
        circular = any(period is not None for period in x.periods)
        self.circle = Circle(x, dim_features) if circular else None
        self.scale = Scaling(x, bounds, power, on_circle=circular)
        self.whiten = Whitening(dim, dim_features) if linear_start is True else None
        dim_shown = 0 if self.features is None else self.features.dim_shown
        self.components = Components(dim_features, y.components, dim) if y is not None and y.components else None
        dim_compact = dim_shown if self.components is None else self.components.dim_out
        self.sees_all = y is not None and (self.components is None or y.sees_all)
        bounded = y is not None and any(bound is not None for pair in y.bounds for bound in pair)
        self.edges = Edges(y) if y is not None and bounded else None
        dim_edges = 0 if self.edges is None else self.edges.dim_out
        dim_seen = (dim_shown if self.sees_all else dim_compact) + dim_edges
        self.embedding = None if y is None else Embedding(dim_seen, dim_embedding, dim_compact + dim_edges)
        dim_context = 0 if self.embedding is None else self.embedding.dim_out
        self.linear = _linear(dim, y, self.features, dim_compact, linear_start)
        # Where y says how wide x is, this layer follows: a spline is the identity beyond its bound, and the shifts of
        # NICE's widest posterior would throw the draws of its narrowest. Up to 0.4 was none.
        spreads = self.whiten is not None and dim_context > 0 and any(x.maps)
        self.spread = ConditionalScale(dim, dim_context, (32,)) if spreads else None
        make_block = block_factory(block)
        blocks = [make_block(dim, dim_context, seed=k) for k in range(n_blocks)]
        self.blocks = Chain(dim, blocks if last is None else [*blocks, last(dim, dim_context)])
        self.register_load_state_dict_pre_hook(_from_earlier)

    has_latent = True
    graph_capturable = True

    @property
    def came_later(self) -> frozenset[str]:
        """The whitening, which in releases up to 0.4 the linear layer did by its first weights."""
        return frozenset(name for name in self.state_dict() if name.startswith("whiten."))

    # x in the user's units <-> z

    @row_wise
    def _to_z(self, x: X, y: Y) -> tuple[X, PerRow]:
        given = self._given(y)
        z, total = self._scaled(x, given)
        if self.whiten is not None:
            z, ladj = self.whiten(z, given.features)
            total = total + ladj
        z, total = z.to(self._dtype), total.to(self._dtype)
        if self.linear is not None:
            z, ladj = self.linear(z, given.compact)
            total = total + ladj
        if self.spread is not None:
            z, ladj = self.spread(z, given.context)
            total = total + ladj
        z, ladj = self.blocks(z, given.context)
        return z, ladj + total

    @row_wise
    def _to_x(self, z: X, y: Y) -> tuple[X, PerRow]:
        given = self._given(y)
        z, total = self.blocks.inverse(z, given.context)
        if self.spread is not None:
            z, ladj = self.spread.inverse(z, given.context)
            total = total + ladj
        if self.linear is not None:
            z, ladj = self.linear.inverse(z, given.compact)
            total = total + ladj
        z = z.double()
        if self.whiten is not None:
            z, ladj = self.whiten.inverse(z, given.features)
            total = total + ladj
        x, ladj = self.scale.inverse(z)
        total = total + ladj
        if self.circle is not None:
            x, ladj = self.circle.inverse(x, given.features)
            total = total + ladj
        return x, total

    def _scaled(self, x: X, given: _Given) -> tuple[X, PerRow]:
        """The scaled x, (rows, Dx) in float64, and the log abs det Jacobian."""
        x = x.double()
        if self.circle is None:
            return self.scale(x)
        turned, ladj = self.circle(x, given.features)
        scaled, more = self.scale(turned)
        return scaled, ladj + more

    def _given(self, y: Tensor | None) -> _Given:
        if y is None or self.ignores_y:
            return _Given()
        assert self.features is not None and self.embedding is not None  # a model of x given y has both
        features = self.features(y.double())
        shown = self.features.shown(features)
        compact = (shown if self.components is None else self.components(features)).to(self._dtype)
        shown = shown.to(self._dtype)
        edges = [] if self.edges is None else [self.edges(y.double()).to(self._dtype)]
        passed = torch.cat([compact, *edges], 1)
        seen = torch.cat([shown, *edges], 1) if self.sees_all else passed
        return _Given(features, compact, self.embedding(seen, passed))

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.blocks.parameters()).dtype

    # the contract

    @torch.no_grad()
    def columns_for(self, x: X, y: Y) -> tuple[Variables, Variables | None]:
        """Chooses the map of each column of x and the features of each column of y; see `column_choice`."""
        seen = None if y is None or self.ignores_y else y.cpu().numpy()
        chosen_x, chosen_y = choose(
            self.x, None if seen is None else self.y, x.cpu().numpy(), seen, self._bounds, self._power
        )
        return chosen_x, self.y if seen is None else chosen_y

    @torch.no_grad()
    def initialise(self, x: X, y: Y, generator: torch.Generator) -> None:
        """Scalings, the linear layer in closed form, and the blocks' own data-dependent starts."""
        if y is not None and self.features is not None:
            self.features.initialise(y)
        if y is not None and self.edges is not None:
            self.edges.initialise(y)
        x = self.scale.dequantise(x, generator)
        features = None if y is None or self.features is None else self.features(y.double())
        if self.circle is not None:
            x = self.circle.initialise(x, features)
        scaled = self.scale.initialise(x)
        if self.whiten is not None:
            scaled = self.whiten.initialise(scaled, features)
            if self.components is not None and features is not None:
                self.components.initialise(features, self.whiten.a)
        scaled = scaled.to(self._dtype)
        given = self._given(y)
        if self.linear is not None and self.whiten is None:
            scaled = self.linear.initialise(scaled, given.compact)
        if self.blocks.starts_from_data:
            self.blocks.initialise(scaled, given.context)

    @property
    def start(self) -> str | None:
        """What the linear start has fitted."""
        if isinstance(self.linear, ClassGaussian):
            return "a Gaussian of each label"
        if self.whiten is None and self.linear is None:
            return None
        return "a Gaussian" if self.features is None else "a linear fit"

    @property
    def start_ignores_y(self) -> bool:
        """Whether the linear fit has found nothing in y."""
        return self.features is not None and self.circle is None and self.whiten is not None and not self.whiten.a.any()

    def remarks(self) -> list[str]:
        """How columns of decades are taken, and what a model of one unknown can't do."""
        lines = remarks(self.x, None if self.ignores_y else self.y)
        if self.dim == 1 and not any(bends(part) for part in self.blocks.modules()):
            lines.append(
                f"{self.x.names[0]} is a single unknown, which this model makes a normal whatever the truth; "
                "model=spline takes any shape"
            )
        return lines

    def log_prob(self, x: X, y: Y) -> PerRow:
        """Log p(x | y) of the dequantised x, (rows,), in nats; -inf outside the box."""
        inside = self.scale.covers(x)
        x = self.scale.clamp(x)
        z, ladj = self._to_z(x, y)
        inside &= z.isfinite().all(1)  # a row so far out that the blocks overflow has no density left
        log_prob = _standard_normal(z) + ladj
        if self._truncates:
            log_prob = log_prob - truncation.log_mass_inside(self._draw, self.scale.outside, y, x).to(log_prob.dtype)
        return torch.where(inside, log_prob, -math.inf)

    @torch.no_grad()
    def latent(self, x: X, y: Y, generator: torch.Generator) -> X:
        """Latent of the dequantised rows, (rows, Dx). With bounds=truncate it is normal up to the mass outside."""
        return self._to_z(self.scale.clamp(self.scale.dequantise(x, generator)), y)[0]

    def loss(self, x: X, y: Y, generator: torch.Generator) -> Scalar:
        """Mean negative log-likelihood of the dequantised rows, in nats."""
        z, ladj = self._to_z(self.scale.dequantise(x, generator), y)
        return -(_standard_normal(z) + ladj).mean()

    @torch.no_grad()
    def sample(self, y: Observations | None, n: int, generator: torch.Generator) -> Draws:
        """Draws n x for each row of y, (n_obs, n, Dx), inside the box and on the recording grid.

        Raises: ConvergenceError if a y is so far from the training ys that the blocks overflow, or if
            truncation finds no draw inside the box.
        """
        n_obs = 1 if y is None else y.shape[0]
        rows = None if y is None else y.repeat_interleave(n, 0)
        x = self._draw(rows, n_obs * n, generator)
        bad = int((~x.isfinite().all(1)).sum())
        if bad:
            raise ConvergenceError(
                f"{bad} of {len(x)} draws are not finite: y is too far from what training saw; check its units"
            )
        if self._truncates:
            x = truncation.redraw_outside(self._draw, self.scale.outside, x, rows, generator)
        return self.scale.record(x).reshape(n_obs, n, self.dim)

    @property
    def can_push_forward(self) -> bool:
        """Without y; a truncated draw is no function of its z, nor is a recorded one a smooth one."""
        return self.y is None and not self._truncates and not self.scale.recorded

    def push_forward(self, z: X) -> tuple[X, PerRow]:
        r"""The pair x = f^{-1}(z) and log p(x) = log N(z; 0, I) - log|det dx/dz|, with gradients."""
        x, ladj = self._to_x(z.to(self._dtype), None)
        return x, _standard_normal(z) - ladj

    def diagnostics(self, x: X, y: Y) -> dict[str, float]:
        """`invertibility_error`: max abs of inverse(forward(x)) - x over sd, at these rows; certificates of blocks."""
        with torch.no_grad():
            given = self._given(y)
            scaled = self._scaled(x, given)[0]
            back = self._scaled(self._to_x(self._to_z(x, y)[0], y)[0], given)[0]
        return {"invertibility_error": float((back - scaled).abs().max()), **health(self.blocks)}

    def _draw(self, y: Y, rows: int, generator: torch.Generator) -> X:
        z = torch.randn(rows, self.dim, generator=generator, dtype=self._dtype, device=generator.device)
        # In chunks that stay in the processor's cache: less than half the time of one large batch.
        parts = zip(z.split(4096), [None] * rows if y is None else y.split(4096), strict=False)
        return torch.cat([self._to_x(z_part, y_part)[0] for z_part, y_part in parts])

    @property
    def _truncates(self) -> bool:
        return any(bound is not None for pair in self.scale.truncated.bounds for bound in pair)


class _Given(NamedTuple):
    """What the parts of a flow see of y, each with a row for each y; all None without y."""

    features: Tensor | None = None  # all of them, in float64
    compact: Tensor | None = None  # those that nets may see, or fewer numbers that stand for them
    context: Tensor | None = None  # these beside learned ones


def _linear(
    dim: int, y: Variables | None, features: Features | None, dim_compact: int, start: bool | str
) -> LinearGaussian | None:
    """The layer to be trained that `linear_start` asks for."""
    if start != "class":
        return LinearGaussian(dim, dim_compact) if start else None
    columns = () if y is None else y.labels
    labelled = [i for i, labels in enumerate(columns) if labels is not None]
    if len(labelled) != 1 or features is None:
        raise ConfigError(
            f"model.linear_start=class needs one column of labels in y, this task has {len(labelled)}; pass true"
        )
    (i,) = labelled
    return ClassGaussian(dim, dim_compact, features.sizes[i], first=features.first(i))


def _standard_normal(z: X) -> PerRow:
    """Log density of N(0, I) at each row."""
    return -0.5 * z.square().sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)


def _from_earlier(model: ConditionalFlow, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Runs of the first release kept these buffers of the scaling on the model itself; up to 0.4 some were absent."""
    if model.whiten is not None:
        identity = Whitening(model.whiten.dim, model.whiten.dim_context).state_dict()
        for name, value in identity.items():
            state.setdefault(f"{prefix}whiten.{name}", value)
    for name in ("step", "low", "high"):
        if prefix + name in state:
            state[f"{prefix}scale.{name}"] = state.pop(prefix + name)
