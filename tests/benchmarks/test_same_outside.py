"""benchmarks/same_outside: what it takes out of a transcript, and what it calls a difference."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "same_outside"


@pytest.fixture
def tool(monkeypatch):
    """The tool's modules, found by their bare names as when its folder is run."""
    import importlib

    names = ("normal", "differences", "trees", "tensors")
    monkeypatch.syspath_prepend(str(FOLDER))
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name)


@pytest.mark.parametrize(
    "one, other",
    [
        (
            "run 2026-11-27_19-55_ring_rnvp_1442: 60 steps in 0.8 s",
            "run 2027-01-02_00-00_ring_rnvp_ffff: 60 steps in 12.1 s",
        ),
        (
            '{"started": "2026-11-27T19:55:51.029428+00:00", "pid": 3661}',
            '{"started": "2027-11-27T19:55:51.5+00:00", "pid": 1}',
        ),
        (
            "run    steps   time \n───────────────────\nflow   40      0.3 s\n",
            "run    steps      time \n──────────────────────\nflow   40      3:20 min\n",
        ),
        (
            "model    nll    seconds   parameters\nnice   2.7 *     0.3040 +- 0.0081   12\n",
            "model    nll    seconds   parameters\nnice   2.7 *   0.26 +- 0.01 *   12\n",
        ),
        (
            '"seconds": {\n  "mean": 0.3,\n  "sd": 0.1,\n  "n": 2}',
            '"seconds": {\n  "mean": 1.25,\n  "sd": 0.75,\n  "n": 2}',
        ),
        (
            "epoch    1  loss 2  step 6/9\nepoch    3  loss 1  step 9/9\n",
            "epoch    1  loss 2  step 6/9\nepoch    2  loss 3  step 8/9\nepoch    3  loss 1  step 9/9\n",
        ),
    ],
)
def test_times_and_ids_do_not_count(tool, one, other):
    assert tool["normal"].text(one, {}) == tool["normal"].text(other, {})


@pytest.mark.parametrize(
    "one, other",
    [
        ("run 2026-11-27_19-55_ring_rnvp_1442", "run 2026-11-27_19-55_ring_nice_1442"),
        ("60 steps in 0.8 s", "61 steps in 0.8 s"),
        ('{"pairs_sha256": "31418828462b"}', '{"pairs_sha256": "31418828462c"}'),
        ("run    steps\nflow   40   \n", "run   steps\nflow  40   \n"),
    ],
)
def test_all_else_counts(tool, one, other):
    assert tool["normal"].text(one, {}) != tool["normal"].text(other, {})


def record(tool, **changed):
    return tool["trees"].Record(
        **{
            "part": "wrong",
            "command": "inn invrt",
            "code": 2,
            "out": "",
            "err": "no",
            "files": {},
            "seconds": 0.0,
            "cpu": 0.0,
            **changed,
        }
    )


@pytest.mark.parametrize(
    "changed, line",
    [
        ({}, None),
        ({"code": 1}, "exit"),
        ({"err": "yes"}, "err"),
        ({"files": {"a.npz": "sha256 1"}}, "file a.npz"),
    ],
)
def test_a_difference_counts_unless_it_is_announced(tool, tmp_path, monkeypatch, capsys, changed, line):
    differences = tool["differences"]
    pair = [record(tool)], [record(tool, **changed)]
    nothing = tmp_path / "announced.md"
    nothing.write_text("# Announced\n")
    monkeypatch.setattr(differences, "ANNOUNCED", nothing)
    assert differences.report(*pair) is (line is not None)
    assert "1 commands, 0 differ" in capsys.readouterr().out or line
    nothing.write_text(f"# Announced\n\n## So it says\ncommand: `invrt`\nline: `^{line}`\n")
    assert differences.report(*pair) is False
    nothing.write_text(f"# Announced\n\n## Another command\ncommand: `^inn train`\nline: `^{line}`\n")
    assert differences.report(*pair) is (line is not None)
