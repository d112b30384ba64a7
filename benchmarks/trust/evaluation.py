"""Figures of issue 3: every model from one sweep, `inn evaluate`, fixed points of maps. About 15 CPU-minutes."""

from __future__ import annotations

import json
import os
import tempfile

import numpy as np
from common import SEEDS, WORK, inn, row, train

import inncli
from inncli.config.registry import choices
from inncli.evaluation.evaluate import measure
from inncli.inference.run_task import task_of
from inncli.models.base import Model

STEPS = 200  # of each model in the sweep: it shows that all run, not how well
EIGHT = ("nice", "rnvp", "glow", "spline", "maf", "iresnet", "inn", "adjoint")


def every_model() -> None:
    """One sweep over every model on the ring, listed by inn runs, each then asked for the causes of y = 0.3."""
    models = [model for model in EIGHT if model in choices("model")]
    env = {**os.environ, "INN_OUTPUTS": tempfile.mkdtemp(dir=WORK)}
    inn("train", "-m", f"model={','.join(models)}", f"trainer.max_steps={STEPS}", env=env)
    runs = json.loads(inn("runs", "--json", env=env).stdout)
    done = {run["model"]: run for run in runs if run["status"] == "done" and run["steps"] == STEPS}
    row("9", f"inn train -m model={','.join(models)}, {STEPS} steps each: done and listed", len(done), f"{len(EIGHT)}")
    answered = 0
    for run in done.values():
        out = WORK / "swept.npz"
        inn("invert", "--run", run["id"], "--y", "0.3", "--samples", "100", "--out", str(out), env=env)
        answered += bool(np.isfinite(np.load(out)["x"]).all())
    row("9", "of these, models whose 100 draws at y = 0.3 are finite", answered, f"{len(EIGHT)}")
    failed = inn(
        "train", "-m", "model=rnvp,glow", "trainer.lr=1e30,1e-3", f"trainer.max_steps={STEPS}", env=env, check=False
    )
    again = json.loads(inn("runs", "--json", env=env).stdout)[len(runs) :]
    row("", "control: a sweep in which 2 of 4 learning rates are absurd: exit code", failed.returncode, "must be 1")
    row("", "control: its jobs listed as done", sum(run["status"] == "done" for run in again), "must be 2")


def evaluate_ring() -> None:
    """`inn evaluate` on three ring runs of the default model, twice each; and a model whose draws are moved."""
    found = []
    for seed in SEEDS:
        run, _ = train(f"seed={seed}")
        first, second = (inn("evaluate", "--json", "--fresh", "--run", str(run.path)).stdout for _ in range(2))
        found.append((json.loads(first)["metrics"], first == second))
    for name, limit in (
        ("c2st", "ring, rnvp, 3 held-out ys"),
        ("invertibility_error", "float32, sds of x"),
        ("nll", "nats"),
        ("resimulation_error", "units of y"),
        ("resimulation_error_truth", "the noise"),
    ):
        row("9", f"inn evaluate --json: {name}", [metrics[name] for metrics, _ in found], limit)
    row("9", "two runs of inn evaluate agree in every byte, of 3", sum(same for _, same in found), "3")
    trained, task = inncli.load(run.path), task_of(run)
    trained.model = Moved(trained.model)
    moved = measure(trained, task.test_pairs(0), task)
    row(
        "",
        "control: the last run's draws moved by .1: c2st",
        moved.metrics["c2st"],
        f"must exceed {found[-1][0]['c2st']:.3f}",
    )
    row(
        "",
        "control: the same: of `matches_truth` and `reproduces_y`, answered yes",
        sum(moved.verdicts[name].ok for name in ("matches_truth", "reproduces_y")),
        "must be 0",
    )


class Moved(Model):
    """A model with all of its draws beside where they should be."""

    def __init__(self, model: Model) -> None:
        super().__init__(model.x, model.y)
        self.model = model

    def sample(self, y, n, generator):
        return self.model.sample(y, n, generator) + 0.1

    def log_prob(self, x, y):
        return self.model.log_prob(x, y)

    def diagnostics(self, x, y):
        return self.model.diagnostics(x, y)


def cobweb() -> None:
    """`inn plot` cobweb against closed forms: fixed points, slopes and Lipschitz constants of three maps."""
    errors, lipschitz = [], []
    for r in (0.5, 2.0, 2.9, 3.2, 3.9):
        points = [(0.0, r)] + ([(1 - 1 / r, 2 - r)] if r > 1 else [])
        errors.append(_against(["--map", "logistic", "--r", str(r)], points, r, lipschitz))
    for omega, k in ((0.1, 0.9), (-0.05, 0.5), (0.02, 0.3)):
        x = np.arcsin(2 * np.pi * omega / k) / (2 * np.pi)
        points = [(at % 1, 1 - k * np.cos(2 * np.pi * at)) for at in (x, 0.5 - x)]
        errors.append(
            _against(["--map", "circle", f"--omega={omega}", "--k", str(k)], sorted(points), 1 + k, lipschitz)
        )
    row("", "cobweb: worst error of fixed points and slopes, logistic and circle map", max(errors), "closed forms")
    row("", "cobweb: worst error of the Lipschitz constants", max(lipschitz), "closed forms")
    residuals = []
    for e, y in ((0.8, 0.3), (0.99, 0.1), (0.3, -2.0)):
        (point,) = _facts(["--map", "kepler", "--e", str(e), f"--y={y}"])["fixed_points"]
        residuals.append(abs(point["x"] - e * np.sin(point["x"]) - y))
    row("", "cobweb: worst residual of Kepler's equation", max(residuals), "")
    wrong = _against(["--map", "logistic", "--r", "3.2"], [(0.0, 3.3), (1 - 1 / 3.3, 2 - 3.3)], 3.3, [])
    row("", "control: the points of r = 3.2 against the closed form of 3.3", wrong, "must not be small")
    run, _ = train("task=monotone", "model=iresnet")
    facts = [
        json.loads(inn("plot", "cobweb", "--run", str(run.path), "--y", "0.3", "--block", str(k), "--json").stdout)
        for k in range(8)
    ]
    row("", "i-ResNet of one unknown, its 8 blocks: Lipschitz constant seen", [f["lipschitz"] for f in facts], "< 1")
    row("", "the same: certified", [f["certificate"] for f in facts], "< 1, above what is seen")
    row(
        "",
        "the same: blocks with one fixed point, stable",
        sum([p["stable"] for p in f["fixed_points"]] == [True] for f in facts),
        "8",
    )
    found = json.loads(inn("evaluate", "--json", "--run", str(run.path)).stdout)["metrics"]
    row("", "the same run, task monotone: C2ST to the exact hump around the inverse", found["c2st"], "")


def _facts(words: list[str]) -> dict:
    return json.loads(inn("plot", "cobweb", "--json", "--out", str(WORK / "c.png"), *words).stdout)


def _against(words: list[str], points: list[tuple[float, float]], constant: float, lipschitz: list[float]) -> float:
    found = _facts(words)
    lipschitz.append(abs(found["lipschitz"] - constant))
    return float(np.abs([(p["x"], p["slope"]) for p in found["fixed_points"]] - np.array(points)).max())


FIGURES = {"every_model": every_model, "evaluate_ring": evaluate_ring, "cobweb": cobweb}
