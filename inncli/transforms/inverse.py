"""A transform used the other way."""

from __future__ import annotations

from inncli.transforms.base import Context, Moved, Points, Transform


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

    def _forward(self, x: Points, context: Context) -> Moved:
        return self.transform.inverse(x, context)

    def _inverse(self, z: Points, context: Context) -> Moved:
        return self.transform(z, context)
