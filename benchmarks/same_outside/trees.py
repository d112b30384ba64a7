"""A tree of the code, the folder it works in, and one command run with it."""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import normal

TIMEOUT = 600  # s a command
# Names of equal length, so that no line is wrapped elsewhere because of a path.
NAMES = ("base", "here", "ctrl")
FIXED = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LOKY_MAX_CPU_COUNT": "1",
    "COLUMNS": "100",
    "LINES": "40",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Case(NamedTuple):
    """One command: its part is also the name of the folder it runs in."""

    part: str
    words: tuple[str, ...]


class Record(NamedTuple):
    """What a command did, normalised. files: what it wrote by name, each with its text or a digest."""

    part: str
    command: str
    code: int
    out: str
    err: str
    files: dict[str, str]
    seconds: float
    cpu: float


class Tree(NamedTuple):
    """A copy of the code and the folder beside it that all its commands run in."""

    name: str
    code: Path
    home: Path

    def place(self, part: str) -> Path:
        """The folder of a part, made new."""
        place = self.home / part
        shutil.rmtree(place, ignore_errors=True)
        (place / "outputs").mkdir(parents=True)
        return place

    def environment(self, part: str) -> dict[str, str]:
        """One thread, no colour, 100 columns, and the tree's own code before any that is installed."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SLURM_", "INN_", "PYTHON", "_INN"))
        }
        return {**kept, **FIXED, "PYTHONPATH": str(self.code), "INN_OUTPUTS": str(self.home / part / "outputs")}

    def run(self, case: Case) -> Record:
        """Runs one command and sees what it wrote."""
        place = self.home / case.part
        words = [_sweep(place) if word == "{sweep}" else word for word in case.words]
        head = {"inn": [sys.executable, "-m", "inncli"], "python": [sys.executable]}[words[0]]
        before, started, used = _state(place), time.monotonic(), _cpu_seconds()
        code, out, err = _done([*head, *words[1:]], place, self.environment(case.part))
        seconds, used = time.monotonic() - started, _cpu_seconds() - used
        after = _state(place)
        names = {str(self.home): "<home>", str(self.code): "<code>"}
        written = sorted(name for name in after if after[name] != before.get(name))
        files = {normal.text(name, names): normal.content(place / name, names) for name in written}
        files |= {normal.text(name, names): "removed" for name in before.keys() - after.keys()}
        return Record(
            case.part,
            shlex.join(case.words),
            code,
            normal.text(out, names),
            normal.text(err, names),
            dict(sorted(files.items())),
            seconds,
            used,
        )


def archive(root: Path, commit: str, work: Path, name: str) -> Tree:
    """The tree of a commit."""
    tree = _empty(work, name)
    packed = subprocess.run(["git", "archive", commit], cwd=root, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as tar:
        tar.extractall(tree.code, filter="data")
    return _own(tree)


def copy(root: Path, work: Path, name: str) -> Tree:
    """The working tree as it is now, so that it may change meanwhile."""
    tree = _empty(work, name)
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True
    )
    for file in filter(None, listed.stdout.split("\0")):
        if (root / file).is_file():
            (tree.code / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / file, tree.code / file)
    return _own(tree)


def break_words(code: Path) -> None:
    """Changes one word of an error message."""
    _change(code, r"(f[\"']; did you) mean ", r"\1 want ")


def break_weights(code: Path) -> None:
    """Changes the seed that the weights start from."""
    _change(code, r"(stream_seed\([^()]*), \"weights\"\)", r'\1, "weights", 1)')


def _change(code: Path, old: str, new: str) -> None:
    """Changes a text that must stand exactly once in the package."""
    found = {file: re.findall(old, file.read_text("utf-8")) for file in (code / "inncli").rglob("*.py")}
    count = sum(map(len, found.values()))
    if count != 1:
        raise SystemExit(f"control: expected {old!r} once in inncli/, found {count}; give the control another text")
    (file,) = [file for file, hits in found.items() if hits]
    file.write_text(re.sub(old, new, file.read_text("utf-8")), "utf-8")


def _empty(work: Path, name: str) -> Tree:
    assert name in NAMES
    tree = Tree(name, work / name / "code", work / name / "home")
    tree.code.mkdir(parents=True)
    tree.home.mkdir()
    return tree


def _own(tree: Tree) -> Tree:
    """The tree, once it is sure that its own code runs and not an installed one."""
    where = "import importlib.util as u; print(u.find_spec('inncli').origin)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        cwd=tree.home,
        env=tree.environment("none"),
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    if not Path(found).is_relative_to(tree.code):
        raise SystemExit(f"expected the code of {tree.code}, python found {found}")
    return tree


def _done(words: list[str], place: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; a command that does not end is killed with all that it started."""
    with subprocess.Popen(
        words,
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            out, err = child.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, err = child.communicate()
            err += f"\nkilled after {TIMEOUT} s"
    return child.returncode, out, err


def _state(place: Path) -> dict[str, tuple[int, int, int]]:
    """Every file of a folder with what changes when it is written."""
    files = [file for file in place.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return {
        str(file.relative_to(place)): (file.stat().st_mtime_ns, file.stat().st_size, file.stat().st_ino)
        for file in files
    }


def _sweep(place: Path) -> str:
    """The id of the only sweep of a folder; ids hold chance."""
    (found,) = (place / "outputs" / "sweeps").iterdir()
    return found.name


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
