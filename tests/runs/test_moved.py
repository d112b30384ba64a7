"""Runs that were moved, renamed or copied: every command works from another folder and as another user."""

import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

import elsewhere
from inncli.cli.app import main
from inncli.runs.run_dir import RunDir
from inncli.training.checkpoint import load_checkpoint
from inncli.training.loop import Loop

TINY = [
    "model.n_blocks=1",
    "model.block.hidden=[8]",
    "trainer.max_steps=20",
    "trainer.batch_size=32",
    "threads=1",
    "device=cpu",
]
SIMULATOR = """
import numpy as np
x_names, y_names = ["a", "b"], ["c"]
def prior(n, rng):
    return rng.normal(size=(n, 2))
def simulate(x, rng):
    return x.sum(1, keepdims=True) + 0.1 * rng.normal(size=(len(x), 1))
"""
KINDS = {
    "table": ["task=table", "task.file=t.csv", "task.y=[c]"],
    "simulator": ["task=simulator", "task.file=sim.py", "task.n_train=200"],
    "built_in": ["task=ring", "task.n_train=200"],
}
Y = ["--y", "0.7"]


@pytest.fixture(scope="module")
def home():
    """A run of each kind, whole and stopped, in a folder from which the table and the simulator are then taken away."""
    folder = Path(tempfile.mkdtemp(prefix="inn-moved-"))
    folder.chmod(0o755)
    (folder / "first").mkdir()
    rows = np.random.default_rng(0).normal(size=(200, 3)).round(3)
    rows[:, 2] += rows[:, 0] + rows[:, 1]
    np.savetxt(folder / "first" / "t.csv", rows, delimiter=",", header="a,b,c", comments="", fmt="%.5g")
    (folder / "first" / "sim.py").write_text(SIMULATOR)
    before, step = Path.cwd(), Loop.take_step

    def stopping(self):
        if self.progress.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self)

    os.chdir(folder / "first")
    try:
        for kind, words in KINDS.items():
            assert main(["train", *words, *TINY, f"hydra.run.dir=runs/{kind}"]) == 0
            Loop.take_step = stopping
            assert main(["train", *words, *TINY, f"hydra.run.dir=runs/{kind}_stopped"]) == 130
            Loop.take_step = step
        assert main(["train", *KINDS["table"], *TINY, "task.keep_mb=0", "hydra.run.dir=runs/large"]) == 0
    finally:
        Loop.take_step = step
        os.chdir(before)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def moved(home):
    """The runs renamed in another place, and an empty folder to work in; the first folder is gone."""
    place = Path(tempfile.mkdtemp(dir=home))
    place.chmod(0o755)
    shutil.copytree(home / "first", place / "gone")
    runs = place / "new place"
    runs.mkdir()
    for run in (place / "gone" / "runs").iterdir():
        run.rename(runs / f"my {run.name}")
    (home / "first").rename(home / "away")
    (place / "work").mkdir(mode=0o777)
    (place / "work").chmod(0o777)
    yield runs, place / "work"
    (home / "away").rename(home / "first")


def commands(run: Path, out: str = "") -> list[list[str]]:
    """Each command that takes a run, with the file that it writes where `out` is the suffix of the names."""

    def to(name):
        return ["--out", f"{out}{name}"] if out else []

    return [
        ["show", "--run", run],
        ["doctor", "--run", run],
        ["invert", "--run", run, *Y, "-n", "30", *to("i.npz")],
        ["sample", "--run", run, "-n", "30", *to("s.csv")],
        ["density", "--run", run, *Y, "--grid", "5", *to("d.npz")],
        ["evaluate", "--run", run, "-n", "100"],
        ["compare", run, "--metric", "nll"],
        ["report", run, *to("r.html")],
        ["plot", "training", "--run", run, *to("t.png")],
        ["plot", "posterior", "--run", run, *Y, "-n", "30", *to("p.png")],
        ["plot", "density", "--run", run, *Y, *to("q.png")],
        ["plot", "calibration", "--run", run, *to("c.png")],
        ["plot", "latent", "--run", run, *to("l.png")],
    ]


LONG = ("evaluate", "compare", "report", "calibration")  # they evaluate, and where nothing is kept, each for itself
MOVED = [
    pytest.param("table", (), id="table"),
    pytest.param("simulator", LONG, id="simulator"),
    pytest.param("built_in", LONG, id="built_in"),
    pytest.param("simulator", (), id="simulator, all", marks=pytest.mark.slow),
    pytest.param("built_in", (), id="built_in, all", marks=pytest.mark.slow),
]
READ_ONLY = [
    pytest.param("table", LONG[1:], id="table"),
    *(pytest.param(kind, (), id=f"{kind}, all", marks=pytest.mark.slow) for kind in KINDS),
]


def tried(run: Path, without: tuple[str, ...], out: str = "") -> list[list[str]]:
    return [words for words in commands(run, out) if not {*words[:2]} & {*without}]


def same_weights(one: RunDir, other: RunDir) -> None:
    first, second = load_checkpoint(one.last)[0], load_checkpoint(other.last)[0]
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def assert_good(told):
    assert not [(number, err) for number, (code, _, err) in enumerate(told) if code]


