"""Two processes train as one does on the joined batch; what their exchange costs; subnets in bf16.

There was no GPU when these were written: CUDA graphs, NCCL, TF32 and fp16 were not run. About 10 CPU-minutes.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import INN, SEEDS, WORK, row, train

from inncli import config, runtime
from inncli.experiments.setup import build_setup, new_model, split_pairs, trainer_data
from inncli.nn import sharding
from inncli.objectives.bidirectional import Bidirectional
from inncli.runs.run_dir import RunDir
from inncli.training import distributed
from inncli.training.group import alone
from inncli.training.loop import Loop

STEPS = 50
CPU = torch.device("cpu")
NLL, MMD, ML = ["model=spline"], ["model=inn_mmd"], ["model=inn"]


class _Apart(Bidirectional):
    """The broken way: each process's own loss, so that no kernel sees a row of each."""

    def forward(self, model, batch, step, generator):
        share, sharding._share = sharding._share, None
        try:
            if share is not None:
                batch = tuple(part[share.own(len(part))] for part in batch)
            return super().forward(model, batch, step, generator)
        finally:
            sharding._share = share


def _curve(group, words: list[str], broken: str | None = None, nudge: float = 0.0) -> tuple[np.ndarray, list[bytes]]:
    """The losses of the first 50 steps of a shipped recipe in float64, and each process's weights after them."""
    setup = build_setup(config.plan([*words, "task=ring", "dtype=float64", "device=cpu"])[0].config, group)
    data = split_pairs(setup, setup.task.training_pairs(setup.seed))
    model = new_model(setup, data)
    if broken == "apart":
        setup.objective.__class__ = _Apart
    seed = group.rank if broken == "noise" else setup.seed
    loop = Loop(
        setup.trainer,
        model,
        setup.objective,
        trainer_data(setup, data, model),
        seed,
        Path("none"),
        Path("none"),
        {},
        group,
    )
    with torch.no_grad():
        loop.parameters[0] += nudge * loop.parameters[0].abs().max()
    with group.sharing():
        loop.start()
        losses = np.array([loop.take_step()[0] for _ in range(STEPS)])
    weights = b"".join(p.detach().numpy().tobytes() for p in loop.parameters)
    return losses, group.each(weights)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a / b - 1).max())


def curves() -> None:
    """Losses of 50 steps in float64, two CPU processes against one; also with the gathering broken."""
    for name, words in (("spline by likelihood", NLL), ("inn by MMD", MMD), ("inn by likelihood", ML)):
        one = _curve(alone(CPU), words)[0]
        two, weights = distributed.run(["cpu", "cpu"], _curve, words)
        row("4", f"{name}: largest relative difference of the loss over {STEPS} steps", _apart(two, one), "asked: 1e-6")
        row("4", f"{name}: both processes end with the same bits of every weight", weights[0] == weights[1], "asked: 1")
        if words == MMD:
            for broken, what in (
                ("apart", "each process's MMD of its own rows"),
                ("noise", "noise of its own in each process"),
            ):
                worse = distributed.run(["cpu", "cpu"], _curve, words, broken)[0]
                row("", f"control: {what}", _apart(worse, one), "must be above 1e-6")
    short = [*MMD, f"trainer.max_steps={STEPS}"]
    one = _curve(alone(CPU), short)[0]
    row(
        "4",
        f"inn by MMD, its whole schedule squeezed into {STEPS} steps: two against one",
        _apart(distributed.run(["cpu", "cpu"], _curve, short)[0], one),
        "chaotic: no bound asked",
    )
    row(
        "",
        "the same, one process against itself with a weight moved by 1e-15 of it",
        _apart(_curve(alone(CPU), short, nudge=1e-15)[0], one),
        "as much",
    )


def _cpu_seconds_a_step(group, batch: int, steps: int = 60) -> list[float]:
    words = [*NLL, "task=ring", "device=cpu", f"trainer.batch_size={batch}", "task.n_train=20000"]
    setup = build_setup(config.plan(words)[0].config, group)
    data = split_pairs(setup, setup.task.training_pairs(setup.seed))
    model = new_model(setup, data)
    loop = Loop(
        setup.trainer,
        model,
        setup.objective,
        trainer_data(setup, data, model),
        0,
        Path("none"),
        Path("none"),
        {},
        group,
    )
    with group.sharing():
        loop.start()
        for _ in range(5):
            loop.take_step()
        before = resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(steps):
            loop.take_step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return group.each((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / steps)


def speed() -> None:
    """CPU time of a step in the busier of two processes, as a share of that of one: what two idle cores would gain."""
    for batch in (256, 4096, 16384):
        runtime.set_threads(1)
        (one,) = _cpu_seconds_a_step(alone(CPU), batch)
        two = distributed.run(["cpu", "cpu"], _cpu_seconds_a_step, batch)
        row(
            "4",
            f"spline, batch {batch}: {1e3 * one:.1f} ms a step; share of it in each of two",
            max(two) / one,
            ".5 is ideal",
        )


def _ended(words: list[str], who: str, number: int) -> tuple[int, float, str, RunDir, int]:
    """Signals one of two processes of a run: exit code, seconds until all ended, last line, run, left over."""
    root = Path(tempfile.mkdtemp(dir=WORK))
    env = {**os.environ, "INN_OUTPUTS": str(root), "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [*INN, "train", "device=[cpu,cpu]", "model=rnvp", "task.n_train=1000", *words],
        env=env,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    while not list(root.glob("*/metrics.jsonl")):
        time.sleep(0.05)
    run = RunDir(next(root.glob("*/metrics.jsonl")).parent)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    first = run.info()["pid"]
    pids = {"starter": process.pid, "first": first, "second": next(pid for pid in workers if pid != first)}
    os.kill(pids[who], number)
    begun = time.monotonic()
    err = process.communicate(timeout=120)[1]
    while any(_lives(pid) for pid in workers) and time.monotonic() < begun + 60:
        time.sleep(0.05)
    lines = err.strip().splitlines() or [""]
    return process.returncode, time.monotonic() - begun, lines[-1], run, sum(_lives(pid) for pid in workers)


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


def endings() -> None:
    """Signals to each of the processes of one run: all end, with a checkpoint that can be resumed."""
    for who, number, code in (
        ("starter", signal.SIGINT, 130),
        ("second", signal.SIGTERM, 130),
        ("first", signal.SIGKILL, 1),
        ("second", signal.SIGKILL, 1),
        ("starter", signal.SIGKILL, -9),
    ):
        got, seconds, line, run, left = _ended(["trainer.max_steps=1000000"], who, number)
        row(
            "4",
            f"{signal.Signals(number).name} to the {who}: seconds until all had ended",
            seconds,
            f"exit code {got}: {line[:90]}",
        )
        row(
            "",
            "exit code as it should be, checkpoint whole, nobody left behind",
            got == code and left == 0 and run.last.is_file(),
            "asked: 1",
        )


def precision() -> None:
    """Subnets in bf16 against float32 on the ring: what rounding costs in 500 steps."""
    for choice in ("full", "bf16"):
        losses = [
            train("task=ring", "model=rnvp", f"seed={seed}", "trainer.max_steps=500", f"trainer.precision={choice}")[
                0
            ].info()["metrics"]["val_loss"]
            for seed in SEEDS
        ]
        row("", f"rnvp, 500 steps, precision={choice}: validation loss in nats", losses, "bf16 near full")


FIGURES = {"curves": curves, "speed": speed, "endings": endings, "precision": precision}
