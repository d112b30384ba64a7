"""Larger than memory: a table of 20 million rows, streamed; 10 million posterior draws. About 6 CPU-minutes.

Memory is the peak resident set of the command's own process, less that of the same command on a table of 2,000 rows:
the rest is what the table takes.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from common import INN, WORK, row
from pyarrow import parquet

from inncli.runs.registry import find_run
from inncli.runs.run_dir import RunDir

ROWS, FITS = 20_000_000, 2_000_000
BOUND = 300  # task.memory_mb
BATCH = 16_384
SETTINGS = ("model.n_blocks=1", "trainer.max_epochs=1", f"trainer.batch_size={BATCH}", "trainer.checkpoint_seconds=1e9")
DRAWS = 10_000_000
TIMED = """
import sys, time
from inncli.cli.app import main
if "train" in sys.argv:
    from inncli.training.trainer import Trainer
    fit = Trainer.fit
    def timed(*args, **kwargs):
        begun = time.process_time()
        found = fit(*args, **kwargs)
        print("fit", time.process_time() - begun, flush=True)
        return found
    Trainer.fit = timed
code = main(sys.argv[1:])
# Of this program alone: wait4 and getrusage count the memory of the program that started it too.
with open("/proc/self/status") as status:
    print("peak", next(line.split()[1] for line in status if line.startswith("VmHWM")), flush=True, file=sys.stderr)
sys.exit(code)
"""


def table(rows: int) -> Path:
    """An .npy of x1 to x3 and y1, y2 as 32-bit floats, written block by block."""
    path = WORK / f"{rows}.npy"
    if not path.exists():
        values = np.lib.format.open_memmap(path, "w+", np.float32, (rows, 5))
        rng = np.random.default_rng(0)
        for start in range(0, rows, 1 << 18):
            part = values[start : start + (1 << 18)]
            part[:, :3] = x = rng.standard_normal((len(part), 3))
            part[:, 3:] = np.column_stack([x[:, 0] + x[:, 1] * x[:, 2], x[:, 2] ** 2 - x[:, 0]])
            part[:, 3:] += 0.1 * rng.standard_normal((len(part), 2))
    return path


def measured(*words: str, root: Path, code: str = TIMED) -> tuple[float, float, str]:
    """Peak resident MB and CPU seconds of one command, and what it printed on stdout."""
    env = {**os.environ, "INN_OUTPUTS": str(root), "PYTHONPATH": str(Path(__file__).parents[2])}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([INN[0], "-c", code, *words], env=env, cwd=WORK, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"inn {' '.join(words)} failed: {done.stderr[-2000:]}")
    peak = float(re.search(r"^peak (\d+)$", done.stderr, re.M).group(1)) * 1024 / 1e6
    return peak, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def trained(rows: int, memory_mb: str) -> tuple[float, float, RunDir, float]:
    """Peak MB, CPU-s, the run, and rows a CPU second of its epoch, reading and validation included."""
    root = Path(tempfile.mkdtemp(dir=WORK))
    peak, cpu, said = measured(
        "train",
        "task=table",
        f"task.file={table(rows)}",
        "task.n_y=2",
        f"task.memory_mb={memory_mb}",
        *SETTINGS,
        root=root,
    )
    run = find_run(None, root)
    fit = float(re.search(r"^fit (\S+)$", said, re.M).group(1))
    return peak, cpu, run, run.info()["steps"] * min(BATCH, rows) / fit


def by_clock(run: RunDir) -> float:
    """Rows a second of a run's epoch."""
    return run.info()["steps"] * BATCH / run.info()["seconds"]


