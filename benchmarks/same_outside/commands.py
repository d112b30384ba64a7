"""What a user asks rightly: the base's README, every help text, JSON, and what the README leaves out."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from trees import FIXED, Case

STEPS = 15
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
BUDGETS = ("trainer.max_steps=", "trainer.max_seconds=")
# The README's Python block, and what it found as text.
NOTEBOOK = "from_python.py"
FOUND = (
    "\nimport hashlib\nprint(x.shape, log_prob.shape, hashlib.sha256(x.tobytes() + log_prob.tobytes()).hexdigest())\n"
)


def blocks(base: Path, language: str) -> list[str]:
    """The README's code blocks of a language."""
    return [text for name, text in BLOCK.findall((base / "README.md").read_text("utf-8")) if name == language]


def readme(base: Path) -> list[Case]:
    """The README's commands in order; the Python block after the first training, whose run it reads."""
    lines = [shlex.split(line, comments=True) for block in blocks(base, "sh") for line in block.splitlines()]
    found = [_short(words) for words in lines if words and words[0] == "inn"]
    return [Case("readme", words) for words in (found[0], ("python", NOTEBOOK), *found[1:])]


def prepare(base: Path, place: Path) -> None:
    """The files that the README's commands read."""
    shutil.copytree(base / "data", place / "data")
    (simulator,) = [block for block in blocks(base, "python") if block.startswith("# my_sim.py")]
    (notebook,) = [block for block in blocks(base, "python") if block != simulator]
    (place / "my_sim.py").write_text(simulator, encoding="utf-8")
    (place / NOTEBOOK).write_text(notebook + FOUND, encoding="utf-8")


def _short(words: list[str]) -> tuple[str, ...]:
    """A budget in steps: one in seconds would make the learning rate depend on the machine."""
    if words[1] != "train" or "-c" in words:
        return tuple(words)
    return (*(word for word in words if not word.startswith(BUDGETS)), f"trainer.max_steps={STEPS}", "threads=1")


def help(base: Path) -> list[Case]:
    """`--help` of every command that the base's own help lists."""
    env = {**os.environ, **FIXED, "PYTHONPATH": str(base)}
    shown = subprocess.run(
        [sys.executable, "-m", "inncli", "--help"], cwd=base, env=env, check=True, capture_output=True, text=True
    )
    names = re.findall(r"^  ([a-z]+)  ", shown.stdout.partition("Commands:")[2], re.M)
    if len(names) < 10:
        raise SystemExit(f"expected the commands in inn --help, found {names}")
    words = [
        (),
        ("--help",),
        ("-h",),
        ("--version",),
        ("--show-completion", "bash"),
        *((name, "--help") for name in names),
    ]
    return [Case("help", ("inn", *more)) for more in words]


RIGHT = """
inn runs
inn runs --json
inn show --run flow_1
inn show --run flow_stopped_1 --json
inn doctor
inn doctor --run flow_1
inn evaluate --run flow_1 --samples 100 --json
inn evaluate --run flow_1 --samples 100 --fresh --seed 1 --y 0.3 --y 1.0 --json
inn evaluate --run inn_1 --samples 100 --json
inn evaluate --run table_1 --samples 100 --json
inn compare flow_1 inn_1 --samples 100 --json
inn compare flow_1 inn_1 --samples 100 --metric nll --metric c2st --sort nll --csv -
inn compare --no-evaluate
inn compare --no-evaluate --json
inn invert --run flow_1 --y 0.3 --samples 20 --json
inn invert --run table_1 --y strength=3 --samples 20 --json
inn invert --run inn_1 --y y1=1.2 --samples 20 --out set.nc
inn invert --run flow_1 --y-file ys.csv --samples 20 --seed 4 --out set.parquet
inn invert --run flow_1 --y 0.3 --samples 20 --refine --ignore-noise --out refined.csv
inn sample --run flow_1 --samples 20 --out draws.csv
inn sample --run table_1 --samples 20 --json
inn density --run flow_1 --y 0.3 --grid 20 --json
inn density --run table_1 --y 3 --points mixes.csv --out points.npz
inn plot training --run flow_1
inn plot posterior --set refined.csv --out refined.svg
inn plot posterior --run flow_1 --y 0.3 -n 200 --reference --cloud --out reference.png
inn plot latent --run flow_1
inn plot calibration --run flow_1 --out calibration.png
inn plot density --run flow_1 --y 0.3 --grid 20 --out density.pdf
inn plot cobweb --map circle --omega 0.2 --k 0.5
inn plot cobweb --map kepler --e 0.5 --y 1.0 --json
inn resume flow_stopped_1
inn show --run flow_stopped_1 --json
inn train --resume table_1
inn train -c job
inn train -c hydra
inn train -c all model=spline task=two_moons
inn train -c job experiment=search_spline
inn train -c job experiment=kruse_kinematics model=inn trainer.max_seconds=20
inn train -m -c job seed=0,1
inn train hydra.run.dir=mine model.n_blocks=1 task.n_train=100 trainer.max_steps=5 hydra.output_subdir=hydra
inn train -m seed=0,1 model=nice model.n_blocks=1 task.n_train=100,200 trainer.max_steps=5
inn runs --sweep {sweep}
inn runs --sweep {sweep} --json
inn compare {sweep} --samples 100
inn compare {sweep} --samples 100 --json
inn compare {sweep} --samples 100 --plot --x task.n_train --out rows.png
inn resume {sweep}
"""


def right(base: Path) -> list[Case]:
    """On the fixture runs: JSON, files of each kind, pictures, resuming, configs, a sweep."""
    ys = ("python", "-c", "open('ys.csv', 'w').write('y1\\n0.3\\n1.5\\n')")
    return [Case("right", ys), *(Case("right", tuple(shlex.split(line))) for line in RIGHT.strip().splitlines())]
