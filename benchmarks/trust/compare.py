"""Figures of issue 4: inn compare on a sweep, its evaluations twice, and how much data the ring takes."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np
from common import SEEDS, WORK, inn, row

STEPS = 200  # of each run of the sweep: it shows that they are compared, not how good they are
DRAWS = "1000"


def _swept(*words: str) -> tuple[dict, Path]:
    root = Path(tempfile.mkdtemp(dir=WORK))
    env = {**os.environ, "INN_OUTPUTS": str(root)}
    inn("train", "-m", *words, env=env)
    return env, next((root / "sweeps").iterdir())


def sweep() -> None:
    """`inn compare` on 3 models x 3 seeds of 200 steps each; again with an evaluation of each model deleted between."""
    env, path = _swept("model=rnvp,spline,glow", "seed=0,1,2", f"trainer.max_steps={STEPS}")
    words = ("compare", path.name, "--json", "-n", DRAWS)
    texts = [inn(*words, env=env).stdout]
    kept = [
        path / job / "evaluations" for job in ("0", "3", "6")
    ]  # one seed of each model: an evaluation takes its time
    for folder in kept:
        shutil.rmtree(folder)
    texts.append(inn(*words, env=env).stdout)
    found = json.loads(texts[0])
    row("8", "inn compare, 3 models x 3 seeds: runs in the JSON", len(found["runs"]), "asked: 9")
    row("8", "groups of 3 seeds each", sum(len(group["seeds"]) == 3 for group in found["groups"]), "asked: 3")
    row(
        "8",
        "evaluations deleted, made again: inn compare agrees in every byte",
        texts[0] == texts[1],
        f"asked: 1; {len(kept)} deleted",
    )
    wrong = 0.0
    for group in found["groups"]:
        values = [run["metrics"]["nll"] for run in found["runs"] if run["run"] in group["runs"]]
        wrong = max(
            wrong,
            abs(statistics.fmean(values) - group["metrics"]["nll"]["mean"]),
            abs(np.std(values, ddof=1) - group["metrics"]["nll"]["sd"]),
        )
        row("", f"{group['config']}: nll of the seeds", values, "best" if "nll" in group["best"] else "")
    row("8", "largest error of a mean or sd over seeds", wrong, "0")
    alone = [
        json.loads(inn("evaluate", "--json", "--fresh", "--run", f"{path.name}/0", "-n", DRAWS, env=env).stdout)
        for _ in range(2)
    ]
    row("8", "two runs of inn evaluate --fresh agree exactly", alone[0] == alone[1], "asked: 1")
    other = json.loads(inn("evaluate", "--json", "--seed", "1", "--run", f"{path.name}/0", "-n", DRAWS, env=env).stdout)
    row("", "control: with another --seed they agree", other["metrics"] == alone[0]["metrics"], "must be 0")


def how_much_data() -> None:
    """experiment=how_much_data as shipped, one seed: accuracy from 100 pairs to 100,000, and its picture."""
    env, path = _swept("experiment=how_much_data")
    done = inn("compare", path.name, "--plot", "--json", env=env)
    groups = sorted(json.loads(done.stdout)["groups"], key=lambda group: group["config"]["task.n_train"])
    for name in ("nll", "c2st", "err_resim", "seconds"):
        for group in groups:
            row("", f"{group['config']['task.n_train']:,} pairs: {name}", group["metrics"][name]["mean"])
    nll = [group["metrics"]["nll"]["mean"] for group in groups]
    row("", "steps from one size to the next at which nll falls, of 6", int(np.sum(np.diff(nll) < 0)), "6")
    row("", "bytes of the picture", (path / "compare.png").stat().st_size, f"{len(SEEDS[:1])} seed")


FIGURES = {"sweep": sweep, "how_much_data": how_much_data}
