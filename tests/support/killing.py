"""Commands in processes of their own that are killed at a random moment, and what is found afterwards.

Shared by tests/test_durability.py and benchmarks/figures_5/safety.py. The processes are forked from a server that
has imported torch, so that a trial costs what it trains and not what it imports.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from inncli.cli.app import main
from inncli.data import pairs as pair_files
from inncli.errors import CheckpointError
from inncli.inference import posterior_files
from inncli.io import atomic, tables
from inncli.runs import run_dir
from inncli.runs.run_dir import RunDir
from inncli.training import checkpoint
from inncli.training.checkpoint import load_checkpoint

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["hydra", "torch._inductor.config", "inncli.cli.app", "inncli.config", "inncli.experiments.train", __name__]
)
TINY = [
    "model.n_blocks=1",
    "model.block.hidden=[8]",
    "task.n_train=300",
    "trainer.batch_size=32",
    "trainer.max_steps=60",
    "trainer.checkpoint_seconds=0",
    "device=cpu",
]


@dataclass
class Tally:
    """What was found after some kills.

    Attributes:
        kills: by where each struck. unreadable, lost, different: descriptions of what went wrong.
    """

    kills: Counter = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Kills that struck before the command had ended by itself."""
        return sum(self.kills.values())


# ---- the processes -----------------------------------------------------------------------------------
def _child(words: list[list[str]], folder: Path, careless: bool) -> None:
    torch.set_num_threads(1)
    os.chdir(folder)
    os.environ["INN_OUTPUTS"] = str(folder)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    if careless:
        _write_carelessly()
    code = 0
    for line in words:
        code = code or main(line)
        with open(folder / "ended", "a") as ended:  # after the command: what it kept is finished
            ended.write(f"{code}\n")
    os._exit(code)


def _write_carelessly() -> None:
    """The control: files written in place, piece by piece, as `open(path, "w")` does."""
    import contextlib

    @contextlib.contextmanager
    def in_place(path):
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path

    def write(path, data):
        with in_place(path), open(path, "wb", buffering=0) as file:
            data = data.encode() if isinstance(data, str) else data
            for start in range(0, len(data), 1024):
                file.write(data[start : start + 1024])
                time.sleep(0.001)  # a slow disk: on a fast one a checkpoint of 15 KB is hardly ever met half-written

    for module in (run_dir, checkpoint, tables, pair_files):
        for old, new in ((atomic.atomic_path, in_place), (atomic.atomic_write, write)):
            for key in [key for key, value in vars(module).items() if value is old]:
                setattr(module, key, new)


def start(folder: Path, *commands: list[str], careless: bool = False) -> multiprocessing.Process:
    """Runs commands one after the other, in the folder."""
    process = SERVER.Process(target=_child, args=([list(words) for words in commands], folder, careless))
    process.start()
    return process


def finish(folder: Path, *commands: list[str]) -> float:
    """Runs commands to their end, which must be good; returns the seconds that took."""
    begun = time.monotonic()
    process = start(folder, *commands)
    process.join()
    assert process.exitcode == 0, (commands, (folder / "err").read_text())
    return time.monotonic() - begun


def kill(process: multiprocessing.Process, delay: float) -> bool:
    """SIGKILL after a delay; whether it still ran."""
    process.join(delay)
    process.kill()  # one that has just ended is no error
    process.join()
    return process.exitcode == -signal.SIGKILL


