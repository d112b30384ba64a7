"""What an evaluation costs beside 0.4.0, and whether its classifier is still scikit-learn's."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import INN, ROOT, WORK, release, row
from threadpoolctl import threadpool_limits

from inncli.metrics.c2st import c2st_scores
from inncli.numerics import classifiers

STEPS = 300  # of each training: the cost of an evaluation hardly depends on how good the run is
FULL = 6  # of the twenty pairs that have the published 10,000 draws a side; scikit-learn takes half a minute each
ROUNDS = 1


def agreement() -> None:
    """C2ST of twenty pairs beside scikit-learn's classifier; control: nets that stop after five epochs."""
    pairs = list(_pairs())
    theirs = np.array([_by_scikit_learn(*pair) for pair in pairs])
    before = _cpu_seconds()
    ours = np.array(c2st_scores(pairs, cores=1))
    row("", "CPU seconds of ours", _cpu_seconds() - before)
    row("", "scikit-learn's C2ST", theirs)
    row("9", "mean difference of twenty pairs", abs((ours - theirs).mean()), "asked: <= .005")
    row("", "each difference", ours - theirs)
    row("", "mean of their sizes", np.abs(ours - theirs).mean())
    epochs, classifiers.MOST_EPOCHS = classifiers.MOST_EPOCHS, 5
    try:
        broken = np.array(c2st_scores(pairs, cores=1))
    finally:
        classifiers.MOST_EPOCHS = epochs
    row("", "control, five epochs: mean difference", abs((broken - theirs).mean()), "must be > .005")


def _pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Twenty pairs (draws, reference): crescents, rings, normals in 4 and 10 unknowns; alike and changed."""
    for k in range(20):
        rng = np.random.default_rng([12, k])
        n = 10_000 if k < FULL else 2_000
        kind, change = ("moons", "ring", "normal 4", "normal 10")[k % 2 if k < FULL else k % 4], k % 5 / 4
        yield _draws(kind, n, change, rng), _draws(kind, n, 0.0, rng)


def _draws(kind: str, n: int, change: float, rng: np.random.Generator) -> np.ndarray:
    """N draws of a law that `change`, from 0 to 1, takes away from the reference."""
    if kind == "moons":
        angle, radius = np.pi * (rng.random(n) - 0.5), 0.1 + 0.01 * (1 + 3 * change) * rng.standard_normal(n)
        side = np.where(rng.random(n) < 0.5 - 0.2 * change, 1, -1)
        return np.column_stack([side * (radius * np.cos(angle) + 0.25), side * radius * np.sin(angle)])
    if kind == "ring":
        angle, radius = 2 * np.pi * rng.random(n), 1 + 0.05 * (1 + change) * rng.standard_normal(n)
        return np.column_stack([radius * np.cos(angle), radius * np.sin(angle) + 0.05 * change])
    dim = int(kind.split()[1])
    x = rng.standard_normal((n, dim))
    x[:, 0] += change * (x[:, 1] ** 2 - 1) / 2 + 0.1 * change
    return x


def _by_scikit_learn(x: np.ndarray, reference: np.ndarray, seed: int = 1) -> float:
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neural_network import MLPClassifier

    rows = (np.concatenate([reference, x]) - reference.mean(0)) / reference.std(0, ddof=1)
    width = 10 * x.shape[1]
    classifier = MLPClassifier((width, width), max_iter=1000, random_state=seed)
    side = np.repeat([0, 1], [len(reference), len(x)])
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cross_val_score(classifier, rows, side, cv=KFold(5, shuffle=True, random_state=seed)).mean()


def evaluate() -> None:
    """CPU time of `inn evaluate` over that of 0.4.0, in turn on the same run, for ring and two_moons."""
    for task in ("ring", "two_moons"):  # 3 held-out ys, 10 published observations
        _ratio(f"inn evaluate, {task}", ["evaluate", "--fresh"], _trained([f"task={task}"]))


def compare() -> None:
    """CPU time of `inn compare` of four ring runs not yet evaluated over that of 0.4.0; and ours with --metric nll."""
    outputs = _trained(*(["task=ring", f"seed={seed}"] for seed in range(4)))
    row(
        "",
        "inn compare --metric nll, four ring runs: CPU seconds",
        _cost(["compare", "--metric", "nll"], outputs, ROOT),
    )
    _ratio("inn compare, four ring runs", ["compare"], outputs)


def _trained(*runs: list[str]) -> Path:
    """Outputs with these runs, trained by 0.4.0: we open its runs, it does not open ours."""
    outputs = Path(tempfile.mkdtemp(dir=WORK))
    for words in runs:
        _inn(["train", *words, f"trainer.max_steps={STEPS}"], outputs, release())
    return outputs


def _ratio(what: str, words: list[str], outputs: Path) -> None:
    """Runs both in turn, each on a copy of the outputs, so that none finds what the other has kept."""
    seconds = np.array([[_cost(words, outputs, tree) for tree in (ROOT, release())] for _ in range(ROUNDS)])
    row("9", f"{what}: ours / 0.4.0", seconds[:, 0] / seconds[:, 1], "asked: <= .25")
    row("", "CPU seconds of ours", seconds[:, 0])
    row("", "CPU seconds of 0.4.0", seconds[:, 1])


def _cost(words: list[str], outputs: Path, tree: Path) -> float:
    """CPU seconds of a command by the code of this tree, worker processes included."""
    copy = Path(tempfile.mkdtemp(dir=WORK)) / "outputs"
    shutil.copytree(outputs, copy)
    if words[0] == "compare":
        words = [*words, *sorted(path.name for path in copy.iterdir() if (path / "run.json").is_file())]
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    _inn(words, copy, tree)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime


def _inn(words: list[str], outputs: Path, tree: Path) -> None:
    env = {**os.environ, "INN_OUTPUTS": str(outputs), "PYTHONPATH": str(tree)}
    done = subprocess.run([*INN, *words], cwd=outputs, env=env, capture_output=True, text=True)
    if done.returncode or "was not evaluated" in done.stderr:
        raise SystemExit(f"inn {' '.join(words)} failed: {done.stderr}")


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


FIGURES = {"agreement": agreement, "evaluate": evaluate, "compare": compare}
