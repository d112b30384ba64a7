"""Verdicts on exact posteriors, and on the same made wrong on purpose. About 25 CPU-minutes."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import torch
from common import SEEDS, inn, row, train

from inncli.evaluation.cache import Evaluation
from inncli.evaluation.calibration import add_calibration
from inncli.inference.trained_model import TrainedModel
from inncli.models.base import Model
from inncli.tasks.base import Task
from inncli.tasks.toy.gaussian_modes import GaussianModes
from inncli.tasks.toy.linear import Linear
from inncli.tasks.toy.ring import Ring
from inncli.tasks.toy.sine import Sine

TWENTY = range(20)
FAULTS = {"exact": "", "wide": "too wide", "narrow": "too narrow", "shifted": "biased", "prior": "ignores y"}
FOR_MOMENTS = 400  # further draws a y, from which the mean and the sd come


class Spoiled(Model):
    """A task's exact posterior as a model, or that posterior made wrong in one way."""

    has_density = False

    def __init__(self, task: Task, how: str, only: int | None = None) -> None:
        super().__init__(task.x, task.y)
        self.task, self.how, self.only = task, how, only

    def sample(self, y, n, generator):
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        return torch.as_tensor(np.stack([self._draw(row, n, rng) for row in y.numpy()]))

    def _draw(self, y, n, rng):
        if self.how == "prior":
            return self.task.prior(n, rng)
        exact = self.task.reference_posterior(y, n + FOR_MOMENTS, rng)
        x, mean, sd = exact[:n], exact.mean(0), exact.std(0)
        moved = {
            "exact": x,
            "wide": mean + 1.5 * (x - mean),
            "narrow": mean + 0.67 * (x - mean),
            "shifted": x + 0.5 * sd,
        }[self.how]
        return moved if self.only is None else np.where(np.arange(x.shape[1]) == self.only, moved, x)


def ten_dimensions() -> Linear:
    """10 unknowns seen through a full 10 x 10 matrix, noise of the prior's sd / 2: correlated posteriors."""
    return Linear(A=(np.random.default_rng(0).standard_normal((10, 10)) / 3).tolist(), noise=0.5)


TASKS = {
    "ring": Ring,
    "sine": Sine,
    "gaussian_modes, labels some": lambda: GaussianModes("some"),
    "linear in 10-D": ten_dimensions,
}


def judged(task: Task, how: str, seed: int, rows: int = 1_000, only: int | None = None) -> Evaluation:
    """What the calibration part of `inn evaluate` says of a spoiled posterior."""
    found = Evaluation()
    trained = TrainedModel(Spoiled(task, how, only), {"config": {"dtype": "float64"}}, how, torch.device("cpu"))
    add_calibration(found, trained, task.test_pairs(seed, rows), seed)
    return found


def named(task: Task, how: str, rows: int = 1_000, only: int | None = None) -> Counter:
    """How often each name is given, over 20 seeds."""
    return Counter(
        " and ".join(judged(task, how, seed, rows, only).details["calibration"]["faults"]) for seed in TWENTY
    )


def table(name: str, rows: int = 1_000, line: str = "2") -> None:
    """Prints the task's row: alarms for the exact posterior, right names for each fault."""
    task = TASKS[name]()
    for how, right in FAULTS.items():
        found = named(task, how, rows)
        others = ", ".join(f"{count} {fault or 'calibrated'}" for fault, count in found.items() if fault != right)
        what = f"{name}, {rows:,} rows: {how}"
        if how == "exact":
            row(line, f"{what}: alarms in 20", len(TWENTY) - found[right], f"at most 1   {others}")
        else:
            row(line, f"{what}: named `{right}`, of 20", found[right], f"at least 19   {others}")


def ring() -> None:
    """Ring: 1,000 held-out rows."""
    table("ring")


def sine() -> None:
    """Sine: many branches."""
    table("sine")


def modes() -> None:
    """Eight modes behind four labels."""
    table("gaussian_modes, labels some")


def linear() -> None:
    """A Gaussian of ten unknowns."""
    table("linear in 10-D")


def few_rows() -> None:
    """The same with 103 held-out rows, as many as concrete has; and one unknown of ten wrong alone."""
    for name in ("ring", "linear in 10-D"):
        table(name, 103, "")
    for how, right in (("wide", "too wide"), ("narrow", "too narrow"), ("shifted", "biased")):
        found = [judged(ten_dimensions(), how, seed, only=3).verdicts["calibrated"].text for seed in TWENTY]
        row(
            "",
            f"linear in 10-D, only x4 {how}: `{right}` and no other unknown named, of 20",
            sum(text.startswith(right) and "x4" in text and text.count(" x") == 1 for text in found),
        )


def trained() -> None:
    """Trained models, 1,000 held-out rows: what inn evaluate says of them; an untrained one is the control."""
    for words in (["task=ring", "model=spline"], ["experiment=cave"]):
        found = []
        for seed in SEEDS:
            run, _ = train(*words, f"seed={seed}")
            found.append(json.loads(inn("evaluate", "--run", str(run.path), "--json", "-n", "1000").stdout))
            print(f"    {' '.join(words)} seed {seed}: {found[-1]['verdicts']['calibrated']['text']}")
        row("", f"{' '.join(words)}: calibrated, of 3", sum(entry["verdicts"]["calibrated"]["ok"] for entry in found))
        for name in ("coverage_50", "coverage_90", "contraction", "follows_y", "z_score"):
            row("", f"{' '.join(words)}: {name}", [entry["metrics"][name] for entry in found])
    run, _ = train("task=ring", "trainer.max_steps=20")
    text = json.loads(inn("evaluate", "--run", str(run.path), "--json", "-n", "300").stdout)["verdicts"]["calibrated"]
    row("", f"control: ring after 20 steps: calibrated ({text['text'][:60]}...)", text["ok"], "must be 0")


def concrete() -> None:
    """Concrete: verdict and coverage on the held-out rows of the table."""
    found = []
    for seed in SEEDS:
        run, _ = train("experiment=concrete", "model=spline", f"seed={seed}")
        first, second = (inn("evaluate", "--run", str(run.path), "--json", *more).stdout for more in ([], ["--fresh"]))
        found.append(json.loads(first))
        print(f"    seed {seed}: {found[-1]['verdicts']['calibrated']}; measured again, agrees: {first == second}")
    row("5", "concrete, spline: held-out rows", [entry["settings"]["held_out"] for entry in found])
    row("5", "concrete, spline: calibrated, of 3", sum(entry["verdicts"]["calibrated"]["ok"] for entry in found))
    for name, limit in (
        ("coverage_50", ".5"),
        ("coverage_80", ".8"),
        ("coverage_90", ".9"),
        ("sbc_p", ""),
        ("tarp_p", ""),
        ("contraction", ""),
        ("follows_y", "1"),
        ("z_score", "1"),
        ("nll", "nats"),
    ):
        row("5", f"concrete, spline: {name}", [entry["metrics"][name] for entry in found], limit)
        if name in found[0]["se"]:
            row("", f"concrete, spline: +- of {name}", [entry["se"][name] for entry in found])


FIGURES = {
    "ring": ring,
    "sine": sine,
    "modes": modes,
    "linear": linear,
    "few_rows": few_rows,
    "trained": trained,
    "concrete": concrete,
}
