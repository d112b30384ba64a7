r"""The rows of a batch, shared out between processes that train one model together.

A function of rows is marked `row_wise`: row i of its result depends on row i of its arguments alone. Within
`shared_out` each process computes its own part of the rows, and the parts are gathered. So all that follows (a mean, a
kernel between all pairs of rows, a penalty) is that of the joined batch, equal in every process. Noise is drawn for the
joined batch too. A function that isn't marked is computed by every process on all rows: right, only no faster.

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
from typing import Any

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


_share: _Share | None = None  # this process's part in the next function of rows
_inside: _Share | None = None  # its part in the one that is being computed


@contextlib.contextmanager
def shared_out(rank: int, size: int) -> Iterator[None]:
    """While entered, `row_wise` functions are shared out between the `size` processes of torch's default group."""
    global _share
    before, _share = _share, _Share(rank, size) if size > 1 else None
    try:
        yield
    finally:
        _share = before


def row_wise(method: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a method of tensors that treats the rows of a batch one by one.

    Row i of its result must follow from row i of its arguments. Outside of `shared_out` it is the method itself.

    Args:
        method: of one tensor, and further tensors or None, each (B, ...); returns a tensor or a tuple of some, each
            (B, ...).
    """

    @functools.wraps(method)
    def shared(self: Any, first: Tensor, *others: Tensor | None) -> Any:
        rows = len(first)
        # With fewer rows than processes some would have none: each computes all of them.
        if _share is None or rows < _share.size:
            return method(self, first, *others)
        own = _share.own(rows)
        with _entered(_share, rows):
            out = method(self, first[own], *(None if t is None else t[own] for t in others))
        return _gathered(out, own, rows) if isinstance(out, tuple) else _gathered((out,), own, rows)[0]

    return shared


def draw_rows(draw: Callable[[int], Tensor], rows: int) -> Tensor:
    """draw(rows), (rows, ...); within a function of rows, this process's part of the draw for the joined batch."""
    return draw(rows) if _inside is None else draw(_inside.rows)[_inside.own(_inside.rows)]


def all_sum(tensor: Tensor) -> Tensor:
    """Sums `tensor`, of any shape, over the processes, in place; the result has the same bits in each.

    Raises: LostProcessError if one of them is gone.
    """
    return all_reduce(tensor, torch.distributed.ReduceOp.SUM)


def all_reduce(tensor: Tensor, operation: torch.distributed.ReduceOp.RedOpType) -> Tensor:
    """Combines `tensor`, of any shape, over the processes, in place.

    Raises: LostProcessError if one of them is gone.
    """
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
    return tuple(j.reshape(rows, *p.shape[1:]).to(p.dtype) for j, p in zip(joined, parts, strict=True))


class _Gather(torch.autograd.Function):
    """Each process's rows, joined; their gradients summed over the processes."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, own: slice, rows: int) -> Tensor:
        ctx.own = own
        joined = part.new_zeros(rows, part.shape[1])
        joined[own] = part
        return all_sum(joined)  # zeros elsewhere: exact, and the parts may be of unequal length

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor, None, None]:
        return all_sum(arriving.clone())[ctx.own], None, None
