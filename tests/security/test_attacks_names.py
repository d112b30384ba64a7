"""Names, words and messages of a stranger: shown as text, in one line, by every command, page, picture and table."""

from __future__ import annotations

import csv
import io
import json
import logging
import logging.config
import sys
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from attacks import OSC, STEERING, STEERS, copied_runs
from inncli.cli.app import main
from inncli.config.registry import conf_dir
from inncli.inference import posterior_files
from inncli.inference.posterior_set import PosteriorSet
from inncli.inference.sample_set import DensitySet, SampleSet
from inncli.io.harmless import guarded, harmless, in_line, unguarded
from inncli.plots import posterior, style
from inncli.training.checkpoint import load_checkpoint, save_checkpoint
from inncli.training.progress_bar import show_progress
from inncli.training.state import Progress

RUN = f"flow{OSC}\x9b31m\u202eb\nsecond\tcell"
FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "'=quoted", "''-x", "\tx", "=")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A run whose every name steers: its own, its task's, its columns', its host's, its error's."""
    folder = copied_runs(tmp_path, monkeypatch)
    run = (folder / "flow").rename(folder / RUN)
    file = run / "run.json"
    told = dict.fromkeys(("task", "model", "host", "error", "git", "device", "dtype", "started"), STEERS)
    file.write_text(json.dumps({**json.loads(file.read_text()), **told, "versions": {STEERS: STEERS}}))
    (run / "overrides.yaml").write_text(yaml.safe_dump([f"tag={STEERS}"]))
    for path in (run / "checkpoints").iterdir():
        values, meta = load_checkpoint(path)
        meta.pop("checksum")
        for letter in "xy":
            meta[letter]["names"] = [f"{name}{STEERS}" for name in meta[letter]["names"]]
        save_checkpoint(path, values, meta)
    return folder


def shown(words: list[str], capsys, code: int = 0) -> str:
    """What a command prints; it steers nothing, and no name passes for a line of its own."""
    capsys.readouterr()
    assert main(words) == code
    text = "".join(capsys.readouterr())
    assert not STEERING.search(text), text
    assert not any(line.lstrip().startswith("second") for line in text.splitlines()), text
    return text


COMMANDS = {
    "runs": (["runs"], 0),
    "runs as JSON": (["runs", "--json"], 0),
    "show": (["show", "--run", RUN], 0),
    "show as JSON": (["show", "--run", RUN, "--json"], 0),
    "invert": (["invert", "--run", RUN, "--y", "1", "-n", "20"], 0),
    "invert, a wrong y": (["invert", "--run", RUN, "--y", "1,2,3"], 2),
    "invert, a wrong name": (["invert", "--run", RUN, "--y", f"z{STEERS}=1"], 2),
    "sample": (["sample", "--run", RUN, "-n", "5"], 0),
    "density": (["density", "--run", RUN, "--y", "1", "--points", "points.csv"], 2),
    "compare": (["compare", RUN, "--no-evaluate"], 0),
    "compare as CSV": (["compare", RUN, "--no-evaluate", "--csv", "-"], 0),
    "doctor": (["doctor", "--run", RUN], 0),
    "resume a finished run": (["resume", RUN], 2),
    "a run that is not there": (["show", "--run", f"none{STEERS}"], 2),
    "a prefix": (["show", "--run", "flow\x1b"], 0),
    "a setting": (["train", f"trainer.{STEERS}=1"], 2),
    "with --debug": (["--debug", "show", "--run", f"none{STEERS}"], 2),
    "a picture": (["plot", "posterior", "--run", RUN, "--y", "1", "-n", "50", "--out", "p.svg"], 0),
    "training curves": (["plot", "training", "--run", RUN, "--out", "t.png"], 0),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_lets_a_name_steer_the_terminal(name, runs, capsys):
    Path("points.csv").write_text("a,b\n1,2\n")
    words, code = COMMANDS[name]
    shown(words, capsys, code)
    for picture in runs.glob("*.svg"):
        assert not STEERING.search(picture.read_text())
        ElementTree.parse(picture)


def sweep(**job) -> None:
    folder = Path("sweeps", f"many{OSC}; touch canary")
    folder.mkdir(parents=True)
    entry = {"job": 0, "status": "failed", "overrides": [f"a={STEERS}"], "error": STEERS, **job}
    told = {"id": STEERS, "status": STEERS, "overrides": [], "search": False, "jobs": [entry]}
    (folder / "sweep.json").write_text(json.dumps(told))


@pytest.mark.parametrize("words", [["runs", "--sweep", "many"], ["runs", "--sweep", "many", "--json"]])
def test_no_sweep_steers_the_terminal(words, runs, capsys):
    sweep()
    assert "many" in shown(words, capsys)


def test_advice_quotes_the_name_of_a_sweep(runs, capsys):
    sweep(job=1, status="waiting")
    text = shown(["compare", "many", "--no-evaluate"], capsys, 2)
    assert "touch canary`" not in text and "touch canary\n" not in text


def test_a_bar_and_a_log_steer_nothing(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with show_progress(f"[red]x{OSC}\u202e") as bar:
        bar.plan(0, 10, 5)
        bar.step(Progress(step=10, planned_steps=10), 1.0, 0.1)
    assert OSC not in terminal.getvalue() and "\u202e" not in terminal.getvalue()
    assert "[red]x" in terminal.getvalue()
    made = yaml.safe_load((conf_dir() / "hydra" / "hydra_logging" / "stderr.yaml").read_text())
    before = logging.getLogger().handlers[:]
    try:
        logging.config.dictConfig(made)
        logging.getLogger("inncli").warning("%s", STEERS)
    finally:
        logging.getLogger().handlers = before
    assert "owned" in terminal.getvalue() and OSC not in terminal.getvalue()


# ---- a page ------------------------------------------------------------------------------------------
def test_a_report_holds_no_markup_and_no_control_code_of_a_run(runs, capsys):
    from inncli.evaluation import cache
    from inncli.evaluation.request import EvaluationRequest
    from inncli.runs.run_dir import RunDir

    run = RunDir(runs / RUN)
    key = cache.Question(run, EvaluationRequest()).key
    found = {
        "metrics": {"nll": 1.0},
        "se": {},
        "settings": {"held_out": 5, "held_out_from": STEERS},
        "observations": [],
        "verdicts": {"calibrated": {"ok": True, "text": STEERS}},
        "details": {},
    }
    run.write_evaluation(key, {"made": "now", "base": key, "evaluation": found})
    shown(["report", RUN, "--out", "r.html"], capsys)
    page = Path("r.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page
    assert not STEERING.search(page)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_a_picture_holds_no_name_that_steers_or_breaks_it(suffix, tmp_path):
    names = (f"a--><script>alert(1)</script>{STEERS}", f"b$\\frac{{{STEERS}")
    draws = PosteriorSet(np.random.default_rng(0).normal(size=(1, 50, 2)), np.zeros((1, 50)), [[0.0]], names, [STEERS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # glyphs that the font lacks
        path = style.save(posterior.posterior_pairs(draws, 0), tmp_path / f"p{suffix}")
    data = path.read_bytes()
    assert b"\x1b]0;" not in data and "\u202e".encode() not in data
    if suffix == ".svg":
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(data.decode()).iter()}
        assert "script" not in tags and not STEERING.search(data.decode())


# ---- a spreadsheet -----------------------------------------------------------------------------------
def is_formula(cell: str) -> bool:
    try:
        float(cell)
        return False
    except ValueError:
        return cell[:1] in ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.parametrize("name", [*FORMULAS, "a", "", "'", "-1", "1e5", "it's", "\r=x"])
def test_a_guarded_cell_is_no_formula_and_comes_back(name):
    assert not is_formula(guarded(name)) and unguarded(guarded(name)) == name
    assert guarded("-1") == "-1" and guarded("x=1") == "x=1"


def test_a_posterior_set_in_csv_holds_no_formula_and_comes_back(tmp_path):
    labels = (tuple(sorted(FORMULAS)),)
    x = np.random.default_rng(0).normal(size=(len(FORMULAS), 2, 2))
    y = np.arange(len(FORMULAS), dtype=float)[:, None]
    draws = PosteriorSet(x, np.zeros(x.shape[:2]), y, ("=HYPERLINK(A1)", "@x"), ["-y"], labels)
    path = posterior_files.save(draws, tmp_path / "set.csv")
    with open(path, newline="") as file:
        assert not any(is_formula(cell) for row in csv.reader(file) for cell in row)
    again = posterior_files.load(path)
    assert (tuple(again.x_names), tuple(again.y_names), again.y_labels) == (draws.x_names, draws.y_names, labels)
    assert np.array_equal(again.x, draws.x) and np.array_equal(again.y, draws.y)


def test_draws_in_csv_hold_no_formula_and_are_read_as_a_table(tmp_path):
    from inncli.data.tables import read_table

    x = np.array([[-1.5, 2.0], [3.0, -4.0]])
    for made in (SampleSet(x, None, ("=a", "-b")), DensitySet(x, np.zeros(2), ("=a", "-b"))):
        path = made.save(tmp_path / "t.csv")
        with open(path, newline="") as file:
            assert not any(is_formula(cell) for row in csv.reader(file) for cell in row)
        table = read_table(path)
        assert table.names[:2] == ("=a", "-b") and table.columns[0].tolist() == [-1.5, 3.0]


def test_a_comparison_in_csv_holds_no_formula(tmp_path, monkeypatch, capsys):
    folder = copied_runs(tmp_path, monkeypatch)
    (folder / "flow").rename(folder / "=flow")
    assert main(["compare", "=flow", "inn", "--no-evaluate", "--csv", "c.csv"]) == 0
    with open("c.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert not any(is_formula(cell) for row in rows for cell in row) and "'=flow" in {row[0] for row in rows}


def test_what_is_spelt_out():
    assert in_line("a\x1b\n\t\u202e\ufeff\U000e0041b") == r"a\u001b\u000a\u0009\u202e\ufeff\U000e0041b"
    assert harmless("a\nb\tc é 漢 👩‍🔬") == "a\nb\tc é 漢 👩‍🔬"
