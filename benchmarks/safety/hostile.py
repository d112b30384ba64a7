"""Runs that are killed, handed over by strangers, or written to a full disk: how many came through."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from common import WORK, row

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path.insert(0, str(TESTS / "support"))

import killing  # noqa: E402

KILLS = 40  # of trainings, and as many of inversions; the sweeps are killed elsewhere


def kills() -> None:
    """Kill -9 at random moments of training with a checkpoint a step, and of inverting with kept sets."""
    for what, trial in (("training", killing.kill_trainings), ("inverting", killing.kill_inversions)):
        tally = trial(Path(tempfile.mkdtemp(dir=WORK)) / "kills", KILLS, seed=5)
        _tell(what, tally)
        print(f"    struck: {dict(sorted(tally.kills.items()))}", flush=True)
    tally = killing.kill_trainings(Path(tempfile.mkdtemp(dir=WORK)) / "kills", 12, seed=0, careless=True)
    _tell("control, files written in place on a slow disk", tally, ("more than 0", "", ""))


def _tell(what: str, tally: killing.Tally, asked: tuple[str, str, str] = ("0", "0", "0")) -> None:
    row("3", f"{what}: kill -9 before the end", tally.count)
    row("3", f"{what}: unreadable files", len(tally.unreadable), f"asked: {asked[0]}")
    if asked[1]:
        row("3", f"{what}: finished results lost", len(tally.lost), f"asked: {asked[1]}")
        row(
            "3",
            f"{what}: resumed weights, losses or sets that differ by a bit",
            len(tally.different),
            f"asked: {asked[2]}",
        )


def hostile() -> None:
    """Hostile run directories, each refused with one line and code 2, nothing executed, nothing written."""
    passed, failed = _tests("test_hostile.py", "-k", "stranger")
    row("6", "hostile runs and sweeps in the list", passed + failed, "asked: 40")
    row("6", "of them not refused, or not so", failed, "asked: 0")
    passed, failed = _tests("test_hostile.py", "-k", "cut or altered")
    row("6", "kinds of file cut at the end of each section, or altered by a bit", passed + failed)
    row("6", "of them not named", failed, "asked: 0")


def enospc() -> None:
    """A tmpfs that fills up in mid-checkpoint and in mid-posterior: what was there, and what goes on."""
    passed, failed = _tests("test_durability.py", "-k", "disk_that_fills_up or did_not_fit")
    row("7", "full disk: cases (checkpoint, posterior in 4 formats, metrics)", passed + failed)
    row("7", "of them with a file lost, a leftover, no clear line, or not resumable", failed, "asked: 0")


def _tests(name: str, *words: str) -> tuple[int, int]:
    """Passed and failed tests of a file; a skipped one counts as failed: a figure must have been seen."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rA", TESTS / name, *words],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    outcomes = [
        line.split()[0]
        for line in done.stdout.splitlines()
        if line.startswith(("PASSED", "FAILED", "ERROR", "SKIPPED"))
    ]
    return outcomes.count("PASSED"), len(outcomes) - outcomes.count("PASSED")


FIGURES = {"kills": kills, "hostile": hostile, "enospc": enospc}
