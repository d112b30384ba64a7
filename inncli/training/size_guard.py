"""Building a model that a stranger's config describes, no larger than the checkpoint it belongs to.

A config of a few bytes can ask for a subnet of 10^12 units or 10^9 blocks. The sizes of the tensors that torch is
asked for, and the parameters that modules register, are counted while the model is built; it stops as soon as it
outgrows what the header of the checkpoint declares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from inncli.errors import CheckpointError

ROOM, SPARE = 8, 2**22  # temporaries: so many times the model, and so many elements (16 MiB) for small ones
ALONE, ALONE_PARAMETERS = 2**30, 100_000  # without a checkpoint to compare with: elements (4 GiB), parameters
HOLDS = ("tensor", "as_tensor")  # values that are there already: a number is no size
SQUARES = ("eye", "diag", "diagflat", "diag_embed")  # an n gives n * n


@contextmanager
def no_larger_than(shapes: dict[str, tuple[int, ...]] | None) -> Iterator[None]:
    """While entered, models may be built that fit tensors of these shapes; None: of any reasonable size.

    Raises: CheckpointError where one asks for more, before it is allocated.
    """
    declared = sum(math.prod(shape) for shape in shapes.values()) if shapes is not None else 0
    most = ALONE if shapes is None else ROOM * declared + SPARE
    parameters = ALONE_PARAMETERS if shapes is None else 4 * len(shapes) + 100  # some are replaced by others
    counted = _Counted(most, parameters)
    handle = register_module_parameter_registration_hook(counted.parameter)
    try:
        with counted:
            yield
    except (MemoryError, OverflowError) as error:
        raise counted.too_large() from error
    except RuntimeError as error:  # a size that overflows, or that the allocator refuses
        if any(word in str(error) for word in ("allocate", "overflow", "Storage size", "Overflow")):
            raise counted.too_large() from error
        raise
    finally:
        handle.remove()


class _Counted(TorchFunctionMode):
    """Sums the sizes that appear in calls of torch."""

    def __init__(self, most: int, parameters: int) -> None:
        super().__init__()
        self.most, self.left = most, 64 * most  # each at most, and all together
        self.parameters = parameters

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        size = _size(getattr(function, "__name__", ""), (*args, *kwargs.values()))
        self.left -= size
        if size > self.most or self.left < 0:
            raise self.too_large()
        return function(*args, **kwargs)

    def parameter(self, module: nn.Module, name: str, value: nn.Parameter | None) -> None:
        """Counts a registered parameter; a model without end is stopped here."""
        self.parameters -= 1
        if self.parameters < 0:
            raise self.too_large()

    def too_large(self) -> CheckpointError:
        """The error for a model that does not fit."""
        return CheckpointError(
            "the config asks for a model larger than its checkpoint; the run directory was altered, "
            "restore it or train again"
        )


def _size(name: str, values: tuple[Any, ...]) -> int:
    """Elements of the tensor that a call would make, as far as its whole numbers tell."""
    if name in HOLDS:
        return 0
    numbers = [v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 0]
    lists = [v for v in values if isinstance(v, (tuple, list)) and v and all(isinstance(n, int) for n in v)]
    size = max([math.prod(numbers) if numbers else 0, *(math.prod(max(n, 1) for n in v) for v in lists)])
    if name in SQUARES:
        longest = max([size, *(v.numel() for v in values if hasattr(v, "numel"))])
        return longest**2
    return size
