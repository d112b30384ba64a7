r"""The rows of a batch, shared out between processes that train one model together.

A function of rows is marked `row_wise`: row i of what it returns depends on row i of what it takes. While the rows are
`shared_out`, each process computes its own part of them, and the parts are gathered: what comes after (a mean, a kernel
between all pairs of rows, a penalty) is that of the joined batch, in every process alike, and so is the noise, which is
drawn for the joined batch before. What isn't marked is computed by every process: right, only no faster.

Gradients pass through the gathering. Where every one of n processes differentiates L / n,

.. math:: \sum_{r=1}^{n} \frac{\partial}{\partial \theta_r} \frac{1}{n} \sum_{s=1}^{n} L_s
    = \frac{\partial L}{\partial \theta}

so the sum of their gradients is that of one process on the joined batch, whether a weight was used on shared rows, on
gathered ones, or on both.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from inncli.errors import LostProcessError


@dataclass
class _Share:
    rank: int
    size: int
    rows: int = 0  # of the joined batch, while a function of rows is being computed

    def own(self, rows: int) -> slice:
        return slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size)


_share: _Share | None = None  # what the next function of rows is shared out by
_inside: _Share | None = None  # what the one that is being computed was shared out by


@contextlib.contextmanager
def shared_out(rank: int, size: int) -> Iterator[None]:
    """While entered, `row_wise` functions are shared out between the `size` processes of torch's default group."""
    global _share
    before, _share = _share, _Share(rank, size) if size > 1 else None
    try:
        yield
    finally:
        _share = before


def row_wise(method: Callable) -> Callable:
    """Marks a method of tensors (or None), each with one row for each row of the batch, that returns such tensors.

    Row i of what it returns must follow from row i of what it takes. Outside of `shared_out` it is the method itself.
    """

    @functools.wraps(method)
    def shared(self, *tensors: Tensor | None):
        rows = len(tensors[0])
        # With fewer rows than processes some would have none: each computes all of them.
        if _share is None or rows < _share.size:
            return method(self, *tensors)
        own = _share.own(rows)
        with _entered(_share, rows):
            out = method(self, *(None if t is None else t[own] for t in tensors))
        return _gathered(out, own, rows) if isinstance(out, tuple) else _gathered((out,), own, rows)[0]

    return shared


def draw_rows(draw: Callable[[int], Tensor], rows: int) -> Tensor:
    """draw(rows); within a function of rows, this process's part of what one process would draw for all of them."""
    return draw(rows) if _inside is None else draw(_inside.rows)[_inside.own(_inside.rows)]


def all_sum(tensor: Tensor) -> Tensor:
    """Sums `tensor` over the processes, in place: the same bits in each.

    Raises: LostProcessError if one of them is gone.
    """
    return all_reduce(tensor, torch.distributed.ReduceOp.SUM)


def all_reduce(tensor: Tensor, operation) -> Tensor:
    """Combines `tensor` over the processes, in place. Raises: LostProcessError if one of them is gone."""
    try:
        torch.distributed.all_reduce(tensor, operation)
    except RuntimeError as error:  # gloo's and NCCL's errors are of this type
        raise LostProcessError("a process of this run has ended; see its own line") from error
    return tensor


@contextlib.contextmanager
def _entered(share: _Share, rows: int) -> Iterator[None]:
    global _share, _inside
    _share, _inside = None, _Share(share.rank, share.size, rows)  # functions of rows inside have their part already
    try:
        yield
    finally:
        _share, _inside = share, None


def _gathered(parts: tuple[Tensor, ...], own: slice, rows: int) -> tuple[Tensor, ...]:
    """The rows of all processes, by one exchange."""
    flat = [part.reshape(len(part), part.shape[1:].numel()) for part in parts]
    joined = _Gather.apply(torch.cat(flat, 1), own, rows).split([f.shape[1] for f in flat], 1)
    return tuple(j.reshape(rows, *p.shape[1:]).to(p.dtype) for j, p in zip(joined, parts))


class _Gather(torch.autograd.Function):
    """Each process's rows, joined; their gradients summed over the processes."""

    @staticmethod
    def forward(ctx, part: Tensor, own: slice, rows: int) -> Tensor:
        ctx.own = own
        joined = part.new_zeros(rows, part.shape[1])
        joined[own] = part
        return all_sum(joined)  # zeros elsewhere: exact, and the parts may be of unequal length

    @staticmethod
    def backward(ctx, arriving: Tensor) -> tuple[Tensor, None, None]:
        return all_sum(arriving.clone())[ctx.own], None, None
