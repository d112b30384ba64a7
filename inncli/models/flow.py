"""The conditional normalizing flow p(x | y)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from inncli.errors import ConvergenceError
from inncli.hints import NonNegativeInt, PositiveInt
from inncli.models.base import Model
from inncli.nn.embedding import Embedding, Features
from inncli.transforms.base import Transform
from inncli.transforms.chain import Chain
from inncli.transforms.linear import LinearGaussian
from inncli.transforms.marginal import Box, HeapMap, Standardise
from inncli.transforms.residual import health
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
        block: `block(dim, dim_context, seed=...)` gives one Transform.
        last: one more Transform on top, `last(dim, dim_context)`.
        bounds: how bounded unknowns stay in their box. `logit` maps the box to the real line;
            `truncate` draws again what falls outside and renormalises the density.
        linear_start: False leaves the linear layer out.

    Reference: Winkler et al. 2019, Learning likelihoods with conditional normalizing flows,
        arXiv:1912.00042; Papamakarios et al. 2021, Normalizing flows, arXiv:1912.02762.
    """

    def __init__(
        self,
        x: Variables,
        y: Variables | None,
        block: Callable[..., Transform],
        n_blocks: PositiveInt = 8,
        last: Callable[..., Transform] | None = None,
        dim_embedding: NonNegativeInt = 16,
        bounds: Literal["logit", "truncate"] = "logit",
        linear_start: bool = True,
    ) -> None:
        super().__init__(x, y)
        dim, cells = x.dim, _cells(x)
        open_box = ((None, None),) * dim
        # A column with heaps is kept inside its bounds by the heap map itself.
        boxed = tuple((None, None) if heaps else b for b, heaps in zip(cells.bounds, x.heaps))
        self.truncated = replace(cells, bounds=boxed if bounds == "truncate" else open_box)
        box = Box(replace(x, bounds=open_box if bounds == "truncate" else boxed))
        self.scale = Chain(dim, [HeapMap(x), box, Standardise(dim)])
        self.register_buffer("step", torch.tensor(x.steps, dtype=torch.float64))
        self.register_buffer("low", torch.tensor(_numbers(cells, 0, -math.inf), dtype=torch.float64))
        self.register_buffer("high", torch.tensor(_numbers(cells, 1, math.inf), dtype=torch.float64))

        self.features = None if y is None else Features(y)
        dim_features = 0 if y is None else self.features.dim_out
        self.embedding = None if y is None else Embedding(dim_features, dim_embedding)
        dim_context = 0 if y is None else self.embedding.dim_out
        self.linear = LinearGaussian(dim, dim_features) if linear_start else None
        blocks = [block(dim, dim_context, seed=k) for k in range(n_blocks)]
        self.blocks = Chain(dim, [*blocks, *([last(dim, dim_context)] if last else [])])

    # x in the user's units <-> z

    def _to_z(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        scaled, ladj = self.scale(x.double())
        features, context = self._context(y)
        z, ladj = scaled.to(self._dtype), ladj.to(self._dtype)
        if self.linear is not None:
            z, more = self.linear(z, features)
            ladj = ladj + more
        z, more = self.blocks(z, context)
        return z, ladj + more

    def _to_x(self, z: Tensor, y: Tensor | None) -> Tensor:
        features, context = self._context(y)
        z = self.blocks.inverse(z, context)[0]
        if self.linear is not None:
            z = self.linear.inverse(z, features)[0]
        return self.scale.inverse(z.double())[0]

    def _context(self, y: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        if y is None:
            return None, None
        features = self.features(y.double()).to(self._dtype)
        return features, self.embedding(features)

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.blocks.parameters()).dtype

    # the contract

    @torch.no_grad()
    def initialise(self, x: Tensor, y: Tensor | None, generator: torch.Generator) -> None:
        """Scalings, the linear layer in closed form, and the blocks' own data-dependent starts."""
        if y is not None:
            self.features.initialise(y)
        scaled = self.scale.initialise(self.dequantise(x, generator)).to(self._dtype)
        features, context = self._context(y)
        if self.linear is not None:
            scaled = self.linear.initialise(scaled, features)
        self.blocks.initialise(scaled, context)

    def dequantise(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """x moved uniformly within its recording cells; continuous columns as they are. (B, Dx)."""
        if not self.step.any():
            return x.double()
        u = torch.rand(x.shape, generator=generator, dtype=torch.float64, device=x.device)
        return x.double() + self.step * (u - 0.5)

    def record(self, x: Tensor) -> Tensor:
        """x as it would be recorded: the nearest multiple of the step, where there is one."""
        step = torch.where(self.step > 0, self.step, 1.0)
        per_unit = torch.round(1 / step)
        # Dividing by 10 gives the double closest to 0.3; multiplying by 0.1 does not.
        decimal = (per_unit * step - 1).abs() < 1e-9
        # The whole steps inside the bounds; half a step at most is lost where a bound is no whole step.
        low, high = (self.low + step / 2) / step, (self.high - step / 2) / step
        k = torch.minimum(torch.maximum(torch.round(x / step), torch.ceil(low - 1e-6)), torch.floor(high + 1e-6))
        grid = torch.where(decimal, k / per_unit, k * step) + 0.0  # -0.0 becomes 0.0
        return torch.where(self.step > 0, grid, x)

    def log_prob(self, x: Tensor, y: Tensor | None) -> Tensor:
        """log p(x | y) of the dequantised x, -inf outside the box. (B,)."""
        inside = ~self._outside(x) & self.scale.parts[0].covers(x)
        x = torch.minimum(torch.maximum(x.double(), self.low), self.high)
        z, ladj = self._to_z(x, y)
        inside &= z.isfinite().all(1)  # so far out that the blocks overflow: no density is left
        log_prob = _standard_normal(z) + ladj
        if self._truncates:
            log_prob = log_prob - self._log_mass_inside(y, x.shape[0]).to(log_prob.dtype)
        return torch.where(inside, log_prob, -math.inf)

    def loss(self, x: Tensor, y: Tensor | None, generator: torch.Generator) -> Tensor:
        """Mean negative log-likelihood of the dequantised rows, in nats."""
        z, ladj = self._to_z(self.dequantise(x, generator), y)
        return -(_standard_normal(z) + ladj).mean()

    @torch.no_grad()
    def sample(self, y: Tensor | None, n: int, generator: torch.Generator) -> Tensor:
        """n draws for each row of y, (n_obs, n, Dx), inside the box and on the recording grid.

        Raises: ConvergenceError if a y is so far from the training ys that the blocks overflow, or if
            truncation finds no draw inside the box.
        """
        n_obs = 1 if y is None else y.shape[0]
        rows = None if y is None else y.repeat_interleave(n, 0)
        x = self._draw(rows, n_obs * n, generator)
        bad = int((~x.isfinite().all(1)).sum())
        if bad:
            raise ConvergenceError(
                f"{bad} of {len(x)} draws are not finite: y is too far from what training saw; check its units")
        if self._truncates:
            x = self._redraw_outside(x, rows, generator)
        return self.record(x).reshape(n_obs, n, self.dim)

    def diagnostics(self, x: Tensor, y: Tensor | None) -> dict[str, float]:
        """`invertibility_error`: max abs of inverse(forward(x)) - x over sd, at these rows; certificates of blocks."""
        with torch.no_grad():
            scaled = self.scale(x.double())[0]
            back = self.scale(self._to_x(self._to_z(x, y)[0], y))[0]
        return {"invertibility_error": float((back - scaled).abs().max()), **health(self.blocks)}

    def _draw(self, y: Tensor | None, rows: int, generator: torch.Generator) -> Tensor:
        z = torch.randn(rows, self.dim, generator=generator, dtype=self._dtype, device=generator.device)
        # In chunks that stay in the processor's cache: less than half the time of one large batch.
        parts = zip(z.split(4096), [None] * rows if y is None else y.split(4096))
        return torch.cat([self._to_x(z_part, y_part) for z_part, y_part in parts])

    # truncation to the box

    @property
    def _truncates(self) -> bool:
        return any(bound is not None for pair in self.truncated.bounds for bound in pair)

    def _outside(self, x: Tensor) -> Tensor:
        return ~((x >= self.low) & (x <= self.high)).all(1)  # so that NaN is outside

    def _redraw_outside(self, x: Tensor, y: Tensor | None, generator: torch.Generator) -> Tensor:
        outside = self._outside(x)
        for _ in range(1000):
            rows = outside.nonzero().squeeze(1)
            if len(rows) == 0:
                return x
            x[rows] = self._draw(None if y is None else y[rows], len(rows), generator)
            outside[rows] = self._outside(x[rows])
        raise ConvergenceError(
            f"{int(outside.sum())} of {len(x)} draws fell outside x_bounds 1,000 times over; "
            "train with model.bounds=logit"
        )

    @torch.no_grad()
    def _log_mass_inside(self, y: Tensor | None, rows: int, n: int = 2000) -> Tensor:
        """Monte Carlo estimate of log P(x in box | y), with a fixed seed.

        n draws a distinct y, then n more, up to 100 times, until 400 of them are inside: a relative error
        of a twentieth, unless less than 1/500 of the mass is inside.

        Raises: ConvergenceError if none is.
        """
        if y is None:
            distinct, where = None, self.step.new_zeros(rows, dtype=torch.long)
        else:
            distinct, where = torch.unique(y, dim=0, return_inverse=True)
        n_obs = 1 if distinct is None else len(distinct)
        generator = torch.Generator(self.step.device).manual_seed(0)
        hits, drawn = self.step.new_zeros(n_obs), self.step.new_zeros(n_obs)
        for _ in range(100):
            few = (hits < 400).nonzero().squeeze(1)
            if len(few) == 0:
                break
            repeated = None if distinct is None else distinct[few].repeat_interleave(n, 0)
            inside = ~self._outside(self._draw(repeated, len(few) * n, generator))
            hits[few] += inside.reshape(len(few), n).sum(1)
            drawn[few] += n
        if (hits == 0).any():
            raise ConvergenceError(
                f"none of {int(drawn.max()):,} draws fell inside x_bounds, so that the density can't be "
                "renormalised; train with model.bounds=logit")
        return (hits / drawn).log()[where]


def _standard_normal(z: Tensor) -> Tensor:
    return -0.5 * z.square().sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)


def _cells(x: Variables) -> Variables:
    """The bounds of the dequantised x: half a step wider than those of the recorded one."""
    half = [step / 2 for step in x.steps]
    bounds = tuple(
        (None if low is None else low - h, None if high is None else high + h)
        for (low, high), h in zip(x.bounds, half)
    )
    return replace(x, bounds=bounds)


def _numbers(x: Variables, side: int, absent: float) -> list[float]:
    return [absent if pair[side] is None else pair[side] for pair in x.bounds]
