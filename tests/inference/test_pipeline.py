"""Whole runs through the command line: killed, stopped, resumed, altered, refused."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import inncli
from inncli.cli.app import main
from inncli.data.pairs import load_pairs, save_pairs, split_index
from inncli.errors import ShapeError
from inncli.experiments import train
from inncli.inference import opening
from inncli.runs.run_dir import RunDir
from inncli.tasks.base import SPLIT
from inncli.training.checkpoint import load_checkpoint, save_checkpoint
from inncli.training.loop import Loop

PLUGIN = str(Path(__file__).parents[1] / "plugin")
SMALL = ["model.n_blocks=1", "task.n_train=1000", "trainer.batch_size=64"]
PLAIN = [*SMALL, "trainer.max_steps=300", "trainer.checkpoint_seconds=0.1"]
OWN = [
    "--config-dir",
    PLUGIN,
    "model=nearest",
    "objective=ramped",
    "task.n_train=1000",
    "trainer.batch_size=32",
    "trainer.max_steps=600",
    "trainer.checkpoint_seconds=0.1",
]
ENDLESS = [*SMALL, "trainer.max_steps=1000000"]

# Processes of their own, forked from a server that has imported torch: each saves three seconds of imports.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["hydra", "torch._inductor.config", "inncli.cli.app", "inncli.config", "inncli.experiments.train", __name__]
)


def _child(words, folder):
    os.chdir(folder)
    os.environ["INN_OUTPUTS"] = str(folder)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}", os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    sys.exit(main(words))


def start(folder, *words):
    """`inn WORDS` in a process of its own; its stderr goes to the file `err`."""
    process = SERVER.Process(target=_child, args=([str(word) for word in words], folder))
    process.start()
    return process


def wait_for(path, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists() or not path.stat().st_size:
        alive = process.poll() is None if isinstance(process, subprocess.Popen) else process.is_alive()
        assert alive and time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.005)


def steps(path):
    return load_checkpoint(path / "checkpoints" / "last.safetensors")[1]["training"]["step"]


def same(a, b):
    """Both runs ended with the same bytes: all that the checkpoints hold, and the lines of metrics."""
    for name in ("best", "last"):
        (one, meta), (two, other) = (load_checkpoint(run / "checkpoints" / f"{name}.safetensors") for run in (a, b))
        assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
        assert meta["training"] == other["training"]
    lines = [[{**line, "seconds": None} for line in RunDir(run).metrics()] for run in (a, b)]
    assert lines[0] == lines[1] and lines[0]
    assert [line["epoch"] for line in lines[0]] == list(range(1, len(lines[0]) + 1))
    infos = [RunDir(run).info() for run in (a, b)]
    assert [info["status"] for info in infos] == ["done", "done"] and infos[1].get("error") is None
    for key in ("metrics", "steps", "planned_steps", "epochs"):
        assert infos[0][key] == infos[1][key]


@pytest.fixture
def inn(tmp_path, monkeypatch, capfd):
    """Runs a command in this process, in an empty folder; gives the lines it printed on stderr."""
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        capfd.readouterr()
        got = main([str(word) for word in words])
        err = capfd.readouterr().err
        assert got == code, err
        return err.splitlines()

    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs that were never stopped (`plain`, `own`) and one that was, before its end (`stopped`)."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        assert main(["train", *PLAIN, f"hydra.run.dir={root}/plain"]) == 0
        assert main(["train", *OWN, f"hydra.run.dir={root}/own"]) == 0
        patch.setattr(Loop, "end_epoch", _interrupt_at(3, patch))
        assert main(["train", *PLAIN, f"hydra.run.dir={root}/stopped"]) == 130
    return root


def _interrupt_at(epoch, patch):
    real = Loop.end_epoch

    def end_epoch(loop):
        line = real(loop)
        if line["epoch"] == epoch:
            os.kill(os.getpid(), signal.SIGINT)
        return line

    return end_epoch


@pytest.fixture
def stopped(runs, tmp_path):
    """A copy of a run that SIGINT stopped."""
    return Path(shutil.copytree(runs / "stopped", tmp_path / "stopped"))


# ---- killed ------------------------------------------------------------------------------------------
def kill_and_resume(folder, inn, runs, process, moment, delay):
    run = folder / "run"
    wait_for(run / moment, process)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.wait() if isinstance(process, subprocess.Popen) else process.join()
    assert (RunDir(run).info()["status"], RunDir(run).state()) == ("running", "interrupted")
    assert not (run / "checkpoints" / "last.safetensors").exists() or steps(run) < 300
    inn("train", "--resume", "run")
    same(runs / "plain", run)


def test_kill_9_of_the_command_itself(tmp_path, inn, runs):
    process = subprocess.Popen(
        [sys.executable, "-m", "inncli", "train", *PLAIN, "hydra.run.dir=run"],
        cwd=tmp_path,
        env={**os.environ, "INN_OUTPUTS": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )
    kill_and_resume(tmp_path, inn, runs, process, "metrics.jsonl", random.uniform(0, 0.15))


@pytest.mark.parametrize(
    "moment, delay",
    [
        ("run.json", 0),
        ("data/pairs.npz", 0),  # before the first checkpoint, as a rule
        *[pytest.param("metrics.jsonl", k / 25, marks=pytest.mark.slow) for k in range(5)],
    ],
)
def test_kill_9_at_any_moment(tmp_path, inn, runs, moment, delay):
    process = start(tmp_path, "train", *PLAIN, "hydra.run.dir=run")
    kill_and_resume(tmp_path, inn, runs, process, moment, delay)


@pytest.mark.parametrize("where", ["keep_pairs", "_fit", "_final_metrics"])
def test_stopped_before_the_first_and_after_the_last_step(where, inn, runs, tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, where, stop)
        inn("train", *PLAIN, "hydra.run.dir=run", code=130)
    run = tmp_path / "run"
    assert RunDir(run).info()["status"] == "interrupted"
    assert (run / "checkpoints").exists() is (where == "_final_metrics")
    inn("train", "--resume", "run")
    same(runs / "plain", run)


# ---- stopped by a signal -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "number, name, words, options",
    [(signal.SIGINT, "plain", PLAIN, []), (signal.SIGTERM, "plain", PLAIN, []), (signal.SIGTERM, "own", OWN, OWN[:2])],
)
def test_a_signal_ends_with_130_and_resumes(number, name, words, options, tmp_path, inn, runs):
    process = start(tmp_path, "train", *words, "hydra.run.dir=run")
    wait_for(tmp_path / "run" / "metrics.jsonl", process)
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == 130
    last = (tmp_path / "err").read_text().splitlines()[-1]
    planned = RunDir(runs / name).info()["planned_steps"]
    assert re.fullmatch(
        rf"{number.name} at step \d+ of {planned}; checkpoint written; "
        r"continue with `inn resume \S+`",
        last,
    ), last
    info = RunDir(tmp_path / "run").info()
    assert (info["status"], info["ended_by"]) == ("interrupted", "signal") and info["ended"]
    assert info["steps"] == steps(tmp_path / "run")
    inn("train", *options, "--resume", "run")
    same(runs / name, tmp_path / "run")


def test_a_run_that_was_stopped_twice(inn, stopped, runs, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "end_epoch", _interrupt_at(7, patch))
        inn("train", "--resume", "stopped", code=130)
    inn("train", "--resume", "stopped")
    same(runs / "plain", stopped)
    assert RunDir(stopped).info()["seconds"] > RunDir(runs / "stopped").info()["seconds"]


def test_one_of_two_processes_that_resume_is_refused(inn, tmp_path):
    first = start(tmp_path, "train", *ENDLESS, "hydra.run.dir=run")
    wait_for(tmp_path / "run" / "metrics.jsonl", first)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    second = start(tmp_path, "train", "--resume", "run")
    deadline = time.monotonic() + 60
    while RunDir(tmp_path / "run").info()["pid"] != second.pid:
        assert second.is_alive() and time.monotonic() < deadline
        time.sleep(0.01)
    (line,) = inn("train", "--resume", "run", code=2)
    assert line.startswith(f"run run is being trained by another process (pid {second.pid} on ")
    assert RunDir(tmp_path / "run").state() == "running"
    os.kill(second.pid, signal.SIGTERM)
    second.join()
    assert second.exitcode == 130 and RunDir(tmp_path / "run").state() == "interrupted"


def test_a_run_that_another_process_finished_meanwhile(inn, stopped, monkeypatch):
    real = RunDir._hold

    def hold(run, *args):
        real(run, *args)
        run._write_info({**run.info(), "status": "done"})

    monkeypatch.setattr(RunDir, "_hold", hold)
    (line,) = inn("train", "--resume", "stopped", code=2)
    assert "is finished" in line and RunDir(stopped).info()["status"] == "done"


# ---- wrong to resume or to open ----------------------------------------------------------------------
def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_is_not_resumed(inn, runs, tmp_path):
    run = shutil.copytree(runs / "plain", tmp_path / "run")
    before = contents(run)
    assert inn("train", "--resume", "run", code=2) == [
        "run run is finished (300 steps); start a new one with `inn train`"
    ]
    assert contents(run) == before


def other_config(path):
    tensors, meta = load_checkpoint(path)
    save_checkpoint(path, tensors, {**meta, "config_hash": "0" * 64})


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1000] ^= 4
    path.write_bytes(data)


DAMAGE = {
    "differs": other_config,
    "altered": flip,
    "damaged": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "format 2": lambda path: path.write_bytes(path.read_bytes().replace(b'format\\": 1', b'format\\": 2')),
}


@pytest.mark.parametrize("words", DAMAGE)
@pytest.mark.parametrize(
    "name, command",
    [("last", ["train", "--resume", "stopped"]), ("best", ["invert", "--run", "stopped", "--y", "0.3"])],
)
def test_a_checkpoint_that_is_not_this_runs_own(words, name, command, inn, stopped):
    path = stopped / "checkpoints" / f"{name}.safetensors"
    DAMAGE[words](path)
    before = contents(stopped)
    (line,) = inn(*command, code=2)
    assert words in line and f"{name}.safetensors" in line
    assert contents(stopped) == before


def test_a_config_that_was_edited(inn, stopped):
    config = yaml.safe_load((stopped / "config.yaml").read_text())
    (stopped / "config.yaml").write_text(yaml.safe_dump({**config, "seed": 5}))
    (line,) = inn("train", "--resume", "stopped", code=2)
    assert "its config hash differs" in line
    (stopped / "config.yaml").write_text(yaml.safe_dump({**config, "model": {"_target_": "os.system"}}))
    (line,) = inn("train", "--resume", "stopped", code=2)
    assert "_target_ 'os.system'" in line


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "is not a whole pairs file"),
        (lambda path: save_pairs(path, load_pairs(path).take(slice(None, None, -1))), "has changed since"),
    ],
)
def test_pairs_that_changed(change, words, inn, stopped):
    change(stopped / "data" / "pairs.npz")
    (line,) = inn("train", "--resume", "stopped", code=2)
    assert words in line and "pairs.npz" in line
    assert RunDir(stopped).info()["status"] == "interrupted"


def test_a_table_that_changed(inn, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 3))
    table = tmp_path / "t.csv"
    np.savetxt(table, rows, delimiter=",", header="a,b,c", comments="")
    whole = table.read_bytes()
    words = [
        "train",
        "task=table",
        "task.file=t.csv",
        "task.y=[c]",
        "model.n_blocks=1",
        "trainer.max_steps=60",
        "trainer.batch_size=32",
    ]
    inn(*words, "hydra.run.dir=whole")
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "end_epoch", _interrupt_at(3, patch))
        inn(*words, "hydra.run.dir=run", code=130)
    table.write_bytes(whole.replace(b"1", b"2", 1))
    for command in (["train", "--resume", "run"], ["sample", "--run", "run", "-n", "5"]):
        (line,) = inn(*command, code=2)
        assert "t.csv has changed since run run was trained on it" in line
    assert inn("invert", "--run", "run", "--y", "0.3", "-n", "5") == []  # a model needs no table
    table.write_bytes(whole)
    inn("train", "--resume", "run")
    same(tmp_path / "whole", tmp_path / "run")


# ---- a model and an objective of the user's own ------------------------------------------------------
def test_own_model_without_density(inn, runs, tmp_path):
    run = shutil.copytree(runs / "own", tmp_path / "run")
    (line,) = inn("invert", "--run", "run", "--y", "0.3", code=2)
    assert line.startswith("_target_ 'nearest.Nearest' is not one that conf/ or your --config-dir names")
    inn("invert", *OWN[:2], "--run", "run", "--y", "0.3", "-n", "7", "--out", "set.npz")
    with np.load("set.npz") as kept:
        assert kept["x"].shape == (1, 7, 2) and np.isnan(kept["log_prob"]).all()
    for words in (["--grid", "5"], ["--points", "p.csv"]):
        Path("p.csv").write_text("x1,x2\n0,0\n")
        assert inn("density", *OWN[:2], "--run", "run", "--y", "0.3", *words, code=2) == [
            "run run: Nearest has no density; use `inn invert` or another model"
        ]
    info = RunDir(run).info()
    metrics = info["metrics"]
    # The ramp multiplies the loss by 60, the validation loss leaves it out: a trained state is the best.
    assert metrics["best_epoch"] > 1 and metrics["val_loss"] < metrics["val_loss_untrained"]


def test_an_array_that_is_none_is_a_shape_error(runs):
    trained = opening.open_run(RunDir(runs / "plain"))
    for ask in (lambda y: trained.sample(y, 5), lambda y: trained.log_prob(np.zeros((1, 2)), y)):
        for y, got in (({"y1": 2}, "a dict"), ("much", "a str"), ([[1.0], [2.0, 3.0]], "a list")):
            with pytest.raises(ShapeError, match=rf"^y: expected rows of numbers \(y1\), got {got}; pass an array"):
                ask(y)
    with pytest.raises(ShapeError, match=r"^x: expected rows of numbers \(x1, x2\), got a dict; pass an array"):
        trained.log_prob({"x1": 0, "x2": 0}, 0.3)


# ---- budgets -----------------------------------------------------------------------------------------
def test_seconds_are_kept_as_steps_that_reproduce_the_bytes(inn, tmp_path):
    words = ["train", *SMALL, "trainer.max_seconds=3"]  # on a busy machine 1 is spent before it can be stopped
    inn(*words, "hydra.run.dir=timed")
    assert RunDir("timed").info()["seconds"] > 0.3
    process = start(tmp_path, *words, "trainer.checkpoint_seconds=0.05", "hydra.run.dir=stopped")
    wait_for(tmp_path / "stopped" / "metrics.jsonl", process)
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    planned = RunDir("stopped").info()["planned_steps"]
    inn("train", "--resume", "stopped")
    assert RunDir("stopped").info()["planned_steps"] == planned
    for name in ("timed", "stopped"):
        planned = RunDir(name).info()["planned_steps"]
        assert planned == RunDir(name).info()["steps"] > 10
        inn("train", *SMALL, f"trainer.max_steps={planned}", f"hydra.run.dir={name}_again")
        same(tmp_path / name, tmp_path / f"{name}_again")


def test_n_train_is_a_promise_to_draw_no_more(inn, tmp_path):
    (line,) = inn("train", "task.n_train=500", "task.fresh=true", code=2)
    assert line == "task.fresh=true draws new pairs each epoch, task.n_train=500 fixes them; pass only one"
    assert not list(tmp_path.iterdir())


# ---- what is not finite ------------------------------------------------------------------------------
SIMULATOR = """
import numpy as np