# ---- training ----------------------------------------------------------------------------------------
def kill_trainings(folder: Path, kills: int, seed: int, careless: bool = False) -> Tally:
    """Kills trainings that write a checkpoint each step, reads all, resumes, and compares with one not killed."""
    rng = random.Random(seed)
    folder.mkdir()
    words = ["train", *TINY, "hydra.run.dir=run"]
    (folder / "whole").mkdir()
    total = finish(folder / "whole", words)
    whole = RunDir(folder / "whole" / "run")
    expected, training = load_checkpoint(whole.last), whole.info()["seconds"]
    tally, trial = Tally(), 0
    while tally.count < kills:
        trial += 1
        place = folder / str(trial)
        place.mkdir()
        run, process = RunDir(place / "run"), start(place, words, careless=careless)
        if trial % 4:  # else it may be struck before there is a run
            while process.is_alive() and not run.info_file.exists():
                time.sleep(0.002)
        if not kill(process, rng.uniform(0.0, 1.0) * (training if trial % 4 else total - training)):
            training *= 0.9  # it ended before: the machine is faster now
            continue
        tally.kills[_moment(run)] += 1
        before = len(tally.unreadable)
        tally.unreadable += [f"{trial}: {reason}" for reason in unreadable(run)]
        if not run.info_file.exists() or len(tally.unreadable) > before:
            continue  # nothing was begun: nothing to resume
        done = run.info()["status"] == "done"
        if not done:
            finish(place, ["train", "--resume", "run"])
        got = load_checkpoint(run.last)
        if not all(torch.equal(got[0][name], tensor) for name, tensor in expected[0].items()):
            tally.different.append(f"{trial}: weights")
        if _losses(run) != _losses(whole):
            tally.different.append(f"{trial}: losses")
    return tally


def _moment(run: RunDir) -> str:
    if not run.info_file.exists():
        return "before run.json"
    try:
        if run.info()["status"] == "done":
            return "after the end"
    except CheckpointError:  # counted as unreadable
        return "in run.json"
    return "training" if run.last.exists() else "before the first checkpoint"


def _losses(run: RunDir) -> list[dict]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in run.metrics()]


def unreadable(run: RunDir) -> list[str]:
    """What of a run's files is there and can't be read."""
    from inncli.data.pairs import load_pairs

    readers = {
        run.info_file: run.info,
        run.config_file: run.config,
        run.pairs: lambda: load_pairs(run.pairs),
        run.last: lambda: load_checkpoint(run.last),
        run.best: lambda: load_checkpoint(run.best),
        **{path: lambda path=path: posterior_files.load(path) for path in run.posteriors.glob("*.npz")},
    }
    found = []
    for path, read in readers.items():
        try:
            if path.exists():
                read()
        except Exception as error:
            found.append(f"{path.name}: {error}")
    for line in run.metrics_file.read_bytes().split(b"\n")[:-1] if run.metrics_file.exists() else []:
        json.loads(line)
    return found


# ---- inverting ---------------------------------------------------------------------------------------
def kill_inversions(folder: Path, kills: int, seed: int, careless: bool = False) -> Tally:
    """Kills inversions that keep their sets in the run; every set of a command that had ended must be there, whole."""
    rng = random.Random(seed)
    folder.mkdir()
    seconds = finish(folder, ["train", *TINY, "hydra.run.dir=run"])
    run = RunDir(folder / "run")
    words = ["invert", "--run", "run", "--y", "1.5", "-n", "20000", "--seed", "3"]
    seconds = finish(folder, words)
    expected = posterior_files.load(run.latest_posterior()).x
    tally = Tally()
    while tally.count < kills:
        (folder / "ended").unlink()
        before = set(run.posteriors.glob("*.npz"))
        process = start(folder, *[words] * 4, careless=careless)
        struck = kill(process, rng.uniform(0.05, 1.0) * 4 * seconds)
        ended = (folder / "ended").read_text().split() if (folder / "ended").exists() else []
        (folder / "ended").touch()
        if not struck:
            seconds *= 0.9
            continue
        tally.kills[f"after {len(ended)} of 4"] += 1
        tally.unreadable += unreadable(run)
        new = [path for path in run.posteriors.glob("*.npz") if path not in before]
        if len(new) < len(ended) or len(new) > len(ended) + 1:
            tally.lost.append(f"{len(ended)} ended, {len(new)} sets")
        for path in new:
            try:
                if not np.array_equal(posterior_files.load(path).x, expected):
                    tally.different.append(path.name)
            except Exception:
                path.unlink()  # counted above
    return tally
