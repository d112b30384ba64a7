"""Seconds a training step and a draw of each flow."""

from __future__ import annotations

import resource
import time

import torch
from common import row

from inncli.tasks.toy.ring import Ring


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def speed() -> None:
    """CPU time of a training step on the ring, against RealNVP's in the same minute."""
    from inncli.config import plan
    from inncli.config.registry import instantiate

    def step(model: str) -> float:
        (job,) = plan([f"model={model}"])
        flow = instantiate(job.config["model"], x=Ring.x, y=Ring.y)
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(2000, 2, generator=generator, dtype=torch.float64)
        y = x.square().sum(1, keepdim=True)
        flow.initialise(x, y, generator)
        optimizer = torch.optim.AdamW(flow.parameters(), fused=True)
        best = float("inf")
        for _ in range(8):
            begun = time.process_time()
            for _ in range(10):
                optimizer.zero_grad()
                flow.loss(x[:256], y[:256], generator).backward()
                optimizer.step()
            best = min(best, (time.process_time() - begun) / 10)
        return best

    base = step("rnvp")
    for model in ("spline", "maf", "iaf"):
        row(
            "",
            f"step of {model} / step of rnvp ({1e3 * base:.1f} ms), batch 256",
            step(model) / base,
            "asked: <= 2.5" if model == "spline" else "",
        )


FIGURES = {f.__name__: f for f in (speed,)}
