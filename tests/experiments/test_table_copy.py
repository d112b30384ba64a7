"""The rows of a table are kept with the run, to the bit: one copy a sweep, and none that would be too large."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

from inncli.data.pairs import Pairs
from inncli.data.table_copy import TableCopy
from inncli.errors import CheckpointError, RunError
from inncli.inference.run_table import at_tables
from inncli.inference.run_task import held_out_pairs, task_of, training_ys
from inncli.runs.run_dir import RunDir
from inncli.runs.sweep_dir import SweepDir
from inncli.tasks.measured.kept_table import KeptTable
from inncli.tasks.measured.table import Table
from inncli.training.checkpoint import load_checkpoint
from inncli.training.loop import Loop
from inncli.variables import Variables

TINY = ["model.n_blocks=1", "model.block.hidden=[8]", "trainer.max_steps=20", "trainer.batch_size=32", "threads=1"]
TABLE = ["task=table", "task.file=t.csv", "task.y=[c,kind]", "task.on_invalid=drop"]


@pytest.fixture
def table(tmp_path):
    """A table with recorded steps, labels, repeated rows and a missing value."""
    rng = np.random.default_rng(0)
    rows = [f"{a:.1f},{b:.3f},{a + b:.2f},{'uvw'[k % 3]}" for k, (a, b) in enumerate(rng.normal(size=(150, 2)))]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,kind", *rows, *rows[:9], "1,2,,u", ""]))
    return tmp_path / "t.csv"


def test_the_copy_is_the_table_to_the_bit(inn, tmp_path, table):
    inn("train", *TABLE, *TINY, "hydra.run.dir=run")
    run = RunDir(tmp_path / "run")
    original = Table("t.csv", y=["c", "kind"], on_invalid="drop")
    table.unlink()
    kept = task_of(run)
    assert isinstance(kept, KeptTable) and kept.name == original.name == "table"
    assert (
        (kept.x, kept.y) == (original.x, original.y) and kept.x.steps[0] == 0.1 and kept.y.labels[1] == ("u", "v", "w")
    )
    assert (kept.read_rows, kept.dropped) == (original.read_rows, original.dropped) == (160, 1)
    assert kept.describe() == original.describe()
    for mine, theirs in (
        (kept.training_pairs(3), original.training_pairs(3)),
        (kept.test_pairs(3), original.test_pairs(3)),
    ):
        assert np.array_equal(mine.x, theirs.x) and np.array_equal(mine.y, theirs.y)
    assert np.array_equal(training_ys(run), original.training_pairs(0).y)
    assert held_out_pairs(run, kept, 0)[1] == "test rows of the table"


@pytest.mark.parametrize("words", [[], ["task.relations=false"]], ids=["related", "not asked for"])
def test_a_run_killed_before_its_first_checkpoint_finds_the_relations_again(inn, tmp_path, monkeypatch, words):
    """With labels, a circle and a relation on it: the columns that the model has are those of the table."""
    rng = np.random.default_rng(0)
    degrees = np.round(360 * rng.random(150), 1)
    rows = [f"{d},{np.radians(d)},{g:.3f},{g + np.cos(np.radians(d)):.3f},{'uv'[k % 2]}" for k, (d, g) in
            enumerate(zip(degrees, rng.normal(size=150), strict=True))]  # fmt: skip
    (tmp_path / "t.csv").write_text("\n".join(["deg,rad,g,c,kind", *rows, ""]))
    periodic = "task.periodic={deg: [0, 360], rad: [0, 6.2832]}"
    command = ["train", *TABLE, periodic, *TINY, *words]
    inn(*command, "hydra.run.dir=whole")
    step = Loop.take_step

    def killed(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Loop, "take_step", killed)
    inn(*command, "hydra.run.dir=run", code=130)
    monkeypatch.setattr(Loop, "take_step", step)
    run, whole = RunDir(tmp_path / "run"), RunDir(tmp_path / "whole")
    shutil.rmtree(run.path / "checkpoints", ignore_errors=True)
    (tmp_path / "t.csv").unlink()
    related = task_of(whole).relations
    assert (related is None) == bool(words) and (words or related.describe() == ["rad = 0.0174533 deg"])
    inn("resume", run.path)
    mine, theirs = (load_checkpoint(one.best)[0] for one in (run, whole))
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("mb, kept", [(0, False), (0.005, False), (0.0052, True)])
def test_it_is_kept_where_it_fits(inn, tmp_path, table, mb, kept):
    """159 rows of four columns take 5,088 bytes."""
    inn("train", *TABLE, *TINY, f"task.keep_mb={mb}", "hydra.run.dir=run")
    run = RunDir(tmp_path / "run")
    assert (run.path / "data" / "table.npz").exists() == kept == ("copy_sha256" in run.info()["data"])


def test_a_table_that_is_streamed_is_not_kept(tmp_path):
    np.save(tmp_path / "t.npy", np.random.default_rng(0).normal(size=(40_000, 3)))
    assert Table(str(tmp_path / "t.npy"), n_y=1, memory_mb=12).rows_to_keep() is None


def test_a_config_of_0_4_keeps_none(inn, tmp_path, table):
    inn("train", *TABLE, *TINY, "hydra.run.dir=run")
    run = RunDir(tmp_path / "run")
    config = run.config()
    del config["task"]["keep_mb"]
    run.write_config(config, [])
    facts = run.info()["data"]
    del facts["copy_sha256"]
    run.update_info(data=facts)
    task = task_of(run)
    assert type(task) is Table and task.rows_to_keep() is None


def test_a_sweep_keeps_one_copy_and_goes_on_without_the_table(inn, tmp_path, table, monkeypatch):
    step, stops = Loop.take_step, []

    def failing(self):
        if self.seed == 1 and self.progress.step == 7 and not stops:
            stops.append(1)
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Loop, "take_step", failing)
    inn("train", "-m", *TABLE, *TINY, "seed=0,1,2", code=130)
    (path,) = (tmp_path / "out" / "sweeps").iterdir()
    sweep = SweepDir(path)
    assert [job["status"] for job in sweep.jobs()] == ["done", "interrupted", "waiting"]
    copies = list(path.rglob("*.npz"))
    assert [copy.parent.name for copy in copies] == ["tables"]
    text = table.read_text()
    table.unlink()
    path = path.rename(tmp_path / "moved")
    inn("resume", path)
    assert [job["status"] for job in SweepDir(path).jobs()] == ["done"] * 3
    assert list(path.rglob("*.npz")) == [path / "tables" / copies[0].name]
    for k in range(3):
        assert inn("sample", "--run", path / str(k), "-n", "5", "--out", "s.csv")
    table.write_text(text)
    inn("train", *TABLE, *TINY, "seed=2", "hydra.run.dir=whole")
    mine, theirs = (load_checkpoint(run.best)[0] for run in (RunDir(path / "2"), RunDir(tmp_path / "whole")))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_the_command_line_of_a_table_that_is_elsewhere(inn, tmp_path, table):
    inn("train", *TABLE, *TINY, "task.keep_mb=0", "hydra.run.dir=run")
    table.rename(tmp_path / "new name.csv")
    inn("sample", "--run", "run", "-n", "5", code=2)
    assert "is not there or can't be read; say where it is with --table FILE" in inn.err
    whole = inn("sample", "--run", "run", "-n", "5", "--table", "new name.csv", "--out", "s.csv")
    assert "5 draws" in whole
    inn("train", *TABLE, "--table", "new name.csv", code=2)
    assert inn.err.startswith("--table goes with --resume")


def test_a_changed_table_is_refused_and_the_copy_named(inn, tmp_path, table):
    inn("train", *TABLE, *TINY, "hydra.run.dir=run")
    table.write_text(table.read_text() + "9,9,9,u\n")
    inn("sample", "--run", "run", "-n", "5", code=2)
    assert "t.csv has changed since run run was trained on it; restore the table, train again, or take" in inn.err
    assert "with --table run/data/table.npz" in inn.err
    inn("sample", "--run", "run", "-n", "5", "--table", "run/data/table.npz", "--out", "s.csv")


def test_each_run_takes_its_own_table_and_a_foreign_one_is_refused(tmp_path):
    runs = [RunDir.create(tmp_path / name, data={"file": "t", "sha256": sha}) for name, sha in (("a", "0"), ("b", "1"))]
    other = tmp_path / "t.csv"
    other.write_text("x")
    with pytest.raises(RunError, match="is not the table that any of these runs was trained on"):
        at_tables(runs, [other])
    runs[1].update_info(data={"sha256": hashlib.sha256(b"x").hexdigest()})
    at_tables(runs, [other])
    assert [run.table for run in runs] == [None, other]
    for run in runs:
        run.release()


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda facts, arrays: facts.update(read_rows="many"), "does not say what its rows are"),
        (lambda facts, arrays: facts["x"].update(steps=[-1.0, 0.0]), "does not say what its columns are"),
        (lambda facts, arrays: arrays.update(x=arrays["x"][:, :1]), "does not fit its columns"),
        (lambda facts, arrays: arrays["y"].__setitem__((0, 1), 7.0), "a code without a label"),
        (lambda facts, arrays: arrays["x"].__setitem__((0, 0), np.nan), "not finite"),
    ],
)
def test_a_strangers_copy_is_checked(inn, tmp_path, table, change, said):
    """Its checksum is the stranger's own."""
    inn("train", *TABLE, *TINY, "hydra.run.dir=run")
    table.unlink()
    run = RunDir(tmp_path / "run")
    copy = run.path / "data" / "table.npz"
    with np.load(copy) as file:
        arrays = dict(file)
    facts = json.loads(str(arrays.pop("facts")))
    change(facts, arrays)
    np.savez(copy, facts=np.array(json.dumps(facts)), **arrays)
    run.update_info(data={**run.info()["data"], "copy_sha256": hashlib.sha256(copy.read_bytes()).hexdigest()})
    with pytest.raises(CheckpointError, match=said):
        task_of(run)


def test_equal_rows_give_equal_bytes():
    def copy():
        x, y = np.arange(6.0).reshape(3, 2), np.zeros((3, 1))
        return TableCopy(Pairs(x, y), Variables.numbered("x", 2), Variables(("k",), labels=(("u",),)), 3, 0, "t", "0")

    assert copy().to_bytes() == copy().to_bytes()
