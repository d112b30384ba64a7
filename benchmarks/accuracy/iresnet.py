"""The i-ResNet against the exact posterior of the ring."""

from __future__ import annotations

import time

import numpy as np
from common import SEEDS, row, train

import inncli
from inncli.metrics.c2st import c2st
from inncli.tasks.toy.ring import Ring


def trained(*words: str):
    """A run and its training's CPU seconds by this process's clock of its children."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run, _ = train("model=iresnet", *words)
    return run, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def ring() -> None:
    """C2ST on the ring at four ys, and how long training and sampling take."""
    task, scores, seconds, drawing = Ring(), {}, [], []
    for seed in SEEDS:
        run, took = trained(f"seed={seed}")
        seconds.append(took)
        opened = inncli.load(run.path)
        for y in (0.3, 1.0, 2.0, 4.0):
            begun = time.process_time()
            x = opened.sample([[y]], 10_000, seed)[0]
            drawing.append(time.process_time() - begun)
            scores.setdefault(y, []).append(
                c2st(x, task.reference_posterior(np.array([y]), 10_000, np.random.default_rng(seed)))
            )
    for y, values in scores.items():
        row("2", f"ring, iresnet, y = {y}: C2ST to the exact posterior", values, "asked: <= .60")
    row("2", "ring, iresnet: training, CPU seconds", seconds, "asked: <= 180")
    row("2", "ring, iresnet: 10,000 draws, CPU seconds", drawing)
    bent = x * np.array([1.1, 1.0])
    row(
        "",
        "control: one axis stretched by a tenth, y = 4: C2ST",
        c2st(bent, task.reference_posterior(np.array([4.0]), 10_000, np.random.default_rng(0))),
        "must exceed .60",
    )


FIGURES = {f.__name__: f for f in (ring,)}
