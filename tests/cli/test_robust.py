"""Commands in odd places: sizes that fit nowhere, strange paths, folders that are gone, clocks that run ahead."""

import json
import os
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from inncli.cli import completion
from inncli.runs.run_dir import RunDir

FLOW = Path(__file__).parents[1] / "fixtures" / "runs" / "1" / "flow"
STOPPED = FLOW.parent / "flow_stopped"
TINY = ["task.n_train=200", "model.n_blocks=1", "model.block.hidden=[4]", "trainer.max_steps=2", "device=cpu"]
HUGE = 10**12


@pytest.fixture
def flow(inn, tmp_path):
    shutil.copytree(FLOW, tmp_path / "out" / "r")
    return lambda *words, code=0: inn(*words, code=code)


# ---- sizes -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "words",
    [
        *(["invert", "--y", "1", "--out", f"a{suffix}"] for suffix in (".npz", ".nc", ".csv", ".parquet")),
        ["sample", "--out", "a.npz"],
        ["invert", "--y-file", "ys.csv"],
        ["invert", "--y", "1", "--starts", "r"],
        ["plot", "posterior", "--y", "1"],
        ["plot", "density", "--y", "1"],
        ["evaluate"],
        ["compare", "r"],
    ],
    ids=" ".join,
)
def test_more_draws_than_fit_are_refused_with_what_would_fit(flow, inn, tmp_path, words):
    (tmp_path / "ys.csv").write_text("1\n2\n")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    flow(*words, "-n", HUGE, *([] if words[0] == "compare" else ["--run", "r"]), code=2)
    if "--starts" not in words:  # which says first that a flow takes none
        assert inn.err.startswith("--samples: 1,000,000,000,000 draws") and inn.err.endswith(" fit\n"), inn.err
    assert inn.err.count("\n") == 1
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


def test_more_pairs_than_fit_are_refused_before_they_are_drawn(inn, tmp_path):
    inn("train", *TINY, f"task.n_train={HUGE}", code=2)
    assert inn.err.startswith("task.n_train: 1,000,000,000,000 pairs take 72 TB of memory")
    assert not (tmp_path / "out").exists()


def test_an_allocators_message_is_a_line(inn):
    inn("train", *TINY, "model.block.hidden=[30000000,30000000]", code=1)
    assert inn.err.splitlines()[-1].startswith("not enough memory for 3600000000000000 bytes more; ")


@pytest.mark.parametrize(
    "word",
    [
        f"seed={2**63}",
        "task.n_train=1e30",
        f"trainer.max_steps={2**63}",
        f"trainer.batch_size={2**64}",
        "threads=1e19",
        f"model.block.hidden=[{2**63}]",
    ],
)
def test_a_whole_number_that_no_file_can_hold_is_refused_where_it_is_set(inn, tmp_path, word):
    inn("train", *TINY, word, code=2)
    assert inn.err.startswith(word.partition("=")[0] + ": expected ") and inn.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_largest_numbers_make_a_run_that_can_be_read(inn, tmp_path):
    inn(
        "train",
        *TINY,
        f"seed={2**63 - 1}",
        "trainer.max_steps=null",
        f"trainer.max_epochs={2**63 - 1}",
        "trainer.max_seconds=0.2",
        "hydra.run.dir=run",
    )
    info = RunDir(tmp_path / "run").info()
    assert (info["status"], info["seed"], info["error"]) == ("done", 2**63 - 1, None)


