"""The features of y: from the user's numbers and labels to what nets can take. Nothing here is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inncli.errors import DataError
from inncli.numerics.deviation import standard_deviation
from inncli.types import Float
from inncli.variables import Variables

# What may stand for a column of numbers; see `Features`.
PLAIN, WIDE, CLIPPED, LOG, RANK = "plain", "wide", "clipped", "log", "rank"
ROBUST = (CLIPPED, LOG, RANK)
FEATURES = (PLAIN, WIDE, *ROBUST)
CLIP = 6.0  # sds of a normal; next to no ordinary value lies beyond
RANKS = 65  # knots of a rank map
LARGEST = 1e300  # differences and sums of larger numbers overflow


class Features(nn.Module):
    r"""y as plain features: numbers scaled, labels one-hot.

    A column of numbers is standardised (`plain`). One that spans decades, has heavy tails or holds a sentinel
    would be a constant then; three features take its place:

    * `clipped`: the distance from the median in sds of a normal of the same quartiles, cut at 6,
    * `log`: :math:`\mathrm{asinh}((y - c) / 2u)`, c the bound or 0, u the size of its small values,
    * `rank`: the normal score of the value's rank among the training values,

    and, where it serves the linear layer, `wide`: the column standardised, which no net is shown.

    Statistics come from the training data and live in the saved state.

    A model that has y as its output needs one number for each column: `plain` or `log`, which have an inverse.

    Args:
        y: the columns; `y.features` names the features of each, () is `plain`.

    Shape: y (B, Dy) with label codes in categorical columns; features (B, dim_out).
    """

    mean: Tensor
    sd: Tensor
    _shown: Tensor

    def __init__(self, y: Variables) -> None:
        super().__init__()
        self.names = y.names
        self.sizes = [0 if labels is None else len(labels) for labels in y.labels]
        named = [kinds or (PLAIN,) for kinds in y.features]
        self.kinds = [() if size else tuple(kinds) for size, kinds in zip(self.sizes, named, strict=True)]
        self.register_buffer("mean", torch.zeros(y.dim, dtype=torch.float64))
        self.register_buffer("sd", torch.ones(y.dim, dtype=torch.float64))
        self.robust = nn.ModuleDict(
            {
                str(i): _RobustColumn(y.bounds[i])
                for i, kinds in enumerate(self.kinds)
                if any(kind in ROBUST for kind in kinds)
            }
        )
        self.widths = [size or len(kinds) for size, kinds in zip(self.sizes, self.kinds, strict=True)]
        flat = [
            kind for width, kinds in zip(self.widths, self.kinds, strict=True) for kind in kinds or (PLAIN,) * width
        ]
        shown = [k for k, kind in enumerate(flat) if kind != WIDE]
        self.dim_out, self.dim_shown = len(flat), len(shown)
        self.register_buffer("_shown", torch.tensor(shown), persistent=False)

    def first(self, column: int) -> int:
        """The place of a column's first feature among those that `shown` gives."""
        return sum(
            width - kinds.count(WIDE) for width, kinds in zip(self.widths[:column], self.kinds[:column], strict=True)
        )

    def known_noise(self, sd: Float[Tensor, " dim_y"]) -> Float[Tensor, " dim_out"]:
        """The noise of each feature where y has this one, in its own units; 0 where it is not the same everywhere."""
        scaled = sd / self.sd
        even = [width * [kinds in ((), (PLAIN,))] for width, kinds in zip(self.widths, self.kinds, strict=True)]
        return self._spread(scaled) * torch.tensor(sum(even, []), device=sd.device)

    def apart(
        self, a: Float[Tensor, "rows dim_out"], b: Float[Tensor, "rows dim_out"]
    ) -> Float[Tensor, "rows dim_out"]:
        """How far two ys that are have one number a column lie apart, a - b, in y's units and float64; labels as is."""
        off = (a - b).double() * self._spread(self.sd)
        for i, column in self.robust.items():
            assert isinstance(column, _RobustColumn) and self.kinds[int(i)] == (LOG,)
            k = sum(self.widths[: int(i)])
            off[:, k] = column.from_log(a[:, k].double()) - column.from_log(b[:, k].double())
        return off

    def _spread(self, columns: Tensor) -> Tensor:
        """Repeats one number for each column of y, (Dy,), as one for each feature, (dim_out,)."""
        return columns.repeat_interleave(torch.tensor(self.widths, device=columns.device))

    @torch.no_grad()
    def initialise(self, y: Tensor) -> None:
        """Takes its statistics from the training ys, (n, Dy); a constant column keeps sd 1.

        Raises: DataError if a number is so large that a sum of a few such numbers overflows.
        """
        largest = y.double().abs().amax(0)
        if largest.max() > LARGEST:
            i = int(largest.argmax())
            raise DataError(
                f"y column {self.names[i]!r} reaches {float(largest[i]):g}, which is too "
                "large to scale; look for outliers, or give it in a larger unit"
            )
        sd = standard_deviation(y.double())
        number = torch.tensor([size == 0 for size in self.sizes], device=y.device)
        self.mean.copy_(torch.where(number, y.double().mean(0), self.mean))
        self.sd.copy_(torch.where(number & (sd > 0), sd, self.sd))
        for place, column in self.robust.items():
            assert isinstance(column, _RobustColumn)
            column.initialise(y[:, int(place)].double())

    def forward(self, y: Tensor) -> Tensor:
        """Features of each row, (B, dim_out), in y's dtype."""
        scaled = (y.double() - self.mean) / self.sd
        columns = []
        for i, (size, kinds) in enumerate(zip(self.sizes, self.kinds, strict=True)):
            if size:
                columns.append(nn.functional.one_hot(y[:, i].long(), size).to(scaled.dtype))
                continue
            robust = self.robust[str(i)](y[:, i].double()) if str(i) in self.robust else {}
            columns += [robust.get(kind, scaled[:, i])[:, None] for kind in kinds]
        return torch.cat(columns, 1).to(y.dtype)

    def shown(self, features: Tensor) -> Tensor:
        """Those that a net may see, (B, dim_shown): without `wide`, which may be very large."""
        return features if self.dim_shown == self.dim_out else features[:, self._shown]


