"""Naming the place where a number stopped being finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

LOSS_ITSELF = "the loss itself"  # where every layer is finite
NORM = "the norm of the gradient"  # where each part of it is finite, and the sum of their squares is not


def _finite(value: object) -> bool:
    tensors = value if isinstance(value, (tuple, list)) else [value]
    return all(bool(t.isfinite().all()) for t in tensors if isinstance(t, Tensor) and t.is_floating_point())


def non_finite_layer(model: nn.Module, run: Callable[[], object]) -> str:
    """Runs `run` once more with hooks and names the first place that is not finite.

    A parameter is named before a layer's output, since a layer can only pass on what its parameters hold. One that
    is not trained may hold an infinity: the log of a noise that is zero.
    """
    for name, parameter in model.named_parameters():
        if not _finite(parameter.detach()) and (parameter.requires_grad or parameter.isnan().any()):
            return f"parameter {name}"
    found: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...], object], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
            if not found and not _finite(output):
                found.append(f"layer {name} ({type(module).__name__})")

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return found[0]
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not _finite(parameter.grad):
            return f"gradient of {name}"
    return LOSS_ITSELF
