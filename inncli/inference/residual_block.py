"""One residual block of a run with a single unknown, as the fixed-point iteration that inverts it."""

from __future__ import annotations

import numpy as np
import torch

from inncli.errors import RequestError
from inncli.inference.trained_model import TrainedModel
from inncli.numerics import iterated_maps
from inncli.transforms.residual import residuals


def inversion_of_block(
    trained: TrainedModel, k: int, y: np.ndarray | None, z: float | None = None, seed: int = 0
) -> tuple[iterated_maps.Map, float]:
    """X <- z - g(x) of block k, counted from x to z, and the Lipschitz constant that g is certified for.

    g is evaluated in float64 on the block's own scale, which the layers before it set.

    Args:
        trained: the run.
        k: the number of the block.
        y: the observation that conditions the block, (1, Dy).
        z: the block's output to be inverted; None takes the output at a draw of the model.
        seed: of that draw.

    Raises: RequestError if x has several unknowns, or there is no such block.
    """
    if trained.x.dim != 1:
        raise RequestError(
            f"expected a run with 1 unknown, got {trained.id} with {trained.x.dim}; "
            "a cobweb is drawn of a map of the line"
        )
    blocks = residuals(trained.model)
    if not blocks:
        raise RequestError(f"run {trained.id} has no residual block; train one with model=iresnet")
    if k >= len(blocks):
        raise RequestError(f"expected a block from 0 to {len(blocks) - 1}, got {k}; pick one of those")
    _, block = blocks[k]
    x, context = _inputs_of(trained, block, y, seed)
    with torch.no_grad():
        net = block.net.at(context).double()

        def g(values: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                rows = torch.as_tensor(np.asarray(values, dtype=np.float64).reshape(-1, 1))
                return net(rows.to(trained.device)).cpu().numpy().reshape(np.shape(values))

        def slope(values: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                rows = torch.as_tensor(np.asarray(values, dtype=np.float64).reshape(-1, 1), device=trained.device)
                return net.jacobian(net.with_slopes(rows)[1]).cpu().numpy().reshape(np.shape(values))

        target = float(x + g(np.float64(x))) if z is None else z
        half = max(1.5, 3 * abs(float(g(np.float64(target)))))
        made = iterated_maps.inversion(
            g, slope, target, target - half, target + half, f"x <- {target:.4g} - g(x), block {k}"
        )
        return made, float(block.net.certificate())


def _inputs_of(
    trained: TrainedModel, block: torch.nn.Module, y: np.ndarray | None, seed: int
) -> tuple[float, torch.Tensor | None]:
    """The inputs of a block at one draw of the model given y: its x, and its context (1, Dc) or None."""
    calls: list[tuple[torch.Tensor, ...]] = []
    hook = block.register_forward_pre_hook(lambda module, inputs: calls.append(inputs))
    try:
        row = torch.as_tensor(trained.sample(y, 1, seed)[0], device=trained.device)
        with torch.no_grad():
            trained.model.diagnostics(row, None if y is None else torch.as_tensor(y, device=trained.device))
    finally:
        hook.remove()
    inputs = calls[0]
    return float(inputs[0][0, 0]), inputs[1] if len(inputs) > 1 else None
