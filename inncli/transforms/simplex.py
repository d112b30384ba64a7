"""A map between the simplex and the real plane of the same dimension."""

from __future__ import annotations

import torch
from torch import Tensor

from inncli.transforms.base import Transform


class Simplex(Transform):
    r"""Log-ratios to the last share, :math:`z_k = \log x_k - \log x_K`; the inverse is a softmax.

    .. math:: x_k = \frac{e^{z_k}}{1 + \sum_{j<K} e^{z_j}}, \quad x_K = 1 - \sum_{k<K} x_k, \quad
        \log|\det \partial x / \partial z| = \sum_{k=1}^{K} \log x_k

    The columns are the first K - 1 shares of a whole, so that a density has a unit: that of
    Lebesgue measure on them. It computes in float64, since x_K is a difference. Rows on a face are
    moved inward by 1e-12; rows outside have no image (NaN), a density is 0 there.

    Shape: x, z (B, K - 1); log_abs_det_jacobian (B,).
    Reference: Aitchison 1982, The statistical analysis of compositional data.
    """

    inward = 1e-12
    # The rounded sum of the shares never passes 1 if each is this much smaller.
    shrink = 1 - 1e-14

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        xd = x.double()
        last = 1 - xd.sum(1, keepdim=True)
        shares = torch.cat([xd, last], 1)
        outside = (shares < 0).any(1, keepdim=True)
        log_x = torch.where(outside, torch.nan, shares.clamp_min(self.inward).log())
        return (log_x[:, :-1] - log_x[:, -1:]).to(x.dtype), -log_x.sum(1).to(x.dtype)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        zd = z.double()
        log_x = torch.log_softmax(torch.cat([zd, zd.new_zeros(len(zd), 1)], 1), 1)
        return (log_x[:, :-1].exp() * self.shrink).to(z.dtype), log_x.sum(1).to(z.dtype)
