"""Figures of the two-sided INN: the ring by likelihood and by MMD, padded and not; the eight modes."""

from __future__ import annotations

import numpy as np
from common import SEEDS, WORK, inn, row, train

import inncli
from inncli.inference.run_task import task_of
from inncli.metrics.c2st import c2st

YS = (0.3, 1.0, 2.0, 4.0)
FORMS = {  # what: words of the command line, the limit
    "inn by likelihood, padded": (["model=inn"], "<= .60"),
    "inn by MMD, padded": (["model=inn_mmd"], "<= .70"),
    "inn by likelihood, unpadded": (["model=inn", "model.dim_z=1", "model.padding=0"], "reported"),
    "inn by MMD, unpadded": (["model=inn_mmd", "model.dim_z=1"], "reported"),
}


def inn_ring() -> None:
    """C2ST to the exact posterior on the ring at four ys, 10,000 draws a side; about 25 minutes."""
    for what, (words, limit) in FORMS.items():
        scores = {y: [] for y in YS}
        facts: dict[str, list[float]] = {}
        for seed in SEEDS:
            run, seconds = train("task=ring", *words, f"seed={seed}")
            trained, task = inncli.load(run.path), task_of(run)
            for y in YS:
                x = trained.sample([[y]], 10_000, seed)[0]
                reference = task.reference_posterior(np.array([y]), 10_000, np.random.default_rng(seed))
                scores[y].append(c2st(x, reference))
            for name, value in {"training, s": seconds, **trained.diagnostics()}.items():
                facts.setdefault(name, []).append(value)
        for y, values in scores.items():
            row("2", f"{what}, y = {y}: C2ST", values, limit)
        for name, values in facts.items():
            row("2", f"{what}: {name}", values)
    drawn = trained.sample([[1.0]], 10_000, 0)[0]
    reference = task.reference_posterior(np.array([2.0]), 10_000, np.random.default_rng(0))
    row("", "control: inverted at y = 1 instead of 2: C2ST", c2st(drawn, reference), "must exceed .70")


def inn_modes() -> None:
    """Mode shares and stray draws of the eight modes, 10,000 draws a label; about 15 minutes."""
    for labels in ("all", "some", "none"):
        apart, far = [], []
        for seed in SEEDS:
            run, _ = train("task=gaussian_modes", "model=inn", f"task.labels={labels}", f"seed={seed}")
            trained, task = inncli.load(run.path), task_of(run)
            worst = [
                judged(task, trained.sample([[label]], 10_000, seed)[0], label)
                for label in range(task.labels.max() + 1)
            ]
            apart.append(max(a for a, _ in worst))
            far.append(max(f for _, f in worst))
        row("3", f"gaussian_modes, labels {labels}: total variation of mode shares, worst label", apart, "<= .10")
        row("3", f"gaussian_modes, labels {labels}: share farther than 4 sd, worst label", far, "<= .05")
        inn("invert", "--run", str(run.path), "--y", "0", "--samples", "10000", "--out", str(WORK / f"{labels}.npz"))
        inn("plot", "posterior", "--set", str(WORK / f"{labels}.npz"), "--out", str(WORK / f"{labels}.png"))
        print(f"    picture: {WORK / f'{labels}.png'}")
    wrong = judged(task, trained.sample([[0]], 10_000, 0)[0] * 1.5, 0)
    row("", "control: all draws half as far out again: share farther than 4 sd", wrong[1], "must exceed .05")
    one = judged(task, task.centers[:1].repeat(10_000, 0), 0)
    row("", "control: one mode of eight: total variation", one[0], "must exceed .10")


def judged(task, x: np.ndarray, label: int) -> tuple[float, float]:
    """Total variation of the mode shares to those of the label, and the share of draws far from every mode."""
    shares, far = task.mode_shares(x)
    truth = (task.labels == label) / (task.labels == label).sum()
    return float(np.abs(shares - truth).sum() / 2), far


FIGURES = {f.__name__: f for f in (inn_ring, inn_modes)}
