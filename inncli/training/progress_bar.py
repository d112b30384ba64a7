"""What the user sees while a run goes on: a bar on a terminal, plain lines elsewhere; on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from inncli.io.harmless import in_line
from inncli.training.state import Progress

Line = Mapping[str, float]  # the metrics of an epoch
PLAIN_EVERY = 5.0  # seconds between plain lines


class _Plain:
    """A line at the first and the last epoch, and every few seconds between."""

    def __init__(self) -> None:
        self._shown = -float("inf")
        self._planned = 0

    def plan(self, step: int, planned: int, steps_per_epoch: int) -> None:
        self._planned = planned
        start = f" from step {step:,}" if step else ""
        print(f"training {planned:,} steps{start}, {steps_per_epoch:,} an epoch", file=sys.stderr, flush=True)

    def step(self, progress: Progress, loss: float, lr: float) -> None:
        pass

    def epoch(self, line: Line) -> None:
        now = time.monotonic()
        if now - self._shown >= PLAIN_EVERY or line["step"] >= self._planned:
            self._shown = now
            print(_words(line) + f"  step {line['step']:,}/{self._planned:,}", file=sys.stderr, flush=True)


class _Bar:
    """Rich's progress bar with loss, learning rate and time left."""

    def __init__(self, bar: rich.progress.Progress, run_id: str) -> None:
        self._bar, self._run_id, self._words = bar, run_id, ""
        self._drawn = 0.0

    def plan(self, step: int, planned: int, steps_per_epoch: int) -> None:
        self._task = self._bar.add_task(in_line(self._run_id), total=planned, completed=step, words="")

    def step(self, progress: Progress, loss: float, lr: float) -> None:
        now = time.monotonic()
        if now - self._drawn > 0.1 or progress.step == progress.planned_steps:
            self._drawn = now
            words = f"loss {loss:.3f}  rate {lr:.1e}{self._words}"
            self._bar.update(self._task, completed=progress.step, words=words)

    def epoch(self, line: Line) -> None:
        if "val_loss" in line:
            self._words = f"  val {line['val_loss']:.4f}"


@contextlib.contextmanager
def show_progress(run_id: str) -> Iterator[_Plain | _Bar]:
    """Gives an object with `plan`, `step` and `epoch`."""
    if not sys.stderr.isatty() or "NO_COLOR" in os.environ:
        yield _Plain()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        TimeRemainingColumn(compact=True),
    )
    with rich.progress.Progress(*columns, console=Console(stderr=True), transient=False) as bar:
        yield _Bar(bar, run_id)


def _words(line: Line) -> str:
    parts = [f"epoch {line['epoch']:>4}", f"loss {line['loss']:.4f}"]
    if "val_loss" in line:
        parts.append(f"val {line['val_loss']:.4f}")
    return "  ".join([*parts, f"rate {line['lr']:.1e}"])
