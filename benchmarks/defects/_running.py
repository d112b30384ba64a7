"""Runs the defects in a copy of the tree, or checks that each still finds its code and its test."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from defects._mutation import Defect, Misaddressed, elsewhere, mutate, node_id, plain

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIMEOUT = 60  # s a test; a defect may make one run for ever
TESTS_FAILED = 1  # pytest's exit code; others mean that the test could not even be collected
EVERY_TEST = ("-p", "no:cacheprovider", "-m", "slow or not slow")


def themes() -> list[str]:
    """The names of all themes."""
    return sorted(file.stem for file in HERE.glob("*.py") if not file.stem.startswith("_"))


def read(names: list[str] | tuple[str, ...] = ()) -> list[Defect]:
    """The defects of these themes, of all without names.

    Raises:
        SystemExit: if there is no such theme.
    """
    unknown = [name for name in names if name not in themes()]
    if unknown:
        raise SystemExit(f"no theme {unknown[0]!r}; there are {', '.join(themes())}")
    return [defect for name in names or themes() for defect in importlib.import_module(f"defects.{name}").DEFECTS]


def misaddressed(entries: list[Defect], root: Path = ROOT) -> list[str]:
    """A line for each defect whose code or test is not found exactly once, or whose module would be no Python."""
    found = []
    for defect in entries:
        try:
            mutate(defect, root)
        except Misaddressed as error:
            found.append(" or ".join([f"{defect.what}: {error}", *elsewhere(defect, root)]))
        try:
            node_id(defect.test, root)
        except Misaddressed as error:
            found.append(f"{defect.what}: {error}")
    return found


def uncollected(entries: list[Defect], root: Path = ROOT) -> list[str]:
    """A line for each defect whose test, with its parameters, pytest does not collect. Needs seconds."""
    wanted = {node_id(defect.test, root): defect for defect in entries}
    files = sorted({node.partition("::")[0] for node in wanted})
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", *EVERY_TEST, *files]
    out = subprocess.run(words, cwd=root, env=_environment(root), capture_output=True, text=True).stdout
    collected = set(out.splitlines())
    return [
        f"{defect.what}: pytest collects no {node}"
        for node, defect in wanted.items()
        if node not in collected and not any(line.startswith(f"{node}[") for line in collected)
    ]


def check(entries: list[Defect]) -> int:
    """Prints every defect that lost its code or its test; returns how many."""
    lost = misaddressed(entries) or uncollected(entries)
    print(*lost, f"{len(entries)} defects, {len(lost)} misaddressed", sep="\n", flush=True)
    return len(lost)


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
    words = [sys.executable, "-m", "pytest", "-x", "-q", *EVERY_TEST, *tests]
    process = subprocess.Popen(
        words,
        cwd=copy,
        env=_environment(copy),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=timeout)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]


def caught(copy: Path, defect: Defect) -> tuple[bool, str]:
    """Whether the test fails once the defect is in, and how it ended; the copy is left as it was."""
    path, text = mutate(defect, copy)
    before = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    try:
        code, out = pytest(copy, node_id(defect.test, copy), timeout=TIMEOUT)
    finally:
        path.write_text(before, encoding="utf-8")
    if code is None:
        return True, f"ran for over {TIMEOUT} s"
    errors = [line[1:].strip() for line in out.splitlines() if line.startswith("E  ")]
    reason = errors[0] if errors else (out.strip().splitlines() or ["nothing printed"])[-1]
    return code == TESTS_FAILED, reason


def report(entries: list[Defect]) -> int:
    """Prints a row for each defect and the count; returns how many were not caught."""
    lost = misaddressed(entries)
    if lost:
        print(*lost, sep="\n", flush=True)
        return len(entries)
    copy = copy_of_the_tree()
    try:
        # Modules with a defect are written anew from their trees: without one, that must change nothing.
        for path in {mutate(defect, copy)[0] for defect in entries}:
            path.write_text(plain(path), encoding="utf-8")
        tests = list(dict.fromkeys(node_id(defect.test, copy) for defect in entries))
        code, out = pytest(copy, *tests, timeout=TIMEOUT * len(tests))
        _row(f"the {len(tests)} tests of the defects pass without a defect", code == 0, "1")
        if code != 0:
            print(out[-3000:], flush=True)
            return len(entries)
        survived = 0
        for defect in entries:
            noticed, reason = caught(copy, defect)
            survived += not noticed
            _row(f"defect: {defect.what} -> {defect.test}", noticed, f"1   {reason[:90]}")
        _row(f"defects caught, of {len(entries)}", len(entries) - survived, f"{len(entries)}")
        return survived
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def all_caught(names: tuple[str, ...]) -> None:
    """Each mistake put in by hand makes its test fail."""
    survived = report(read(names))
    if survived:
        raise SystemExit(f"{survived} defects were not caught")


def main(words: list[str]) -> int:
    """Runs or checks the defects of the themes named, of all without one; 1 if any is not noticed or not found."""
    if words[:1] == ["check"]:
        return 1 if check(read(words[1:])) else 0
    return 1 if report(read(words)) else 0


def _row(what: str, value: float, limit: str) -> None:
    """A row as the figures print theirs."""
    print(f"1   {what:<66} {value:>10.4g}  {limit}", flush=True)


def _environment(tree: Path) -> dict[str, str]:
    """The tree comes first on the path of child processes too, which else would import the installed package.

    No bytecode: a file patched and put back within a second could be taken for unchanged.
    """
    return {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
