"""Mixed precision and TF32: how exactly a training step multiplies matrices."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from inncli.errors import ConfigError, NonFiniteError
from inncli.nn.autocast import subnets_in
from inncli.transforms.residual import residuals

DTYPES = {"full": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """The precision of a run's training steps; validation and later commands are always exact.

    * bf16, fp16: the subnets' matrix products, forward and backward. Weights, transforms, log-dets and losses keep
      their float32. fp16 has few exponents: the loss is scaled up, by a factor that is halved, and the step skipped,
      where a gradient overflows.
    * tf32: all matrix products of float32 on an NVIDIA GPU keep 10 bits of their factors.

    Raises: ConfigError, one line, where the device or the model can't.
    """

    def __init__(
        self,
        name: Literal["full", "bf16", "fp16"],
        tf32: bool,
        model: nn.Module,
        device: torch.device,
    ) -> None:
        self.dtype, self.tf32 = DTYPES[name], tf32
        if self.dtype is not None:
            _check(name, model, device)
        if tf32 and device.type != "cuda":
            raise ConfigError(f"trainer.tf32 is for NVIDIA GPUs, this run computes on {device}; leave it out")
        self.scaler = torch.amp.GradScaler(device.type) if name == "fp16" else None

    @property
    def skips(self) -> bool:
        """Whether a step whose gradient overflowed is skipped, and not refused."""
        return self.scaler is not None

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """For the length of a training: TF32, and back to what it was before."""
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = self.tf32 or before
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before

    def subnets(self) -> contextlib.AbstractContextManager[object]:
        """For the forward pass of a step."""
        return subnets_in(self.dtype)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to differentiate."""
        return loss if self.scaler is None else self.scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Takes the scale out of the gradients again."""
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)

    def update(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer's step, or none where a scaled gradient overflowed.

        Raises: NonFiniteError if it overflows at any scale.
        """
        if self.scaler is None:
            optimizer.step()
            return
        self.scaler.step(optimizer)
        self.scaler.update()
        if self.scaler.get_scale() < 1:
            raise NonFiniteError(
                "the gradient is not finite at any scale; the last good checkpoint is kept, take "
                "trainer.precision=bf16 or full, or lower trainer.lr"
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; nothing but for fp16."""
        return {} if self.scaler is None else {"scaler": self.scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Takes over what `state` gave."""
        if self.scaler is not None and "scaler" in state:
            self.scaler.load_state_dict(state["scaler"])


def _check(name: str, model: nn.Module, device: torch.device) -> None:
    asked = f"trainer.precision={name}"
    dtype = next(model.parameters()).dtype
    if dtype != torch.float32:
        raise ConfigError(
            f"{asked} rounds float32, this run computes in {str(dtype).removeprefix('torch.')}; "
            "leave it out, or take dtype=float32"
        )
    if residuals(model):
        raise ConfigError(
            f"{asked}: residual blocks differentiate and invert their nets, which takes full precision; "
            "leave it out, or take a model of couplings, e.g. model=rnvp"
        )
    able = device.type == "cuda" and (name == "fp16" or torch.cuda.is_bf16_supported())
    if not able and (name, device.type) != ("bf16", "cpu"):
        other = "bf16" if name == "fp16" and device.type == "cpu" else "full"
        raise ConfigError(f"{asked} does not work on {device}; take trainer.precision={other}")
