"""Runs killed at any step end with the weights that they would have had."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from common import INN, WORK, inn, row, train

from inncli.runs.run_dir import RunDir
from inncli.training.checkpoint import load_checkpoint


def kill() -> None:
    """Five runs killed at a random moment and resumed, against one that was never stopped."""
    words = ["trainer.max_steps=1000", "trainer.checkpoint_seconds=0.5"]
    whole, _ = train(*words)
    truth = load_checkpoint(whole.best)[0]
    rng, equal, steps = random.Random(0), 0, []
    for _ in range(5):
        root = Path(tempfile.mkdtemp(dir=WORK))
        env = {**os.environ, "INN_OUTPUTS": str(root)}
        victim = subprocess.Popen(
            [*INN, "train", *words], cwd=WORK, env=env, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        while not list(root.glob("*/metrics.jsonl")):
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 0.8 * whole.info()["seconds"]))
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
        (folder,) = (p.parent for p in root.glob("*/run.json"))
        steps.append(load_checkpoint(RunDir(folder).last)[1]["training"]["step"])
        inn("train", "--resume", str(folder), env=env)
        again = load_checkpoint(RunDir(folder).best)[0]
        equal += all(torch.equal(truth[name], again[name]) for name in truth)
        lines = [{k: v for k, v in line.items() if k != "seconds"} for line in RunDir(folder).metrics()]
        assert lines == [{k: v for k, v in line.items() if k != "seconds"} for line in whole.metrics()]
    row("6", f"killed at steps {steps} of {whole.info()['steps']}: resumed weights bit-identical, of 5", equal, "5")
    other = load_checkpoint(train(*words, "seed=1")[0].best)[0]
    row(
        "",
        "control: another seed has the same weights",
        all(torch.equal(truth[k], other[k]) for k in truth),
        "must be 0",
    )


FIGURES = {f.__name__: f for f in (kill,)}