class _RobustColumn(nn.Module):
    """The robust features of one column, by name; see `Features`."""

    centre: Tensor
    spread: Tensor
    small: Tensor
    log_scale: Tensor
    knots: Tensor
    scores: Tensor

    def __init__(self, bound: tuple[float | None, float | None]) -> None:
        super().__init__()
        low, high = bound
        self.origin = low if low is not None else high if high is not None else 0.0
        for name, value in (("centre", 0.0), ("spread", 1.0), ("small", 1.0)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))
        self.register_buffer("log_scale", torch.tensor([0.0, 1.0], dtype=torch.float64))  # mean and sd of the logs
        start = torch.linspace(-3, 3, RANKS, dtype=torch.float64)
        self.register_buffer("knots", start)  # of the log
        self.register_buffer("scores", start.clone())

    @torch.no_grad()
    def initialise(self, y: Float[Tensor, " rows"]) -> None:
        """Takes its statistics from the training values."""
        quartiles = torch.quantile(y[:10_000_000], torch.tensor([0.25, 0.5, 0.75], dtype=y.dtype, device=y.device))
        self.centre.copy_(quartiles[1])
        distance = (y - self.centre).abs()
        apart = distance[distance > 0]
        spread = (quartiles[2] - quartiles[0]) / 1.349
        if spread <= 0 and len(apart):  # half of the values are one
            spread = apart.median()
        self.spread.fill_(float(spread) if spread > 0 else 1.0)
        size = (y - self.origin).abs()
        size = size[size > 0]
        if len(size):
            self.small.fill_(max(float(torch.quantile(size[:10_000_000], 0.01)), 1e-290))
        logs = self._log(y)
        sd = logs.std(correction=0)
        self.log_scale[0], self.log_scale[1] = logs.mean(), torch.where(sd > 0, sd, 1.0)
        self._set_ranks(logs)

    def _set_ranks(self, logs: Tensor) -> None:
        """Knots at quantiles of the logs. Values that are alike share one knot, at the score of their mean rank."""
        values, counts = torch.unique(logs, return_counts=True)
        below = counts.cumsum(0) - counts
        scores = torch.special.ndtri((below + 0.5 * counts) / len(logs))
        if len(values) > RANKS:
            wanted = torch.linspace(
                float(scores[0]), float(scores[-1]), RANKS, dtype=scores.dtype, device=scores.device
            )
            picked = torch.unique(torch.searchsorted(scores, wanted).clamp_max(len(values) - 1))
            values, scores = values[picked], scores[picked]
        pad = RANKS - len(values)
        # Knots beyond the last carry on in steps that no value reaches.
        more = values[-1] + (1 + values[-1].abs()) * torch.arange(1, pad + 1, dtype=values.dtype, device=values.device)
        self.knots.copy_(torch.cat([values, more * 1e6 if pad else more]))
        self.scores.copy_(torch.cat([scores, scores[-1:].expand(pad)]))

    def _log(self, y: Tensor) -> Tensor:
        return torch.asinh(((y - self.origin) / (2 * self.small)).clamp(-LARGEST, LARGEST))

    def from_log(self, feature: Float[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """The values whose feature `log` is this."""
        return self.origin + 2 * self.small * torch.sinh(self.log_scale[0] + self.log_scale[1] * feature)

    def forward(self, y: Float[Tensor, " rows"]) -> dict[str, Tensor]:
        """The features of each value, by name."""
        log = self._log(y)
        k = (torch.searchsorted(self.knots, log.contiguous(), right=True) - 1).clamp(0, RANKS - 2)
        share = ((log - self.knots[k]) / (self.knots[k + 1] - self.knots[k])).clamp(0, 1)
        return {
            CLIPPED: ((y - self.centre) / self.spread).clamp(-CLIP, CLIP),
            LOG: (log - self.log_scale[0]) / self.log_scale[1],
            RANK: torch.lerp(self.scores[k], self.scores[k + 1], share),
        }


class Edges(nn.Module):
    r"""The distance of each bounded column of y from its bounds, on a logarithmic scale.

    .. math:: \log(y - \mathrm{low}), \quad \log(\mathrm{high} - y)

    Near a bound of y that no x can pass, p(x | y) often shrinks by a power of the distance: the angles of an
    outstretched arm lie within its square root. y itself hardly shows that. The logarithms are standardised by the
    training ys; a y at its bound, or beyond, counts as 1e-12 away from it, in the unit of y.

    Shape: y (B, Dy); out (B, dim_out), one column a bound.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, y: Variables) -> None:
        super().__init__()
        # distance = sign * (y - bound)
        self.ends = [
            (i, bound, sign)
            for i, pair in enumerate(y.bounds)
            for bound, sign in zip(pair, (1.0, -1.0), strict=True)
            if bound is not None
        ]
        self.dim_out = len(self.ends)
        self.register_buffer("mean", torch.zeros(self.dim_out, dtype=torch.float64))
        self.register_buffer("sd", torch.ones(self.dim_out, dtype=torch.float64))

    def _log_distances(self, y: Tensor) -> Tensor:
        distances = [sign * (y[:, i].double() - bound) for i, bound, sign in self.ends]
        return torch.stack(distances, 1).clamp_min(1e-12).log()

    @torch.no_grad()
    def initialise(self, y: Tensor) -> None:
        """Takes mean and sd of the log distances from the training ys, (n, Dy); a constant column keeps sd 1."""
        logs = self._log_distances(y)
        sd = logs.std(0, correction=0)
        self.mean.copy_(logs.mean(0))
        self.sd.copy_(torch.where(sd > 0, sd, 1.0))

    def forward(self, y: Tensor) -> Tensor:
        """The standardised log distances, (B, dim_out), in y's dtype."""
        return ((self._log_distances(y) - self.mean) / self.sd).to(y.dtype)