# ---- where results go --------------------------------------------------------------------------------
def test_a_link_is_written_through(flow, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "set.csv").symlink_to("there/real.csv")
    flow("invert", "--run", "r", "--y", "1", "-n", "3", "--out", "set.csv")
    flow("invert", "--run", "r", "--y", "1", "-n", "4", "--out", "set.csv")
    assert (tmp_path / "set.csv").is_symlink()
    assert len((tmp_path / "there" / "real.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize("target", ["/dev/stdout", "/dev/null", "a.npz", "circle.csv", "folder", "pipe.csv"])
def test_what_is_no_file_is_never_replaced_by_one(flow, inn, tmp_path, target):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "circle.csv").symlink_to("out.csv")
    (tmp_path / "out.csv").symlink_to(target)
    for out in ("out.csv", "pipe.csv"):
        flow("invert", "--run", "r", "--y", "1", "-n", "3", "--out", out, code=2)
        assert inn.err.startswith("--out: expected ") and inn.err.count("\n") == 1, inn.err
    assert (tmp_path / "pipe.csv").is_fifo() and os.readlink(tmp_path / "out.csv") == target


def test_a_picture_beside_a_link_does_not_replace_one(flow, inn, tmp_path):
    os.mkfifo(tmp_path / "grid.png")
    flow("density", "--run", "r", "--y", "1", "--grid", "5", "--out", "grid.npz", code=2)
    assert (tmp_path / "grid.png").is_fifo()


def test_what_a_killed_writer_left_beside_the_result_is_cleared(flow, tmp_path):
    (tmp_path / f".set.nc.{2**22 + 1}.abcd.tmp").write_bytes(b"half")
    flow("invert", "--run", "r", "--y", "1", "-n", "3", "--out", "set.csv")
    assert list(tmp_path.glob(".*")) == []


# ---- paths -------------------------------------------------------------------------------------------
def test_a_name_that_begins_with_a_tilde(flow, inn, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for folder in (tmp_path, tmp_path / "home"):
        (folder / "~ys.csv").write_text("1\n2\n")
    shutil.copy(FLOW.parent / "mixes.csv", tmp_path / "~mixes.csv")
    flow("invert", "--run", "r", "--y-file", "~ys.csv", "-n", "3", "--out", "~set.csv")
    flow("invert", "--run", "r", "--y-file", "~/~ys.csv", "-n", "3", "--out", "~/set.csv")
    assert (tmp_path / "~set.csv").read_bytes() == (tmp_path / "home" / "set.csv").read_bytes()
    flow("plot", "posterior", "--set", "~set.csv")
    (tmp_path / "~x.csv").write_text("1,1\n")
    flow("density", "--run", "r", "--y", "1", "--points", "~x.csv")
    flow("invert", "--run", "r", "--y-file", "~no-such-user/ys.csv", code=2)
    assert inn.err == "~no-such-user/ys.csv is not there\n"
    inn(
        "train",
        *TINY,
        "task=table",
        "task.n_train=null",
        "task.file=~mixes.csv",
        "task.y=[strength]",
        "hydra.run.dir=t",
    )
    assert RunDir(tmp_path / "t").config()["task"]["file"] == str(tmp_path / "~mixes.csv")
    shutil.copy(FLOW.parent / "mixes.csv", tmp_path / "home" / "m.csv")
    inn("train", *TINY, "task=table", "task.n_train=null", "task.file=~/m.csv", "task.y=[strength]", "hydra.run.dir=h")
    assert RunDir(tmp_path / "h").config()["task"]["file"] == str(tmp_path / "home" / "m.csv")


@pytest.mark.parametrize("name", ["a${b}", r"${oc.env:HOME}\${x}"])
def test_dollars_and_braces_in_a_path_are_that(inn, tmp_path, monkeypatch, name):
    outputs, folder = tmp_path / "o" / name, tmp_path / "c" / name
    monkeypatch.setenv("INN_OUTPUTS", str(outputs))
    (folder / "task").mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "conf" / "task" / "ring.yaml", folder / "task" / "mine.yaml")
    inn("train", *TINY, "task=mine", "--config-dir", folder)
    (run,) = outputs.glob("*/run.json")
    inn("train", "-m", *TINY, "seed=1,2")
    assert len(list(outputs.glob("sweeps/*/*/run.json"))) == 2
    inn("invert", "--run", run.parent, "--y", "1", "-n", "3", "--out", outputs / "a.csv")
    assert (outputs / "a.csv").is_file()
    work = tmp_path / "w" / name
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    shutil.copy(FLOW.parent / "mixes.csv", work / "m${x}, 1.csv")
    inn(
        "train",
        *TINY,
        "task=table",
        "task.n_train=null",
        "task.file=m${x}, 1.csv",
        "task.y=[strength]",
        "hydra.run.dir=t",
    )
    assert RunDir("t").config()["task"]["file"] == str(work / "m${x}, 1.csv")
    inn("show", "--run", "t")


def test_an_interpolation_of_the_users_own_is_one(inn, tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE", str(tmp_path / "here"))
    inn("train", *TINY, "hydra.run.dir=${oc.env:WHERE}")
    assert (tmp_path / "here" / "run.json").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["train"],
        ["train", "-m", "seed=1,2"],
        ["resume", "r"],
        ["invert", "--y", "1"],
        ["sample"],
        ["density", "--grid", "5"],
        ["evaluate"],
        ["compare"],
        ["show"],
        ["plot", "cobweb"],
        ["report"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_a_working_folder_that_is_gone(inn, tmp_path, monkeypatch, words):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    os.rmdir(tmp_path / "gone")
    assert inn(*words, code=2) == ""
    assert inn.err == "the working folder is gone, or closed to you; change to another: cd\n"
    assert inn(words[0], "--help").startswith("Usage: inn ")


# ---- other hosts -------------------------------------------------------------------------------------
def test_a_clock_that_ran_ahead_holds_a_run_only_while_it_is_written(inn, tmp_path, monkeypatch):
    monkeypatch.setenv("INN_STALE_SECONDS", "600")
    run = RunDir(shutil.copytree(STOPPED, tmp_path / "out" / "r"))
    future = (datetime.now(timezone.utc) + timedelta(days=300)).isoformat()
    info = {**run.info(), "status": "running", "host": "elsewhere", "heartbeat": future}
    run.info_file.write_text(json.dumps(info))
    inn("resume", "r", code=2)
    assert "on elsewhere), whose clock is 25,9" in inn.err and "s ahead of this one's" in inn.err
    os.utime(run.info_file, (1e9, 1e9))
    assert json.loads(inn("runs", "--json"))[0]["status"] == "interrupted"
    inn("resume", "r")
    assert run.info()["status"] == "done"


# ---- completion --------------------------------------------------------------------------------------
def test_a_name_that_is_a_command_is_offered_as_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INN_OUTPUTS", "out")
    names = ["r", "r$(touch canary) b", "r;reboot", "r\ntouch canary", "r\x1b]0;x\x07", "r'\"`", "r*"]
    for name in names:
        shutil.copytree(FLOW, tmp_path / "out" / name)
    monkeypatch.setenv("_INN_COMPLETE", "complete_zsh")
    assert completion.runs("r") == ["r"]
    monkeypatch.setenv("_INN_COMPLETE", "complete_bash")
    assert set(completion.runs("r")) == {"r", r"r\$\(touch\ canary\)\ b", r"r\;reboot", r"r\'\"\`", r"r\*"}
    monkeypatch.chdir(tmp_path / "out")  # where bash 5.0 takes the escaped name for a pattern that this name fits
    monkeypatch.setenv("INN_OUTPUTS", ".")
    assert completion.runs("r") == ["r"]
    (tmp_path / "out" / "sweeps" / "s$(x)").mkdir(parents=True)
    (tmp_path / "out" / "sweeps" / "s$(x)" / "sweep.json").touch()
    assert completion.sweeps("s") == [r"s\$\(x\)"]


# ---- tables ------------------------------------------------------------------------------------------
def test_a_header_that_declares_more_than_the_file_holds(flow, inn, tmp_path):
    with open(tmp_path / "huge.npy", "wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**14, 1)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(80))
    flow("invert", "--run", "r", "--y-file", "huge.npy", "-n", "5", code=2)
    assert "declares 800,000,000,000,000 bytes of shape" in inn.err
    flow("train", *TINY, "task=table", "task.file=huge.npy", "task.y=[]", "task.n_train=null", code=2)
    assert "declares 800,000,000,000,000 bytes of shape" in inn.err