def stream() -> None:
    """20 million rows in one epoch: memory, throughput against 2 million read whole, and what reading whole takes."""
    empty = trained(20_000, "null")[0]
    row("5", "a table of 20,000 rows, one step: peak MB, the process itself", empty)
    peak, cpu, run, rate = trained(ROWS, str(BOUND))
    row(
        "5",
        f"{ROWS:,} rows streamed: peak MB less the process itself",
        peak - empty,
        f"asked: under {BOUND}; {peak:.0f} in all",
    )
    info, losses = run.info(), run.metrics()[-1]
    row(
        "5",
        f"{ROWS:,} rows streamed: rows in the epoch",
        info["steps"] * BATCH,
        f"{info['seconds']:.0f} s, {cpu:.0f} CPU-s in all",
    )
    whole_peak, whole_cpu, whole, whole_rate = trained(FITS, "null")
    row(
        "5",
        f"rows a CPU-s: {ROWS:,} streamed over {FITS:,} read whole",
        rate / whole_rate,
        f"asked: above 0.7; {rate:,.0f}",
    )
    row(
        "5",
        f"rows a second by the clock: {ROWS:,} streamed over {FITS:,} read whole",
        by_clock(run) / by_clock(whole),
        f"asked: above 0.7 where nothing else runs; {by_clock(run):,.0f}",
    )
    _, few_cpu, few, few_rate = trained(FITS, "100")
    row(
        "5",
        f"rows a CPU-s: {FITS:,} streamed over the same read whole",
        few_rate / whole_rate,
        f"asked: above 0.7; {few_rate:,.0f}",
    )
    row("5", f"CPU-s of the whole command: {FITS:,} streamed over read whole", few_cpu / whole_cpu, "below 1 is faster")
    row(
        "5",
        "val_loss: 2 million streamed less read whole",
        few.metrics()[-1]["val_loss"] - whole.metrics()[-1]["val_loss"],
        f"other splits and orders; 20 million streamed: {losses['val_loss']:.4f}",
    )
    row(
        "5",
        f"control: {FITS:,} rows, a tenth, read whole: peak MB less the process itself",
        whole_peak - empty,
        f"must be > {BOUND}",
    )
    later = measured("evaluate", "--run", str(run.path), root=run.path.parent)[0]
    row(
        "5",
        "inn evaluate on the run of 20 million: peak MB",
        later,
        f"the numbers alone, read whole: {ROWS * 5 * 8 / 1e6:.0f}",
    )


def draws() -> None:
    """`inn invert` -n 10,000,000 --out set.parquet: peak memory; the control holds the same draws."""
    root, out = Path(tempfile.mkdtemp(dir=WORK)), WORK / "set.parquet"
    measured("train", "task=ring", "model.n_blocks=1", "trainer.max_steps=200", root=root)
    peak, cpu, printed = measured("invert", "--y", "0.3", "-n", str(DRAWS), "--out", str(out), "--json", root=root)
    said = json.loads(printed)["observations"][0]["x"]["x1"]
    row(
        "5",
        f"{DRAWS:,} draws to Parquet: peak MB in all",
        peak,
        f"asked: under 1000; {cpu:.0f} CPU-s, {out.stat().st_size / 1e6:.0f} MB",
    )
    few = measured("invert", "--y", "0.3", "-n", "1000", "--out", str(WORK / "few.parquet"), root=root)[0]
    row("5", "1,000 draws to Parquet: peak MB, the process itself", few)
    values = parquet.read_table(out, columns=["x1"])["x1"].to_numpy()
    row("5", "draws in the file", len(values), f"asked: {DRAWS:,}")
    row(
        "5",
        "mean and sd in the summary less those of the file",
        [said["mean"] - values.mean(), said["sd"] - values.std()],
    )
    for name, share in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        row(
            "5",
            f"share of the draws below the summary's {name}, less {share}",
            (values < said[name]).mean() - share,
            "asked: within 1/4000 = .00025",
        )
    whole = TIMED.replace(
        "code = main(sys.argv[1:])",
        "import inncli; from inncli.inference.posterior_files import save; code = 0; "
        f"save(inncli.load(sys.argv[1]).posterior([[0.3]], {DRAWS // 4}), {str(WORK / 'once.parquet')!r})",
    )
    row(
        "5",
        f"control: {DRAWS // 4:,} draws, a quarter, made and saved at once: peak MB",
        measured(str(find_run(None, root).path), root=root, code=whole)[0],
        "must be far above the first line",
    )


FIGURES = {"stream": stream, "draws": draws}
