"""The i-ResNet beside FrEIA in one run."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from common import row

from inncli.transforms.blocks import ResidualBlock
from inncli.transforms.chain import Chain


def speed() -> None:
    """A train step of 8 blocks of 128 beside FrEIA's i-ResNet forward with log-det, one thread, interleaved."""
    try:
        from FrEIA.framework import SequenceINN
        from FrEIA.modules import IResNetLayer
    except ImportError:
        print('      FrEIA is not installed: pip install -c constraints.txt --no-deps "FrEIA==0.2"')
        return
    torch.set_num_threads(1)
    dim, width, blocks, rows = 4, 128, 8, 1000
    x = torch.randn(rows, dim, generator=torch.Generator().manual_seed(0))
    print(f"      dim {dim}, {blocks} blocks of {width}, batch {rows}, float32, 1 thread, CPU time; FrEIA's defaults:")
    print(
        "      20 series terms, 1 Hutchinson probe, ELU. Ours: exact log-det, its gradient, bounds of all norms, AdamW"
    )

    def ours(layers: int):
        torch.manual_seed(0)
        chain = Chain(dim, [ResidualBlock(dim, 0, [width] * layers) for _ in range(blocks)])
        optimizer = torch.optim.AdamW(chain.parameters(), lr=1e-3, fused=True)

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            z, ladj = chain(x)
            (z.square().sum(1) / 2 - ladj).mean().backward()
            optimizer.step()

        return step

    def freia(layers: int):
        torch.manual_seed(0)
        net = SequenceINN(dim)
        for _ in range(blocks):
            net.append(IResNetLayer, internal_size=width, n_internal_layers=layers - 1)
        for layer in net.module_list:
            layer.lipschitz_correction()
        return lambda: net(x.clone())

    for mine, theirs, what in (
        (1, 2, "the shipped block, 4-128-4, to FrEIA's default, 4-128-128-4"),
        (1, 1, "4-128-4 to 4-128-4"),
        (2, 2, "4-128-128-4 to 4-128-128-4"),
    ):
        pair = ours(mine), freia(theirs)
        seconds = np.array([[_cpu_seconds(f) for f in pair] for _ in range(12)])[2:]
        ratios = seconds[:, 1] / seconds[:, 0]
        row("5", f"FrEIA forward / our train step, {what}", ratios, "asked: >= 8")
        mine_ms, theirs_ms = (1e3 * statistics.median(column) for column in seconds.T)
        print(f"      medians: ours {mine_ms:.1f} ms, FrEIA {theirs_ms:.0f} ms")


def _cpu_seconds(function) -> float:
    begun = time.process_time()
    function()
    return time.process_time() - begun


FIGURES = {f.__name__: f for f in (speed,)}
