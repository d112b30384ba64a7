"""A transform used the other way."""

from __future__ import annotations

from torch import Tensor

from inncli.transforms.base import Transform


class Inverse(Transform):
    r"""Forward and inverse of a transform, swapped: :math:`z = f^{-1}(x, c)`, :math:`x = f(z, c)`.

    Of an autoregressive map it makes the inverse autoregressive flow: one pass to draw, one for each
    coordinate to score.

    Reference: Kingma et al. 2016, Improving variational inference with inverse autoregressive flow,
        arXiv:1606.04934.
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__(transform.dim, transform.dim_context)
        self.transform = transform

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.transform.inverse(x, context)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.transform(z, context)
