"""Fewer numbers that stand for very many features of y."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inncli.numerics.ridge import rows_for
from inncli.types import Float

PREDICTIONS = 32  # the most that say what is linear in x


class Components(nn.Module):
    r"""Linear combinations of the features of y: what they say of x linearly, then their principal components.

    .. math:: c = P (f - m), \qquad P = [\text{axes of } A f; \; \text{axes of } f]

    A is the linear fit of x. Where y has more columns than there are rows a net that sees all of them learns the
    noise of each row by heart; of a smooth curve a few components hold all. Set from the data, not trainable.

    Shape: f (B, dim_in) to c (B, dim_out); of these `dim_x`, and at most 32, come from the fit.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, dim_in: int, dim_out: int, dim_x: int) -> None:
        super().__init__()
        self.dim_out, self.dim_predictions = dim_out, min(dim_x, PREDICTIONS)
        self.register_buffer("mean", torch.zeros(dim_in, dtype=torch.float64))
        self.register_buffer("axes", torch.zeros(dim_out, dim_in, dtype=torch.float64))

    @torch.no_grad()
    def initialise(self, f: Float[Tensor, "rows dim_in"], a: Float[Tensor, "dim dim_in"]) -> None:
        """Sets the axes from features of training ys and the linear fit of x on them; each component gets sd 1."""
        f = f[: rows_for(len(f), f.shape[1])]
        self.mean.copy_(f.mean(0))
        f = f - self.mean
        predictions = f @ a.T
        turn = torch.linalg.svd(predictions, full_matrices=False).Vh[: self.dim_predictions]
        axes = torch.zeros_like(self.axes)
        axes[: len(turn)] = turn @ a
        rest = self.dim_out - self.dim_predictions
        if rest:
            found = torch.linalg.svd(f, full_matrices=False).Vh[:rest]
            axes[self.dim_predictions : self.dim_predictions + len(found)] = found
        sd = (f @ axes.T).std(0, correction=0)
        self.axes.copy_(axes / torch.where(sd > 0, sd, 1.0)[:, None])

    def forward(self, f: Tensor) -> Tensor:
        """The components of each row, (B, dim_out)."""
        return (f.to(self.mean.dtype) - self.mean) @ self.axes.T


def number_of_components(f: Float[Tensor, "rows dim_in"], most: int = 16) -> int:
    r"""How many principal components of f are more than noise.

    A component counts while its variance is above the largest one of the same columns, each shuffled by itself.

    Reference: Horn 1965, A rationale and test for the number of factors in factor analysis.
    """
    f = (f - f.mean(0)) / torch.where(f.std(0, correction=0) > 0, f.std(0, correction=0), 1.0)
    generator = torch.Generator().manual_seed(0)
    order = torch.rand(f.shape, generator=generator, dtype=f.dtype).to(f.device).argsort(0)
    noise = torch.linalg.svdvals(f.gather(0, order)).amax()
    return min(int((torch.linalg.svdvals(f) > noise).sum()), most)
