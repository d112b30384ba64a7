"""Larger than memory: a table of 20 million rows, streamed; 10 million posterior draws. About 6 CPU-minutes.

Memory is the peak resident set of the command's own process, less that of the same command on a table of 2,000 rows: what is
left is what the table takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from pyarrow import parquet

from common import INN, WORK, row
from inncli.run import RunDir, find_run

ROWS, FITS = 20_000_000, 2_000_000
BOUND = 300  # task.memory_mb
SETTINGS = ("model.n_blocks=1", "trainer.max_epochs=1", "trainer.batch_size=16384", "trainer.checkpoint_seconds=1e9")
DRAWS = 10_000_000


def table(rows: int) -> Path:
    """An .npy of x1 to x3 and y1, y2 as 32-bit floats, written block by block."""
    path = WORK / f"{rows}.npy"
    if not path.exists():
        values = np.lib.format.open_memmap(path, "w+", np.float32, (rows, 5))
        rng = np.random.default_rng(0)
        for start in range(0, rows, 1 << 18):
            part = values[start:start + (1 << 18)]
            part[:, :3] = x = rng.standard_normal((len(part), 3))
            part[:, 3:] = np.column_stack([x[:, 0] + x[:, 1] * x[:, 2], x[:, 2] ** 2 - x[:, 0]])
            part[:, 3:] += 0.1 * rng.standard_normal((len(part), 2))
    return path


def measured(*words: str, root: Path) -> tuple[float, float]:
    """Peak resident MB and CPU seconds of one command."""
    env = {**os.environ, "INN_OUTPUTS": str(root), "PYTHONPATH": str(Path(__file__).parents[2])}
    with open(WORK / "log", "w+") as log:
        process = subprocess.Popen([*INN, *words], stdout=log, stderr=log, env=env, cwd=WORK)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"inn {' '.join(words)} failed: {(WORK / 'log').read_text()[-2000:]}")
    return used.ru_maxrss / 1e3, used.ru_utime + used.ru_stime


def trained(rows: int, memory_mb: str, *more: str) -> tuple[float, float, RunDir, float]:
    """Peak MB, CPU-s, the run, and training rows a second of its epoch."""
    root = Path(tempfile.mkdtemp(dir=WORK))
    peak, cpu = measured("train", "task=table", f"task.file={table(rows)}", "task.n_y=2", f"task.memory_mb={memory_mb}",
                         *SETTINGS, *more, root=root)
    run = find_run(None, root)
    info = run.info()
    return peak, cpu, run, info["steps"] * min(16384, rows) / info["seconds"]


def stream() -> None:
    """20 million rows in one epoch: memory, throughput against 2 million read whole, and what reading whole takes."""
    empty = trained(2_000, "null")[0]
    row("5", "a table of 2,000 rows: peak MB, the process itself", empty)
    peak, cpu, run, rate = trained(ROWS, str(BOUND))
    row("5", f"{ROWS:,} rows streamed: peak MB less the process itself", peak - empty, f"asked: under {BOUND}; {peak:.0f} in all")
    info = run.info()
    row("5", f"{ROWS:,} rows streamed: rows in the epoch", info["steps"] * 16384, f"{info['seconds']:.0f} s, {cpu:.0f} CPU-s in all")
    losses = run.metrics()[-1]
    whole_peak, whole_cpu, whole, whole_rate = trained(FITS, "null")
    row("5", f"rows/s: {ROWS:,} streamed over {FITS:,} read whole", rate / whole_rate, f"asked: above 0.7; {rate:,.0f} rows/s")
    few_peak, few_cpu, few, few_rate = trained(FITS, "100")
    row("5", f"rows/s: {FITS:,} streamed over the same read whole", few_rate / whole_rate, f"asked: above 0.7; {few_rate:,.0f} rows/s")
    row("5", f"CPU-s of the whole command: {FITS:,} streamed over read whole", few_cpu / whole_cpu, "below 1 is faster")
    row("5", "val_loss: 2 million streamed less read whole", few.metrics()[-1]["val_loss"] - whole.metrics()[-1]["val_loss"],
        f"the same model on another split; 20 million streamed: {losses['val_loss']:.4f}")
    row("5", f"control: {FITS:,} rows, a tenth, read whole: peak MB less the process itself", whole_peak - empty, f"must be > {BOUND}")
    later = measured("evaluate", "--run", str(run.path), root=run.path.parent)[0]
    row("5", "inn evaluate on the run of 20 million: peak MB", later, f"the numbers alone, read whole: {ROWS * 5 * 8 / 1e6:.0f}")


def draws() -> None:
    """inn invert -n 10,000,000 --out set.parquet: peak memory; the control holds the same draws."""
    root = Path(tempfile.mkdtemp(dir=WORK))
    measured("train", "task=ring", "model.n_blocks=1", "trainer.max_steps=200", root=root)
    out = WORK / "set.parquet"
    peak, cpu = measured("invert", "--y", "0.3", "-n", str(DRAWS), "--out", str(out), "--json", root=root)
    said = json.loads((WORK / "log").read_text())["observations"][0]["x"]["x1"]
    row("5", f"{DRAWS:,} draws to Parquet: peak MB in all", peak, f"asked: under 1000; {cpu:.0f} CPU-s, {out.stat().st_size / 1e6:.0f} MB")
    few, _ = measured("invert", "--y", "0.3", "-n", "1000", "--out", str(WORK / "few.parquet"), root=root)
    row("5", "1,000 draws to Parquet: peak MB, the process itself", few)
    values = parquet.read_table(out, columns=["x1"])["x1"].to_numpy()
    row("5", "draws in the file", len(values), f"asked: {DRAWS:,}")
    row("5", "mean and sd in the summary less those of the file", [said["mean"] - values.mean(), said["sd"] - values.std()])
    row("5", "share of the draws below the summary's q05, q50, q95", [(values < said[q]).mean() for q in ("q05", "q50", "q95")],
        "asked: .05, .5, .95 within 1/4000")
    code = (f"import inncli, numpy; r = inncli.load({str(find_run(None, root).path)!r}); "
            f"r.posterior([[0.3]], {DRAWS // 4}).save({str(WORK / 'once.parquet')!r})")
    process = subprocess.Popen([INN[0], "-c", code], env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, cwd=WORK)
    used = os.wait4(process.pid, 0)[2]
    row("5", f"control: {DRAWS // 4:,} draws, a quarter, made and saved at once: peak MB", used.ru_maxrss / 1e3,
        "must be far above the first line")


FIGURES = {"stream": stream, "draws": draws}
