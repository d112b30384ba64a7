"""The embedding of y: from the user's numbers and labels to the context of the transforms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from inncli.errors import DataError
from inncli.nn.autocast import subnet
from inncli.variables import Variables


class Features(nn.Module):
    """y as plain features: numbers standardised, labels one-hot. It has nothing to train.

    Mean and sd come from the training data and live in the saved state.

    Shape: y (B, Dy) with label codes in categorical columns; features (B, dim_out).
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, y: Variables) -> None:
        super().__init__()
        self.names = y.names
        self.sizes = [0 if labels is None else len(labels) for labels in y.labels]
        self.dim_out = sum(max(size, 1) for size in self.sizes)
        self.register_buffer("mean", torch.zeros(y.dim, dtype=torch.float64))
        self.register_buffer("sd", torch.ones(y.dim, dtype=torch.float64))

    @property
    def unit(self) -> Tensor:
        """The size of 1 in each feature: a number's sd in its own unit, 1 for a label. Shape: (dim_out,)."""
        return self.spread(self.sd)

    def spread(self, columns: Tensor) -> Tensor:
        """Repeats one number for each column of y, (Dy,), as one for each feature, (dim_out,)."""
        return columns.repeat_interleave(torch.tensor([max(size, 1) for size in self.sizes], device=columns.device))

    @torch.no_grad()
    def initialise(self, y: Tensor) -> None:
        """Takes mean and sd from the training ys, (n, Dy); a constant column keeps sd 1.

        Raises: DataError if a number is so large that its square overflows: all others would look alike.
        """
        sd = y.double().std(0, correction=0)
        if not sd.isfinite().all():
            i = int((~sd.isfinite()).nonzero()[0])
            raise DataError(
                f"y column {self.names[i]!r} reaches {float(y[:, i].abs().max()):g}, which is too "
                "large to scale; look for outliers, or give it in a larger unit"
            )
        number = torch.tensor([size == 0 for size in self.sizes], device=y.device)
        self.mean.copy_(torch.where(number, y.double().mean(0), self.mean))
        self.sd.copy_(torch.where(number & (sd > 0), sd, self.sd))

    def forward(self, y: Tensor) -> Tensor:
        """Features of each row, (B, dim_out), in y's dtype."""
        scaled = (y.double() - self.mean) / self.sd
        columns = [
            nn.functional.one_hot(y[:, i].long(), size).to(scaled.dtype) if size else scaled[:, i : i + 1]
            for i, size in enumerate(self.sizes)
        ]
        return torch.cat(columns, 1).to(y.dtype)


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


class Embedding(nn.Module):
    """Features beside a learned function of them: [f, g(f)], so that couplings see both.

    Shape: (B, dim_in) to (B, dim_in + dim_learned).
    """

    def __init__(self, dim_in: int, dim_learned: int, hidden: Sequence[int] = (64,)) -> None:
        super().__init__()
        self.dim_out = dim_in + dim_learned
        layers: list[nn.Module] = []
        widths = [dim_in, *hidden]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(widths[-1], dim_learned)) if dim_learned else None

    @subnet
    def forward(self, features: Tensor) -> Tensor:
        """The context: (B, dim_in) to (B, dim_out)."""
        return features if self.net is None else torch.cat([features, self.net(features)], 1)
