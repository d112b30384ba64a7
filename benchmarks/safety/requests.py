"""Wrong requests, start-up, and runs that start in the same instant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import INN, WORK, inn, row, train

from inncli.runs.run_dir import RunDir


def cli() -> None:
    """Start-up, wrong requests, four trainings in the same instant."""
    for words in (["--help"], ["train", "--help"]):
        taken = []
        for _ in range(7):
            begun = time.perf_counter()
            inn(*words)
            taken.append(time.perf_counter() - begun)
        row("8", f"inn {' '.join(words)}: s, median of seven", taken, "< .3")
    probe = "import sys, inncli.cli.app; print(int('torch' in sys.modules or 'hydra' in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    row("8", "torch or hydra imported by the command line", int(loaded.stdout), "0")

    run, _ = train("trainer.max_steps=20")
    broken = WORK / "broken" / run.id
    shutil.copytree(run.path, broken)
    best = broken / "checkpoints" / "best.safetensors"
    best.write_bytes(best.read_bytes()[:-100])
    (WORK / "points.csv").write_text("x1,wrong\n1,2\n")
    before = sorted(WORK.rglob("*"))
    requests = [
        ["train", "trainer.learning_rate=1"],
        ["train", "--epochs", "3"],
        ["train", "trainer.lr=fast"],
        ["invert", "--run", "nosuchrun", "--y", "1"],
        ["invert", "--run", str(run.path), "--y", "1.5,0"],
        ["invert", "--run", str(run.path), "--y", "nan"],
        ["density", "--run", str(run.path), "--y", "1", "--points", "points.csv"],
        ["invert", "--run", str(broken), "--y", "1"],
    ]
    good = 0
    for words in requests:
        done = inn(*words, check=False)
        lines = done.stderr.rstrip("\n").split("\n")
        good += done.returncode == 2 and len(lines) == 1 and not done.stdout
        shown = " ".join(words).replace(str(WORK), "...")
        print(f"    inn {shown}\n      -> {done.returncode}: {lines[0].replace(str(WORK), '...')}")
    row("9", "wrong requests with code 2, one line, nothing written", good * (sorted(WORK.rglob("*")) == before), "8")

    root = Path(tempfile.mkdtemp(dir=WORK))
    env = {**os.environ, "INN_OUTPUTS": str(root)}
    four = [
        subprocess.Popen(
            [*INN, "train", "trainer.max_steps=30", f"seed={seed}"],
            cwd=WORK,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for seed in range(4)
    ]
    codes = [process.wait() for process in four]
    done = json.loads(inn("runs", "--json", env=env).stdout)
    seeds = {RunDir(root / entry["id"]).config()["seed"] for entry in done if entry["status"] == "done"}
    row("11", "intact run directories of four started in the same instant", len(seeds) * (codes == [0] * 4), "4")


FIGURES = {f.__name__: f for f in (cli,)}
