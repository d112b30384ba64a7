"""The conditional normalizing flow p(x | y)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from inncli.errors import ConfigError, ConvergenceError
from inncli.models.base import Draws, Model, Observations, PerRow, Scalar, X, Y
from inncli.models.preprocessing import Scaling
from inncli.nn.embedding import Edges, Embedding, Features
from inncli.nn.sharding import row_wise
from inncli.transforms.base import Transform
from inncli.transforms.blocks import block_factory
from inncli.transforms.chain import Chain
from inncli.transforms.class_gaussian import ClassGaussian
from inncli.transforms.linear import LinearGaussian
from inncli.transforms.residual import health
from inncli.types import BlockName, NonNegativeInt, PositiveInt
from inncli.variables import Variables


class ConditionalFlow(Model):
    r"""A normalizing flow, conditional where the task has a y.

    .. math:: z = f_\text{blocks}(f_\text{linear}(f_\text{scale}(x); y); e(y)), \quad
        \log p(x | y) = \log N(z; 0, I) + \log|\det \partial z / \partial x|

    * scale: a column at a time, set from the data and saved: heaps spread, bounds opened,
      robust standardisation (`transforms.marginal`).
    * linear: the linear-Gaussian fit of x given y in closed form, trainable from there.
    * blocks: `n_blocks` of `block`, started as the identity.

    Args:
        block: a name of `transforms.blocks.BLOCKS`, or `block(dim, dim_context, seed=...)`, which gives one Transform.
        n_blocks: how many of them.
        first: one more Transform below the blocks, `first(dim, dim_context)`.
        last: one more Transform on top, `last(dim, dim_context)`.
        bounds: how bounded unknowns stay in their box. `logit` maps the box to the real line;
            `truncate` draws again what falls outside and renormalises the density; `clip`, for recorded columns,
            records it as the bound, and what the density has outside is lost to it.
        linear_start: False leaves the linear layer out; class gives each label of y a covariance of its own
            (`ClassGaussian`).
        ignore_y: True learns p(x), whatever y: what a model that does look at y has to beat.
        power: True also takes a power of each column against skew and heavy tails (`PowerMap`), the last of the
            scalings.

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
        bounds: Literal["logit", "truncate", "clip"] = "logit",
        linear_start: bool | Literal["class"] = True,
        power: bool = False,
        ignore_y: bool = False,
        first: Callable[..., Transform] | None = None,
    ) -> None:
        super().__init__(x, y)
        self.ignores_y = ignore_y
        y = None if ignore_y else y
        dim = x.dim
        self.scale = Scaling(x, bounds, power)
        self.features = None if y is None else Features(y)
        dim_features = 0 if self.features is None else self.features.dim_out
        bounded = y is not None and any(bound is not None for pair in y.bounds for bound in pair)
        self.edges = Edges(y) if y is not None and bounded else None
        dim_seen = dim_features + (0 if self.edges is None else self.edges.dim_out)
        self.embedding = None if y is None else Embedding(dim_seen, dim_embedding)
        dim_context = 0 if self.embedding is None else self.embedding.dim_out
        self.linear = _linear(dim, y, dim_features, linear_start)
        make_block = block_factory(block)
        blocks = [make_block(dim, dim_context, seed=k) for k in range(n_blocks)]
        below, above = ([make(dim, dim_context)] if make else [] for make in (first, last))
        self.blocks = Chain(dim, [*below, *blocks, *above])
        self.register_load_state_dict_pre_hook(_from_first_format)

    has_latent = True
    graph_capturable = True

    # x in the user's units <-> z

    @row_wise
    def _to_z(self, x: X, y: Y) -> tuple[X, PerRow]:
        scaled, ladj = self.scale(x.double())
        features, context = self._context(y)
        z, ladj = scaled.to(self._dtype), ladj.to(self._dtype)
        if self.linear is not None:
            z, more = self.linear(z, features)
            ladj = ladj + more
        z, more = self.blocks(z, context)
        return z, ladj + more

    @row_wise
    def _to_x(self, z: X, y: Y) -> tuple[X, PerRow]:
        features, context = self._context(y)
        z, ladj = self.blocks.inverse(z, context)
        if self.linear is not None:
            z, more = self.linear.inverse(z, features)
            ladj = ladj + more
        x, more = self.scale.inverse(z.double())
        return x, ladj + more

    def _context(self, y: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        if y is None or self.ignores_y:
            return None, None
        assert self.features is not None and self.embedding is not None  # a model of x given y has both
        features = seen = self.features(y.double()).to(self._dtype)
        if self.edges is not None:
            seen = torch.cat([features, self.edges(y.double()).to(self._dtype)], 1)
        return features, self.embedding(seen)

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.blocks.parameters()).dtype

    # the contract

    @torch.no_grad()
    def initialise(self, x: X, y: Y, generator: torch.Generator) -> None:
        """Scalings, the linear layer in closed form, and the blocks' own data-dependent starts."""
        if y is not None and self.features is not None:
            self.features.initialise(y)
        if y is not None and self.edges is not None:
            self.edges.initialise(y)
        scaled = self.scale.initialise(self.scale.dequantise(x, generator)).to(self._dtype)
        features, context = self._context(y)
        if self.linear is not None:
            scaled = self.linear.initialise(scaled, features)
        if self.blocks.starts_from_data:
            self.blocks.initialise(scaled, context)

    def log_prob(self, x: X, y: Y) -> PerRow:
        """Log p(x | y) of the dequantised x, (rows,), in nats; -inf outside the box."""
        inside = self.scale.covers(x)
        x = self.scale.clamp(x)
        z, ladj = self._to_z(x, y)
        inside &= z.isfinite().all(1)  # a row so far out that the blocks overflow has no density left
        log_prob = _standard_normal(z) + ladj
        if self._truncates:
            log_prob = log_prob - self._log_mass_inside(y, x.shape[0]).to(log_prob.dtype)
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
            x = self._redraw_outside(x, rows, generator)
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
            scaled = self.scale(x.double())[0]
            back = self.scale(self._to_x(self._to_z(x, y)[0], y)[0])[0]
        return {"invertibility_error": float((back - scaled).abs().max()), **health(self.blocks)}

    def _draw(self, y: Y, rows: int, generator: torch.Generator) -> X:
        z = torch.randn(rows, self.dim, generator=generator, dtype=self._dtype, device=generator.device)
        # In chunks that stay in the processor's cache: less than half the time of one large batch.
        parts = zip(z.split(4096), [None] * rows if y is None else y.split(4096), strict=False)
        return torch.cat([self._to_x(z_part, y_part)[0] for z_part, y_part in parts])

    # truncation to the box

    @property
    def _truncates(self) -> bool:
        return any(bound is not None for pair in self.scale.truncated.bounds for bound in pair)

    def _redraw_outside(self, x: X, y: Y, generator: torch.Generator) -> X:
        outside = self.scale.outside(x)
        for _ in range(1000):
            rows = outside.nonzero().squeeze(1)
            if len(rows) == 0:
                return x
            x[rows] = self._draw(None if y is None else y[rows], len(rows), generator)
            outside[rows] = self.scale.outside(x[rows])
        raise ConvergenceError(
            f"{int(outside.sum())} of {len(x)} draws fell outside x_bounds 1,000 times over; "
            "train with model.bounds=logit"
        )

    @torch.no_grad()
    def _log_mass_inside(self, y: Y, rows: int, n: int = 2000) -> PerRow:
        """Monte Carlo estimate of log P(x in box | y), with a fixed seed.

        n draws a distinct y, then n more, up to 100 times, until 400 of them are inside: a relative error
        of a twentieth, unless less than 1/500 of the mass is inside.

        Raises: ConvergenceError if none is.
        """
        if y is None:
            distinct, where = None, self.scale.step.new_zeros(rows, dtype=torch.long)
        else:
            distinct, where = torch.unique(y, dim=0, return_inverse=True)
        n_obs = 1 if distinct is None else len(distinct)
        generator = torch.Generator(self.scale.step.device).manual_seed(0)
        hits, drawn = self.scale.step.new_zeros(n_obs), self.scale.step.new_zeros(n_obs)
        for _ in range(100):
            few = (hits < 400).nonzero().squeeze(1)
            if len(few) == 0:
                break
            repeated = None if distinct is None else distinct[few].repeat_interleave(n, 0)
            inside = ~self.scale.outside(self._draw(repeated, len(few) * n, generator))
            hits[few] += inside.reshape(len(few), n).sum(1)
            drawn[few] += n
        if (hits == 0).any():
            raise ConvergenceError(
                f"none of {int(drawn.max()):,} draws fell inside x_bounds, so that the density can't be "
                "renormalised; train with model.bounds=logit"
            )
        return (hits / drawn).log()[where]


def _linear(dim: int, y: Variables | None, dim_features: int, start: bool | str) -> LinearGaussian | None:
    """The closed-form layer that `linear_start` asks for."""
    if start != "class":
        return LinearGaussian(dim, dim_features) if start else None
    columns = () if y is None else y.labels
    labelled = [i for i, labels in enumerate(columns) if labels is not None]
    if len(labelled) != 1:
        raise ConfigError(
            f"model.linear_start=class needs one column of labels in y, this task has {len(labelled)}; pass true"
        )
    (i,) = labelled
    sizes = [1 if labels is None else len(labels) for labels in columns]
    return ClassGaussian(dim, dim_features, sizes[i], first=sum(sizes[:i]))


def _standard_normal(z: X) -> PerRow:
    """Log density of N(0, I) at each row."""
    return -0.5 * z.square().sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)


def _from_first_format(model: ConditionalFlow, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Runs of the first release kept these buffers of the scaling on the model itself."""
    for name in ("step", "low", "high"):
        if prefix + name in state:
            state[f"{prefix}scale.{name}"] = state.pop(prefix + name)
