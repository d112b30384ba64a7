"""The peers' mistakes, each put into a copy of the tree by hand: the test that guards against it must fail.

    python benchmarks/figures_3 defects                    all of one issue
    python benchmarks/defects.py figures_3 flows iresnet   those of defects_flows.py and defects_iresnet.py

A file `defects_<part>.py` holds DEFECTS = [(what is broken, file, old text, new text, test), ...]. The old text must
occur exactly once in its file, and every test must pass as long as nothing is broken.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TIMEOUT = 60  # s a test; a defect may make one run for ever
TESTS_FAILED = 1  # pytest's exit code; others mean that the test could not even be collected


class Defect(NamedTuple):
    """One mistake and the test that should notice it."""

    what: str
    file: str
    old: str
    new: str
    test: str


def read(folder: Path, names: list[str] | None = None) -> list[Defect]:
    """The entries of the folder's defects_<name>.py, of all parts without names."""
    files = [folder / f"defects_{name}.py" for name in names] if names else sorted(folder.glob("defects_*.py"))
    found = []
    for file in files:
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += [Defect(*entry) for entry in module.DEFECTS]
    return found


def copy_of_the_tree() -> Path:
    """Every file that git tracks or would track, in a new temporary folder."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    copy = Path(tempfile.mkdtemp(prefix="defects-"))
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # not one that was deleted and is still listed
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


def pytest(copy: Path, *tests: str, timeout: float) -> tuple[int | None, str]:
    """Exit code of pytest on these tests in the copy, None if it ran out of time, and what it printed."""
    # No bytecode: a file patched and put back within a second could be taken for unchanged. The copy comes first
    # on the path of child processes too, which else would import the installed package.
    env = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "slow or not slow", *tests]
    process = subprocess.Popen(
        words, cwd=copy, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        out, _ = process.communicate(timeout=timeout)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]


def caught(copy: Path, defect: Defect) -> tuple[bool, str]:
    """Whether the test fails once the defect is in, and how it ended; the copy is left as it was."""
    path = copy / defect.file
    text = path.read_text(encoding="utf-8")
    if text.count(defect.old) != 1:
        return False, f"old text found {text.count(defect.old)} times in {defect.file}, expected once"
    path.write_text(text.replace(defect.old, defect.new), encoding="utf-8")
    try:
        code, out = pytest(copy, defect.test, timeout=TIMEOUT)
    finally:
        path.write_text(text, encoding="utf-8")
    if code is None:
        return True, f"ran for over {TIMEOUT} s"
    errors = [line[1:].strip() for line in out.splitlines() if line.startswith("E  ")]
    reason = errors[0] if errors else (out.strip().splitlines() or ["nothing printed"])[-1]
    return code == TESTS_FAILED, reason


def report(entries: list[Defect]) -> int:
    """Prints a row for each defect and the count; returns how many were not caught."""
    from common import row

    copy = copy_of_the_tree()
    try:
        tests = list(dict.fromkeys(defect.test for defect in entries))
        code, out = pytest(copy, *tests, timeout=TIMEOUT * len(tests))
        row("1", f"the {len(tests)} tests of the defects pass without a defect", code == 0, "1")
        if code != 0:
            print(out[-3000:], flush=True)
            return len(entries)
        survived = 0
        for defect in entries:
            noticed, reason = caught(copy, defect)
            survived += not noticed
            row("1", f"defect: {defect.what} -> {defect.test}", noticed, f"1   {reason[:90]}")
        row("1", f"defects caught, of {len(entries)}", len(entries) - survived, f"{len(entries)}")
        return survived
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def all_caught(folder: Path) -> None:
    """Each mistake put in by hand makes its test fail."""
    survived = report(read(folder))
    if survived:
        raise SystemExit(f"{survived} defects were not caught")


if __name__ == "__main__":
    sys.exit(1 if report(read(HERE / sys.argv[1], sys.argv[2:])) else 0)
