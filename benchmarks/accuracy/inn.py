"""Figures of the two-sided INN: the ring by likelihood and by MMD, padded and not; the eight modes; short budgets."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import SEEDS, WORK, inn, row, train

import inncli
from inncli.cli.app import main
from inncli.inference.run_task import task_of
from inncli.inference.trained_model import TrainedModel
from inncli.metrics.c2st import c2st
from inncli.runs.run_dir import RunDir
from inncli.tasks.base import Task

YS = (0.3, 1.0, 2.0, 4.0)
FORMS = {  # what: words of the command line, the limit
    "inn by likelihood, padded": (["model=inn"], "<= .60"),
    "inn by MMD, padded": (["model=inn_mmd"], "<= .70"),
    "inn by likelihood, unpadded": (["model=inn", "model.dim_z=1", "model.padding=0"], "reported"),
    "inn by MMD, unpadded": (["model=inn_mmd", "model.dim_z=1"], "reported"),
}
SHORT = (("gaussian_modes", 100), ("gaussian_modes", 300), ("ring", 100), ("ring", 300))  # task, steps
DEFAULTS = {  # words of the command line: on the default budget
    "gaussian_modes, labels all": ["task=gaussian_modes"],
    "gaussian_modes, labels some": ["task=gaussian_modes", "task.labels=some"],
    "gaussian_modes, labels none": ["task=gaussian_modes", "task.labels=none"],
    "inverse_kinematics": ["task=inverse_kinematics"],
    "ring": ["task=ring"],
    "sine": ["task=sine"],
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


def inn_mmd() -> None:
    """Training by MMD on its defaults, 3 seeds; about half an hour."""
    for what, words in DEFAULTS.items():
        found = [mmd(*words, f"seed={seed}") for seed in SEEDS]
        row("4", f"inn_mmd, {what}: y error over the untrained net's", [ratio for *_, ratio in found], "< 1")
        if words[0] == "task=gaussian_modes":
            off = [share_error(trained, task) for trained, task, _ in found]
            row("4", f"inn_mmd, {what}: largest error of a mode's weight", off, "<= .03")


def inn_mmd_short() -> None:
    """Training by MMD on short budgets, 20 seeds."""
    for name, steps in SHORT:
        ratios = [mmd(f"task={name}", f"trainer.max_steps={steps}", f"seed={seed}")[2] for seed in range(20)]
        row("4", f"inn_mmd, {name}, {steps} steps, 20 seeds: y error over the untrained net's", ratios, "< 1")
    trained, task, _ = mmd("task=gaussian_modes", "trainer.max_steps=300", "seed=0")
    before = y_error(trained, task)
    with torch.no_grad():
        trained.model.blocks.parts[-1].log_diagonal += 2.0
    row(
        "",
        "control: last layer scaled by e^2: y error over that before",
        y_error(trained, task) / before,
        "must exceed 1",
    )
    row("", "control: the same: largest error of a mode's weight", share_error(trained, task), "must exceed .03")


def mmd(*words: str) -> tuple[TrainedModel, Task, float]:
    """A run of inn_mmd with its task, and its error of y over that of the untrained net: one step of no length."""
    run, untrained = (
        _trained("model=inn_mmd", *words, *more) for more in ([], ["trainer.max_steps=1", "trainer.lr=1e-30"])
    )
    trained, task = inncli.load(run.path), task_of(run)
    return trained, task, y_error(trained, task) / y_error(inncli.load(untrained.path), task)


def _trained(*words: str) -> RunDir:
    """A run that is trained in this process: of many short ones most would be start-up."""
    root = Path(tempfile.mkdtemp(dir=WORK))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        if main(["train", *words, f"hydra.run.dir={root / 'run'}"]):
            raise SystemExit(said.getvalue())
    return RunDir(root / "run")


def y_error(trained: TrainedModel, task: Task) -> float:
    """Root mean square of f_y(x) - y at 1,000 fresh pairs, in y's units."""
    pairs = task.draw_pairs(1000, np.random.default_rng(9))
    error = trained.model.y_error(torch.tensor(pairs.x), torch.tensor(pairs.y), torch.Generator().manual_seed(0))
    return float(error.square().mean().sqrt())


def share_error(trained: TrainedModel, task: Task) -> float:
    """The largest error of the weight of one of the eight modes, over all labels; each label drawn 10,000 times."""
    errors = []
    for label in range(task.labels.max() + 1):
        shares, _ = task.mode_shares(trained.sample([[label]], 10_000, 0)[0])
        errors.append(np.abs(shares - (task.labels == label) / (task.labels == label).sum()).max())
    return float(max(errors))


def judged(task, x: np.ndarray, label: int) -> tuple[float, float]:
    """Total variation of the mode shares to those of the label, and the share of draws far from every mode."""
    shares, far = task.mode_shares(x)
    truth = (task.labels == label) / (task.labels == label).sum()
    return float(np.abs(shares - truth).sum() / 2), far


FIGURES = {f.__name__: f for f in (inn_ring, inn_modes, inn_mmd, inn_mmd_short)}