def prior(n, rng):
    x = rng.standard_normal((n, 2))
    if n == 1000:
        x[{row}, 0] = {x}
    return x

def simulate(x, rng):
    y = x[:, 1:] + 0.1 * rng.standard_normal((len(x), 1))
    if len(x) == 1000:
        y[{row}] = {y}
    return y
"""


def train_outlier(inn, code, row, x="0", y="0"):
    Path("sim.py").write_text(SIMULATOR.format(row=row, x=x, y=y))
    return inn(
        "train",
        "task=simulator",
        "task.file=sim.py",
        "task.n_train=1000",
        "trainer.max_steps=20",
        "model.n_blocks=2",
        "hydra.run.dir=run",
        code=code,
    )


def row_of(side):
    """A row that seed 0 trains on (0) or keeps for validation (1)."""
    return split_index(1000, 0.1, np.random.default_rng([0, SPLIT]))[side][20]


@pytest.mark.parametrize("value", [{"x": "1e300"}, {"y": "1e300"}])
def test_an_absurd_number_in_a_training_pair_costs_the_others_nothing(value, inn):
    lines = train_outlier(inn, 0, row=row_of(0), **value)
    assert "taken" in lines[0] and RunDir("run").info()["metrics"]["val_loss"] < 10


def test_an_absurd_x_that_is_held_out_stops_with_the_layers_name(inn):
    (line,) = train_outlier(inn, 1, row=row_of(1), x="1e300")
    assert line.startswith("before the first step: layer linear (LinearGaussian) is not finite")
    info = RunDir("run").info()
    assert info["status"] == "failed" and info["error"].startswith("NonFiniteError: ") and info["ended_by"] == "error"


def test_a_failed_run_that_is_resumed_loses_its_error(inn, runs, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(train, "_final_metrics", lambda *args: 1 / 0)
        inn("train", *PLAIN, "hydra.run.dir=run", code=1)
    assert RunDir("run").info()["error"] == "ZeroDivisionError: division by zero"
    inn("train", "--resume", "run")
    same(runs / "plain", tmp_path / "run")


def test_a_y_out_of_all_reason_gives_no_draws_that_are_nan(inn, runs):
    (line,) = inn("invert", "--run", runs / "plain", "--y", "1e300", "-n", "5", "--out", "s.npz", code=1)
    assert "draws are not finite: y is too far from what training saw" in line and not Path("s.npz").exists()
    run = inncli.load(runs / "plain")
    assert np.isfinite(run.sample(1e9, 50)).all()
    assert (run.log_prob([[1e300, 0], [1e38, 0]], 0.3) == -np.inf).all()


def test_a_likelihood_without_a_density_is_refused_before_anything_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "out"))
    plugin = Path(__file__).parents[1] / "plugin"
    assert main(["train", "--config-dir", str(plugin), "model=nearest"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_remembers_its_table_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "out"))
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{i % 17},{i % 5 + 0.5 * i}\n" for i in range(60))
    (tmp_path / "mine.csv").write_text("cause,effect\n" + rows)
    assert main(["train", "task=table", "task.file=mine.csv", "task.y=[effect]", "trainer.max_steps=2"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["sample", "--samples", "3"]) == 0
