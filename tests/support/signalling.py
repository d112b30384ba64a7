"""Trainings in processes of their own that get a signal at a named instant."""

from __future__ import annotations

import importlib
import os
import signal
from pathlib import Path

import torch

from inncli.cli.app import main
from killing import SERVER, TINY

# instant -> the call in which it is sent: module, name in it, which of the calls
INSTANTS = {
    "start-up": ("inncli.config", "plan", 1),
    "simulation": ("inncli.tasks.toy.ring", "Ring.prior", 1),
    "first weights": ("inncli.experiments.train", "new_model", 1),
    "saving the pairs": ("inncli.experiments.train", "keep_pairs", 1),
    "before the first step": ("inncli.training.loop", "Loop.start", 1),
    "first step": ("inncli.training.loop", "Loop.take_step", 1),
    "mid epoch": ("inncli.training.loop", "Loop.take_step", 12),
    "validation": ("inncli.training.loop", "Loop.validate", 3),
    "checkpoint writing": ("inncli.training.loop", "save_checkpoint", 5),
    "end": ("inncli.experiments.train", "_final_metrics", 1),
}
BEFORE_THE_RUN = ("start-up", "simulation", "first weights")
BEFORE_A_CHECKPOINT = ("saving the pairs",)


def _child(words: list[str], folder: Path, number: int, instant: str | None) -> None:
    torch.set_num_threads(1)
    os.chdir(folder)
    os.environ["INN_OUTPUTS"] = str(folder)
    os.dup2(os.open(folder / "err", os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for stop in (signal.SIGINT, number):  # whatever those who started us ignore
        signal.signal(stop, signal.default_int_handler if stop == signal.SIGINT else signal.SIG_DFL)
    if instant is not None:
        _send(number, *INSTANTS[instant])
    os._exit(main(words))


def _send(number: int, module: str, name: str, which: int) -> None:
    owner = importlib.import_module(module)
    *outer, name = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    real, calls = getattr(owner, name), []

    def sending(*args, **kwargs):
        calls.append(None)
        if len(calls) == which:
            os.kill(os.getpid(), number)
        return real(*args, **kwargs)

    setattr(owner, name, sending)


def train(
    folder: Path, number: int = signal.SIGTERM, instant: str | None = None, words: list[str] | None = None
) -> int:
    """Trains `run` in the folder, or does what `words` say; returns the exit code, minus the signal that killed it."""
    words = ["train", *TINY, "trainer.max_steps=40", "hydra.run.dir=run"] if words is None else words
    process = SERVER.Process(target=_child, args=(words, folder, number, instant))
    process.start()
    process.join()
    return process.exitcode
