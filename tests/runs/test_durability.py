"""Disks that fill up, vanish or lie, clocks that go back, kill -9: a clear error, and what was there is still there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import torch

import killing
from inncli.cli.app import main
from inncli.inference import posterior_files
from inncli.io.atomic import atomic_write, clear_leftovers
from inncli.runs import run_files
from inncli.runs.registry import find_run
from inncli.runs.run_dir import RunDir
from inncli.training import checkpoint
from inncli.training.checkpoint import load_checkpoint, under
from killing import TINY

KEPT = Path(__file__).parents[1] / "fixtures" / "runs" / "1"
GONE = 2**22 + 1  # no process id that Linux gives


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A copy of the fixture runs, as working directory."""
    folder = Path(shutil.copytree(KEPT, tmp_path / "runs"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INN_OUTPUTS", str(folder))
    return folder


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A file system of 400 KB of its own, as working directory; skipped where it can't be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small tmpfs can't be mounted here (needs root): {done.stderr.strip()}")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INN_OUTPUTS", str(folder))
    yield folder
    os.chdir(tmp_path)
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def said(capsys):
    """A function that runs a command, holds its exit code against `code` and returns its last line on stderr."""

    def run(*words: str, code: int) -> str:
        capsys.readouterr()
        got = main(list(words))
        err = capsys.readouterr().err.splitlines()
        assert got == code, err
        return err[-1] if err else ""

    return run


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob("*.tmp"))


def fill(folder: Path) -> Path:
    """Takes all the space that is left."""
    path = folder / "filler"
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    return path


def same_weights(one: RunDir, other: RunDir) -> None:
    first, second = load_checkpoint(one.last)[0], load_checkpoint(other.last)[0]
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that was never disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", *TINY, "hydra.run.dir=run"]) == 0
    finally:
        os.chdir(before)
    return RunDir(folder / "run")


# ---- a full disk -------------------------------------------------------------------------------------
def test_a_disk_that_fills_up_in_mid_checkpoint(disk, said, whole, monkeypatch):
    save, count = checkpoint.atomic_write, 0
    kept = {}

    def filling(path, data):
        nonlocal count
        count += 1
        if count == 21:  # `last` of the eleventh checkpoint
            kept.update(hashes(disk / "run" / "checkpoints"))
            fill(disk)
        save(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "atomic_write", filling)
        line = said("train", *TINY, "hydra.run.dir=run", code=1)
    assert line == f"{disk}/run/checkpoints/last.safetensors: No space left on device; free the place or name another"
    assert hashes(disk / "run" / "checkpoints") == kept and leftovers(disk) == []
    run = RunDir(disk / "run")
    assert (disk / "filler").stat().st_size > 1000
    assert killing.unreadable(run) == []
    said("invert", "--run", "run", "--y", "1.5", "-n", "5", "--out", str(disk.parent / "elsewhere.npz"), code=0)
    (disk / "filler").unlink()
    said("train", "--resume", "run", code=0)
    same_weights(whole, run)


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet", ".nc"])
def test_a_disk_that_fills_up_in_mid_posterior(disk, said, suffix, tmp_path):
    if suffix == ".nc":
        pytest.importorskip("h5netcdf")
    shutil.copytree(KEPT / "flow", disk / "flow")
    said("invert", "--run", "flow", "--y", "1.5", "-n", "5", "--out", str(tmp_path / f"mine{suffix}"), code=0)
    shutil.copy(tmp_path / f"mine{suffix}", disk / "flow" / "posteriors")
    before = hashes(disk)
    words = ["invert", "--run", "flow", "--y", "1.5", "-n", "30000", "--out", f"flow/posteriors/mine{suffix}"]
    line = said(*words, code=1)
    assert re.fullmatch(
        rf"\S*flow/posteriors/mine{suffix}: No space left on device; free the place or name another", line
    )
    assert hashes(disk) == before
    assert posterior_files.load(disk / f"flow/posteriors/mine{suffix}").n_draws == 5


