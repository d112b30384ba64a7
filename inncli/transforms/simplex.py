"""A map between the simplex and the real plane of the same dimension."""

from __future__ import annotations

import torch

from inncli.transforms.base import Context, Moved, Points, Transform


class Simplex(Transform):
    r"""Log-ratios to the last share, :math:`z_k = \log x_k - \log x_K`; the inverse is a softmax.

    .. math:: x_k = \frac{e^{z_k}}{1 + \sum_{j<K} e^{z_j}}, \quad x_K = 1 - \sum_{k<K} x_k, \quad
        \log|\det \partial x / \partial z| = \sum_{k=1}^{K} \log x_k

    The columns are the first K - 1 shares of a whole, so that a density has a unit: that of
    Lebesgue measure on them. It computes in float64, since x_K is a difference. Rows on a face or
    outside have no image (NaN): a density is 0 there, and the model says so.

    Shape: x, z (B, K - 1); log_abs_det_jacobian (B,).
    Reference: Aitchison 1982, The statistical analysis of compositional data.
    """

    rounding = 1e-14  # of the sum of the shares, however many: a smaller x_K has no digit

    def _forward(self, x: Points, context: Context) -> Moved:
        xd = x.double()
        last = 1 - xd.sum(1, keepdim=True)
        shares = torch.cat([xd, last], 1)
        inside = (shares > 0).all(1, keepdim=True) & (last > self.rounding / 2)
        log_x = torch.where(inside, shares, torch.nan).log()
        return (log_x[:, :-1] - log_x[:, -1:]).to(x.dtype), -log_x.sum(1).to(x.dtype)

    def _inverse(self, z: Points, context: Context) -> Moved:
        zd = z.double()
        log_x = torch.log_softmax(torch.cat([zd, zd.new_zeros(len(zd), 1)], 1), 1)
        x = log_x[:, :-1].exp() * (1 - self.rounding)  # so that no draw's sum is rounded to 1
        return x.to(z.dtype), log_x.sum(1).to(z.dtype)
