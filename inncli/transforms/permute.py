"""Fixed mixing of the coordinates between couplings: a permutation or a rotation."""

from __future__ import annotations

import torch
from torch import Tensor

from inncli.transforms.base import Context, Moved, Points, Transform


class Permutation(Transform):
    r"""A fixed random permutation, z_i = x_{\pi(i)}; log-det 0.

    Where dim > 1 the identity is never drawn, since it would mix nothing.
    """

    order: Tensor  # (dim,), of int64
    order_back: Tensor

    def __init__(self, dim: int, seed: int = 0) -> None:
        super().__init__(dim)
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(dim, generator=generator)
        while dim > 1 and torch.equal(order, torch.arange(dim)):
            order = torch.randperm(dim, generator=generator)
        self.register_buffer("order", order)
        self.register_buffer("order_back", torch.argsort(order))

    def _forward(self, x: Points, context: Context) -> Moved:
        return x[:, self.order], x.new_zeros(x.shape[0])

    def _inverse(self, z: Points, context: Context) -> Moved:
        return z[:, self.order_back], z.new_zeros(z.shape[0])


class Rotation(Transform):
    r"""A fixed random rotation, z = Q x with Q orthogonal and det Q = 1; log-det 0.

    Q is drawn uniformly (Haar): QR of a Gaussian matrix with the signs of R's diagonal moved
    into Q.

    Reference: Mezzadri 2007, How to generate random matrices from the classical compact groups,
        arXiv:math-ph/0609050.
    """

    q: Tensor  # (dim, dim)

    def __init__(self, dim: int, seed: int = 0) -> None:
        super().__init__(dim)
        generator = torch.Generator().manual_seed(seed)
        gaussian = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
        q, r = torch.linalg.qr(gaussian)
        q = q * torch.sign(torch.diagonal(r))
        if torch.linalg.det(q) < 0:
            q[:, 0] = -q[:, 0]
        self.register_buffer("q", q.to(torch.get_default_dtype()))

    def _forward(self, x: Points, context: Context) -> Moved:
        return x @ self.q.T, x.new_zeros(x.shape[0])

    def _inverse(self, z: Points, context: Context) -> Moved:
        return z @ self.q, z.new_zeros(z.shape[0])