def test_a_line_of_metrics_that_did_not_fit_is_an_error(disk):
    run = RunDir.create(disk / "run")
    fill(disk)
    with pytest.raises(OSError, match="No space left") as caught:
        for epoch in range(2000):
            run.append_metrics({"epoch": epoch, "loss": 0.123456789})
    assert caught.value.errno == errno.ENOSPC
    (disk / "filler").unlink()
    lines = run.metrics()
    run.append_metrics({"epoch": 9999})
    assert [line["epoch"] for line in run.metrics()] == [*range(len(lines)), 9999]
    run.release()


# ---- a disk that fails -------------------------------------------------------------------------------
def test_a_failing_fsync_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic_write(path, "old")

    def failing(fd):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError) as caught:
        atomic_write(path, "new")
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))
    assert path.read_text() == "old" and leftovers(tmp_path) == []


def test_a_checkpoint_on_a_failing_disk(runs, said, monkeypatch):
    before = hashes(runs / "flow_stopped" / "checkpoints")
    sync = os.fsync
    with monkeypatch.context() as patch:

        def failing(fd):
            if "last.safetensors" in os.readlink(f"/proc/self/fd/{fd}"):
                raise OSError(errno.EIO, "Input/output error")
            sync(fd)

        patch.setattr(os, "fsync", failing)
        line = said("train", "--resume", "flow_stopped", code=1)
    assert (
        line == f"{runs}/flow_stopped/checkpoints/last.safetensors: Input/output error; free the place or name another"
        or line == "flow_stopped/checkpoints/last.safetensors: Input/output error; free the place or name another"
    )
    assert hashes(runs / "flow_stopped" / "checkpoints") == before
    said("train", "--resume", "flow_stopped", code=0)


def test_files_and_their_directories_are_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    steps = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append(Path(os.readlink(f"/proc/self/fd/{fd}"))), sync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("rename"), replace(a, b)))
    atomic_write(tmp_path / "file", "text")
    assert steps[0].name.endswith(".tmp") and steps[1:] == ["rename", tmp_path]


