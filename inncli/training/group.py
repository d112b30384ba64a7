"""The processes that train one model, seen from one of them.

Every process builds the same model from the same pairs and takes the same steps. Rows are shared out as
`inncli.nn.sharding` says, and gradients are summed, so that the weights keep the same bits everywhere. The first
process alone writes and shows anything.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from inncli.errors import LostProcessError
from inncli.nn.sharding import all_reduce, all_sum, shared_out
from inncli.training.stop_signals import StopReason

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes that train together, seen from one of them. One process is a group too, at no cost.

    Args:
        device: this process's own.
        names: the devices of all of them, by rank.
        rank: this process's place among them; 0 is the first.
    """

    device: torch.device
    names: tuple[str, ...]
    rank: int = 0

    @property
    def size(self) -> int:
        """Number of processes."""
        return len(self.names)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and shows things."""
        return self.rank == 0

    def sharing(self) -> contextlib.AbstractContextManager[None]:
        """While entered, functions of rows are shared out between the processes."""
        return shared_out(self.rank, self.size)

    def same(self, value: Any) -> Any:
        """The first process's value, in every process."""
        if self.size == 1:
            return value
        held = [value]
        with lost():
            distributed.broadcast_object_list(held, src=0)
        return held[0]

    def each(self, value: T) -> list[T]:
        """The values of all processes, by rank."""
        if self.size == 1:
            return [value]
        held: list[Any] = [None] * self.size
        with lost():
            distributed.all_gather_object(held, value)
        return held

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Sums the gradients over the processes, in place, by one exchange for each dtype."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        for dtype in sorted({g.dtype for g in gradients}, key=str):
            some = [g for g in gradients if g.dtype == dtype]
            joined = all_sum(torch.cat([g.reshape(-1) for g in some]))
            for g, total in zip(some, joined.split([g.numel() for g in some]), strict=True):
                g.copy_(total.view_as(g))

    def reason(self, own: StopReason | None) -> StopReason | None:
        """The reason to stop that any process has, a signal as a rule, so that all of them stop at one step."""
        if self.size == 1:
            return own
        if not all_reduce(torch.tensor([own is not None], dtype=torch.int32), distributed.ReduceOp.MAX):
            return None
        return next(reason for reason in self.each(own) if reason is not None)


def alone(device: torch.device) -> Group:
    """The group of one process."""
    return Group(device, (str(device),))


@contextlib.contextmanager
def joined(
    devices: list[torch.device], rank: int, local_rank: int, store: distributed.Store | None = None
) -> Iterator[Group]:
    """Makes this process one of its group; without a store, that of the environment, as torchrun sets it."""
    device = devices[local_rank]
    size = len(devices) if store is not None else int(os.environ["WORLD_SIZE"])
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with lost():
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
        names: list[Any] = [None] * size
        distributed.all_gather_object(names, str(device))
    yield Group(device, tuple(names), rank)
    # Only now: a process that failed ends without waiting for the others.
    distributed.destroy_process_group()


@contextlib.contextmanager
def lost() -> Iterator[None]:
    """While entered, an exchange that fails says that a process of the group has ended.

    Raises: LostProcessError.
    """
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError("a process of this run has ended; see its own line") from error