@pytest.mark.parametrize("kind, without", MOVED)
def test_every_command_works_from_another_folder(moved, kind, without):
    runs, work = moved
    told = elsewhere.run(tried(runs / f"my {kind}", without), work)
    assert_good(told)
    warned = [line for _, _, err in told for line in err.splitlines() if line.startswith("warning")]
    assert all("when training ended" in line for line in warned), warned  # its few steps give y back badly
    if kind == "table":
        assert "(test rows of the table)" in told[5][1]


def test_a_stopped_run_goes_on_bit_for_bit_where_it_lies_now(moved, home):
    runs, work = moved
    for kind in KINDS:
        run = RunDir(runs / f"my {kind}_stopped")
        assert run.info()["status"] == "interrupted" and run.info()["steps"] == 8
        words = ["resume", run.path]
        if kind == "simulator":
            ((code, _, err),) = elsewhere.run([words], work)
            assert code == 2 and len(err.splitlines()) == 1  # it does not run a file of the user's by itself
            shutil.copy(home / "away" / "sim.py", runs.parent / "gone" / "sim.py")
            config = run.config_file.read_text()
            assert str(home / "first" / "sim.py") in config
            continue  # its file was moved, and the run names it: what it simulates is not for the run to say
        ((code, out, err),) = elsewhere.run([words], work)
        assert code == 0, err
        same_weights(run, RunDir(runs / f"my {kind}"))


def test_a_table_that_the_run_does_not_keep_is_named(moved, home):
    runs, work = moved
    run, table = runs / "my large", home / "away" / "t.csv"
    other = work / "other.csv"
    other.write_text(table.read_text().replace("a,", "A,", 1))
    needs = [words for words in commands(run) if words[0] in ("sample", "evaluate", "report") or words[1] == "latent"]
    told = elsewhere.run(needs, work)
    for code, _, err in told:
        assert code == 2 and err == (
            f"the table of run my large, {home / 'first' / 't.csv'}, is not there or can't be read; "
            "say where it is with --table FILE\n"
        )
    told = elsewhere.run(
        [
            [*words, "--table", table]
            for words in commands(run)
            if words[:2] != ["plot", "training"]
            and words[0] in ("sample", "evaluate", "report", "compare", "plot")
            and words[1] != "density"
        ],
        work,
    )
    assert_good(told)
    (code, _, err), (code_none, _, err_none), (code_gone, _, err_gone) = elsewhere.run(
        [
            ["evaluate", "--run", run, "--table", other],
            ["sample", "--run", runs / "my built_in", "--table", table],
            ["sample", "--run", run, "--table", "nowhere.csv"],
        ],
        work,
    )
    assert (code, code_none, code_gone) == (2, 2, 2)
    assert err == (
        f"--table: {other} is not the table that run my large was trained on, its checksum is another; name that one, "
        "or train again\n"
    )
    assert err_none == "--table: run my built_in was trained on no table; leave it out\n"
    assert err_gone == "--table: nowhere.csv is not there, or no file; name the table that the run was trained on\n"


@pytest.mark.parametrize("kind, without", READ_ONLY)
def test_another_user_works_with_a_run_that_is_not_theirs(moved, home, kind, without, request):
    elsewhere.skip_unless_root()
    runs, work = moved
    shutil.copytree(home / "away", home / "first")  # the table and the simulator are still there, and closed
    request.addfinalizer(lambda: shutil.rmtree(home / "first"))
    (home / "first").chmod(0o700)
    elsewhere.belongs_to_another(home / "first")
    run = runs / f"my {kind}"
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    elsewhere.belongs_to_another(runs)
    closed = [["invert", "--run", run, *Y], ["resume", runs / f"my {kind}_stopped"]]
    *told, (code, _, err), (code_resume, _, err_resume) = elsewhere.run(
        [*tried(run, without, "out_"), *closed], work, bound=True
    )
    assert_good(told)
    assert all(len(err.splitlines()) <= 1 for (_, _, err) in told if "evaluating" not in err), told
    assert code == 2 and "can't be written to; name a file elsewhere with --out" in err
    assert code_resume == 2 and len(err_resume.splitlines()) == 1, err_resume
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before


def test_the_copy_is_the_tables_rows_and_a_changed_one_is_noticed(moved):
    runs, work = moved
    run = RunDir(runs / "my table")
    copy = run.path / "data" / "table.npz"
    arrays = np.load(copy)
    facts = json.loads(str(arrays["facts"]))
    assert arrays["x"].shape == (200, 2) and facts["read_rows"] == 200 and facts["x"]["names"] == ["a", "b"]
    assert facts["sha256"] == run.info()["data"]["sha256"]
    assert not (runs / "my large" / "data").exists()
    whole = copy.read_bytes()
    copy.write_bytes(
        whole.replace(
            b'"read_rows": 200'.decode().encode("utf-32-le"), b'"read_rows": 100'.decode().encode("utf-32-le")
        )
    )
    ((code, _, err),) = elsewhere.run([["sample", "--run", run.path]], work)
    assert code == 2 and "is not a whole copy of a table" in err and "--table FILE" in err
