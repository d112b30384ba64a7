"""The masked net: all conditionals p(x_i | x_1..i-1, c) of an autoregressive model in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from inncli.nn.autocast import subnet


class MaskedLinear(nn.Linear):
    """A linear layer with some weights held at zero, by a mask of shape (dim_out, dim_in).

    Shape: (B, dim_in) to (B, dim_out).
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)
        # Without this a unit of few inputs would start with a smaller output than its neighbours.
        with torch.no_grad():
            fan_in = mask.sum(1, keepdim=True).clamp_min(1).to(self.weight.dtype)
            self.weight.mul_((mask.shape[1] / fan_in).sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """X W^T + b with the masked W."""
        return functional.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    r"""A multilayer perceptron whose i-th outputs see only the inputs before the i-th, and the whole context.

    Every input i has degree i = 1..D, every hidden unit a degree m; a unit sees what has its degree or less, and
    the outputs of i see units and inputs of degree below i. Hidden degrees go round 1..D-1, and from 0 where
    there is a context: units of degree 0 see the context alone. As in `MLP`, the last layer sees its
    permitted inputs and the context beside the hidden layer, and starts at zero.

    With D = 1 it is a plain net of the context; without a context too, one constant row.

    Shape: x (B, dim), context (B, dim_context) or None; out (B, n_out * dim), ordered output by output.
    Reference: Germain et al. 2015, MADE, arXiv:1502.03509.
    """

    def __init__(self, dim: int, dim_context: int, n_out: int, hidden: Sequence[int] = (64, 64)) -> None:
        super().__init__()
        self.dim, self.dim_context = dim, dim_context
        if dim == 1 and dim_context == 0:  # there is no input to depend on
            self.constant = nn.Parameter(torch.zeros(n_out))
            return
        context = torch.zeros(dim_context, dtype=torch.long)  # degree 0: seen by all
        degrees = inputs = torch.cat([torch.arange(1, dim + 1), context])
        first = 0 if dim_context else 1
        layers: list[nn.Module] = []
        for width in hidden:
            units = first + torch.arange(width) % (dim - first)
            layers += [MaskedLinear(units[:, None] >= degrees), nn.ReLU()]
            degrees = units
        self.hidden = nn.Sequential(*layers)
        outputs = torch.arange(1, dim + 1).repeat(n_out)
        self.last = MaskedLinear(outputs[:, None] > torch.cat([degrees, inputs]))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    @subnet
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters of every coordinate: x (B, dim), context (B, dim_context) or None, out (B, n_out * dim)."""
        if self.dim == 1 and self.dim_context == 0:
            return self.constant.expand(x.shape[0], -1)
        seen = x if context is None else torch.cat([x, context], 1)
        return self.last(torch.cat([self.hidden(seen), seen], 1))
