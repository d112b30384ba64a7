"""What an attack may not do: run anything, write anywhere, wait for ever, or make a command say more than one line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import yaml

from inncli.cli.app import main

KEPT = Path(__file__).parents[1] / "fixtures" / "runs" / "1"
CODE = "from pathlib import Path\nPath({canary!r}).touch()\n"
SIMULATOR = CODE + "def prior(n, rng): return rng.normal(size=(n, 2))\ndef simulate(x, rng): return x[:, :1]\n"
OSC = "\x1b]0;owned\x07"  # sets the title of the window
STEERS = f"{OSC}\x1b[2J\x9b31m\u202eevil\u2066\u2028\u200f\ufeff\nsecond\tcell\r<script>alert(1)</script>"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
SEARCH = [
    "hydra/sweeper=optuna",
    "hydra.sweeper.n_trials=1",
    "hydra.sweeper.n_jobs=1",
    "trainer.lr=interval(1e-3,1e-2)",
]
TINY = ["trainer.max_steps=4", "model.n_blocks=1", "model.block.hidden=[4]", "trainer.batch_size=32", "device=cpu"]


def copied_runs(tmp_path: Path, monkeypatch) -> Path:
    """The fixture runs in a folder of their own, which is the working folder and the outputs."""
    folder = Path(shutil.copytree(KEPT, tmp_path / "runs"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INN_OUTPUTS", str(folder))
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Every entry below a folder with what it holds; pipes are not opened."""
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "-"
        for path in sorted(folder.rglob("*"))
    }


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raises TimeoutError in a command that waits for ever."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refused(folder: Path, words: list[str], expected: str, capsys, seconds: int = 240) -> None:
    """The command ends with 2 and one line that says `expected`; nothing changed below the parent of `folder`."""
    before = contents(folder.parent)
    capsys.readouterr()
    with within(seconds):
        code = main(words)
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), (code, err)
    assert len(err.splitlines()) == 1 and expected in err, err
    assert not STEERING.search(err.rstrip("\n"))
    assert contents(folder.parent) == before


def config_of(run: str) -> dict:
    return yaml.safe_load(Path(run, "config.yaml").read_text())


def sweep(config: dict | None = None, words: list[str] = (), search: bool = False, **fields) -> Path:
    """A stranger's sweep, `their`, with one waiting job."""
    folder = Path("their")
    folder.mkdir(exist_ok=True)
    jobs = [] if search else [{"job": 0, "status": "waiting", "overrides": [], "config": config or config_of("flow")}]
    told = {"id": "their", "status": "interrupted", "overrides": list(words), "search": search, "jobs": jobs, **fields}
    (folder / "sweep.json").write_text(json.dumps(told))
    return folder
