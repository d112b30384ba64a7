"""What every figures script uses: run `inn` in a scratch folder, train, print a row.

Every accuracy is the median of 3 training seeds with its range. `control` rows repeat a check on a model that
was broken on purpose: a check that can't fail says nothing.
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from inncli.runs.registry import find_run
from inncli.runs.run_dir import RunDir

SEEDS = (0, 1, 2)
WORK = Path(tempfile.mkdtemp(prefix="figures-"))
ROOT = Path(__file__).resolve().parents[1]
RELEASE = "2f8df4d"  # 0.4.0
INN = [sys.executable, "-m", "inncli"]


def inn(*words: str, check: bool = True, tree: Path = ROOT, **kwargs) -> subprocess.CompletedProcess:
    """Runs one command in the scratch folder, with the code of this checkout or of another tree."""
    env = {**(kwargs.pop("env", None) or os.environ), "PYTHONPATH": str(tree)}
    done = subprocess.run([*INN, *words], cwd=WORK, env=env, capture_output=True, text=True, **kwargs)
    if check and done.returncode:
        raise SystemExit(f"inn {' '.join(words)} failed: {done.stderr}")
    return done


def train(*words: str, tree: Path = ROOT) -> tuple[RunDir, float]:
    """Trains a run, by the code of this checkout or of another tree; returns it with the seconds that training took."""
    root = Path(tempfile.mkdtemp(dir=WORK))
    inn("train", *words, tree=tree, env={**os.environ, "INN_OUTPUTS": str(root)})
    run = find_run(None, root)
    return run, run.info()["seconds"]


def row(line: str, what: str, values, limit: str = "") -> None:
    """Prints median and range."""
    values = [float(v) for v in np.atleast_1d(values)]
    middle = statistics.median(values)
    spread = f"  [{min(values):.4g}, {max(values):.4g}]" if len(values) > 1 else ""
    print(f"{line:<3} {what:<66} {middle:>10.4g}{spread}  {limit}", flush=True)


def release() -> Path:
    """The code of 0.4.0, unpacked into the scratch folder."""
    tree = WORK / RELEASE
    if not tree.is_dir():
        packed = subprocess.run(["git", "archive", RELEASE], cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(tree, filter="data")
    return tree