def test_a_file_system_that_can_t_sync_directories(tmp_path, monkeypatch):
    sync = os.fsync

    def files_only(fd):
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(fd)

    monkeypatch.setattr(os, "fsync", files_only)
    atomic_write(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


# ---- a directory that can't be written, or is gone ---------------------------------------------------
def test_a_read_only_run_can_be_used_and_not_changed(disk, said, tmp_path):
    for name in ("flow", "flow_stopped"):
        shutil.copytree(KEPT / name, disk / name)
    before = hashes(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        line = said("invert", "--run", "flow", "--y", "1.5", "-n", "5", code=2)
        assert "flow/posteriors can't be written to; name a file elsewhere with --out" in line
        for words in (["train", "--resume", "flow_stopped"], ["train", *TINY]):
            line = said(*words, code=1)
            assert "Read-only file system; free the place or name another" in line, line
        said("invert", "--run", "flow", "--y", "1.5", "-n", "5", "--out", str(tmp_path / "set.npz"), code=0)
        said("show", "--run", "flow", code=0)
        said("runs", code=0)
        assert "not kept, since flow can't be written to" in said("evaluate", "--run", "flow", "-n", "100", code=0)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert hashes(disk) == before
    assert posterior_files.load(tmp_path / "set.npz").n_draws == 5


def test_a_run_directory_that_is_deleted_while_it_trains(tmp_path, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    append = RunDir.append_metrics

    def deleting(run, entry):
        append(run, entry)
        shutil.rmtree(run.path)

    monkeypatch.setattr(RunDir, "append_metrics", deleting)
    line = said("train", *TINY, "hydra.run.dir=run", code=1)
    assert "run" in line and "No such file or directory" in line
    assert not (tmp_path / "run" / "checkpoints").exists(), "nothing is begun anew in a directory that is gone"


# ---- the clock ---------------------------------------------------------------------------------------
def test_a_clock_set_back_in_mid_training(tmp_path, said, whole, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    clock = {"back": 0.0}
    real, now = time.time, datetime.now

    class Back(datetime):
        @classmethod
        def now(cls, tz=None):
            clock["back"] += 3600.0  # an hour each time it is asked
            return now(tz) - timedelta(seconds=clock["back"])

    monkeypatch.setattr(time, "time", lambda: real() - clock["back"])
    monkeypatch.setattr(run_files, "datetime", Back)
    said("train", *TINY, "hydra.run.dir=run", code=0)
    run = RunDir(tmp_path / "run")
    same_weights(whole, run)
    assert run.info()["seconds"] >= 0 and all(line["seconds"] >= 0 for line in run.metrics())
    assert find_run(None, tmp_path).id == "run"
    for _ in range(3):
        said("invert", "--run", "run", "--y", "1.5", "-n", "5", code=0)
    assert len(list(run.posteriors.glob("*.npz"))) == 3


# ---- killed ------------------------------------------------------------------------------------------
def test_killed_between_last_and_best(tmp_path, said, whole, monkeypatch):
    """`last` is then ahead of `best`; what is resumed makes the two agree again, and ends where it would have."""
    monkeypatch.chdir(tmp_path)
    save, count = checkpoint.atomic_write, 0

    def stopping(path, data):
        nonlocal count
        count += path.name == "best.safetensors"
        if count == 40:
            raise KeyboardInterrupt  # as if killed here: `last` is written, `best` is not
        save(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "atomic_write", stopping)
        said("train", *TINY, "hydra.run.dir=run", code=130)
    run = RunDir(tmp_path / "run")
    assert killing.unreadable(run) == []
    said("train", "--resume", "run", code=0)
    same_weights(whole, run)
    last, best = (load_checkpoint(path)[0] for path in (run.last, run.best))
    for name, tensor in under("best", last).items():
        assert torch.equal(under("model", best)[name], tensor), name


def test_what_killed_writers_left_is_cleared_when_a_run_goes_on(runs, said):
    run = RunDir(runs / "flow_stopped")
    run.posteriors.mkdir()
    left = [
        run.path / f".run.json.{GONE}.abcd.tmp",
        run.last.parent / f".last.safetensors.{GONE}.abcd.tmp",
        run.pairs.parent / f".p.{GONE}.ab.tmp",
    ]
    fresh = run.posteriors / f".fresh.npz.{os.getpid()}.ab.tmp"
    old = run.posteriors / f".old.npz.{os.getpid()}.cd.tmp"
    for path in (*left, fresh, old):
        path.write_bytes(b"half a file")
    os.utime(old, (1e9, 1e9))
    run.append_metrics({"epoch": 7, "loss": 99.0})  # of an epoch after the checkpoint, which is trained once more
    said("train", "--resume", "flow_stopped", code=0)
    assert [line["epoch"] for line in run.metrics()] == list(range(1, 9))
    assert leftovers(run.path) == [fresh], "another process may be writing a set at this moment"


def test_leftovers_are_only_temporary_files(tmp_path):
    for name in (f".a.npz.{GONE}.ff.tmp", "b.tmp", ".hidden", "c.npz"):
        (tmp_path / name).touch()
    clear_leftovers(tmp_path)
    clear_leftovers(tmp_path / "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "b.tmp", "c.npz"]


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_kill_9_in_training_and_checkpointing(tmp_path, kills):
    tally = killing.kill_trainings(tmp_path / "kills", kills, seed=kills)
    assert (tally.count, tally.unreadable, tally.different) == (kills, [], [])


@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_kill_9_in_inverting(tmp_path, kills):
    tally = killing.kill_inversions(tmp_path / "kills", kills, seed=kills)
    assert (tally.count, tally.unreadable, tally.lost, tally.different) == (kills, [], [], [])


@pytest.mark.slow
def test_the_kills_find_a_writer_that_is_careless(tmp_path):
    tally = killing.kill_trainings(tmp_path / "kills", 12, seed=0, careless=True)
    assert tally.unreadable, "files written in place are met half-written"
