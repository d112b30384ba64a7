"""The default on tables of few rows, scikit-learn's own: beside a model that ignores y, and where its draws lie."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from common import SEEDS, WORK, row, train
from sklearn import datasets

import inncli
from inncli.inference.run_task import task_of
from inncli.runs.run_dir import RunDir

DRAWS = 10_000
MODELS = ("rnvp", "spline")  # the default, and the one that takes any shape
LOADERS = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
    "linnerud": datasets.load_linnerud,
}
# name: table, columns of x (None: all others), columns of y
QUESTIONS = {
    "iris, petals from sepals and kind": ("iris", "petal_length,petal_width", "sepal_length,sepal_width,kind"),
    "iris, sepals from petals and kind": ("iris", "sepal_length,sepal_width", "petal_length,petal_width,kind"),
    "wine, four columns from three": (
        "wine",
        "alcohol,flavanoids,color_intensity,proline",
        "hue,od280_od315_of_diluted_wines,magnesium",
    ),
    "diabetes, ten columns from progression": ("diabetes", None, "target"),
    "diabetes, progression from ten columns": ("diabetes", "target", "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6"),
    "linnerud, exercise from physiology": ("linnerud", "Chins,Situps,Jumps", "Weight,Waist,Pulse"),
}


def tables() -> None:
    """Held-out nll less that of `marginal`, on the same rows; the farthest of 10,000 draws; what was kept."""
    for what, (name, x, y) in QUESTIONS.items():
        words = ["task=table", f"task.file={written(name)}", f"task.y=[{y}]", *([f"task.x=[{x}]"] if x else [])]
        losses = {}
        for model in ("marginal", *MODELS):
            runs = [train(*words, f"model={model}", f"seed={seed}") for seed in SEEDS]
            losses[model] = np.concatenate([nll(run, seed) for (run, _), seed in zip(runs, SEEDS, strict=True)])
            if model == "marginal":
                row("", f"{what}: nll of marginal", losses[model].mean())
                continue
            gain = losses[model] - losses["marginal"]
            error = gain.std(ddof=1) / len(gain) ** 0.5
            row("3", f"{what}, {model}: nll less that of marginal", gain.mean(), f"+- {error:.3f}; <= its error")
            beyond = [widths_beyond(run, seed) for (run, _), seed in zip(runs, SEEDS, strict=True)]
            row("3", f"{what}, {model}: farthest draw, widths beyond the range", beyond, "<= .2")
            for run, seconds in runs:
                print(f"      {seconds:.0f} s; {run.info().get('kept') or 'kept the end'}", flush=True)


def written(name: str) -> Path:
    """One of scikit-learn's tables as a CSV with plain names; the kinds of iris and wine in words."""
    path = WORK / f"{name}.csv"
    if not path.is_file():
        found = LOADERS[name]()
        target = np.reshape(found.target, (len(found.data), -1))
        names, rows = [*found.feature_names], [[f"{value:g}" for value in row] for row in found.data.tolist()]
        if name in ("iris", "wine"):
            names, more = [*names, "kind"], [[str(found.target_names[kind])] for kind in found.target]
        else:
            names += getattr(found, "target_names", ["target"])
            more = [[f"{value:g}" for value in row] for row in target.tolist()]
        plain = [words.replace(" (cm)", "").replace("/", "_").replace(" ", "_") for words in names]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([plain, *(a + b for a, b in zip(rows, more, strict=True))])
    return path


def nll(run: RunDir, seed: int, times: int = 8) -> np.ndarray:
    """The held-out loss of each test row, (rows,); recorded values are spread over their cells several times."""
    trained, test = inncli.load(run.path), task_of(run).test_pairs(seed)
    rng, steps = np.random.default_rng(seed), np.array(trained.x.steps)
    spread = [test.x + steps * (rng.random(test.x.shape) - 0.5) for _ in range(times)]
    return -np.mean([trained.log_prob(x, test.y) for x in spread], 0)


def widths_beyond(run: RunDir, seed: int) -> float:
    """How far the farthest draw lies beyond the table's range, in widths of it."""
    trained, task = inncli.load(run.path), task_of(run)
    y = task.test_pairs(seed).y
    x = trained.sample(y, -(-DRAWS // len(y)), seed).reshape(-1, trained.x.dim)
    table = np.concatenate([task.training_pairs(seed).x, task.test_pairs(seed).x])
    low, high = table.min(0), table.max(0)
    return float((np.maximum(low - x, x - high) / (high - low)).max())


FIGURES = {"tables": tables}
