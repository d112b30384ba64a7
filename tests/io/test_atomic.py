"""Files that appear whole or not at all, and what killed writers leave."""

import os
import resource
import subprocess
import sys

import numpy as np
import pytest

from inncli.inference import posterior_files
from inncli.inference.posterior_set import PosteriorSet
from inncli.io import atomic
from inncli.io.paths import user_path
from inncli.plots import style

GONE = 2**22 + 1  # no process id that Linux gives


@pytest.fixture
def limited():
    """Files may have 20 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", posterior_files.SUFFIXES)
def test_a_limit_on_the_size_of_files_is_an_error_and_leaves_nothing(suffix, tmp_path, limited):
    draws = np.random.default_rng(0).normal(size=(1, 5000, 2))
    path = tmp_path / f"big{suffix}"
    with pytest.raises(OSError) as refused:
        posterior_files.save(PosteriorSet(draws, draws[..., 0], np.ones((1, 1)), ("a", "b"), ("y",)), path)
    assert (refused.value.strerror, refused.value.filename) == ("File too large", str(path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_that_does_not_fit(suffix, tmp_path, limited):
    figure = style.new_figure(9, 9)
    figure.add_subplot().imshow(np.random.default_rng(0).random((300, 300)))
    with pytest.raises(OSError, match="File too large"):
        style.save(figure, tmp_path / f"big{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_cleared_by_the_next_one(tmp_path):
    code = f"""
import os
from inncli.io.atomic import atomic_path
with atomic_path({str(tmp_path / "big.nc")!r}) as tmp:
    tmp.write_bytes(b"half")
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], timeout=60)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".big.nc.")
    atomic.atomic_write(tmp_path / "other.csv", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["other.csv"]


def test_a_writer_that_lives_keeps_its_temporary_file(tmp_path):
    old = tmp_path / f".set.npz.{os.getpid()}.abcd.tmp"  # of inn 0.4, which takes no lock
    old.write_bytes(b"half")
    with atomic.atomic_path(tmp_path / "a.npz") as tmp:
        tmp.write_bytes(b"whole")
        os.rename(tmp, moved := tmp_path / f".a.npz.{GONE}.abcd.tmp")  # as another host would see it
        atomic.clear_leftovers(tmp_path)
        assert moved.exists() and old.exists()
        os.rename(moved, tmp)
    os.utime(old, (1e9, 1e9))  # the process with this id is another one by now
    atomic.clear_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_no_pipe_is_replaced(tmp_path):
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(OSError, match="a pipe or a device is there"):
        atomic.atomic_write(tmp_path / "x.csv", "1")
    assert (tmp_path / "x.csv").is_fifo()


def test_a_name_that_is_as_long_as_names_can_be(tmp_path):
    atomic.atomic_write(tmp_path / ("n" * 251 + ".csv"), "1")
    assert len(list(tmp_path.iterdir())) == 1


def test_home_folders_are_those_of_the_shell(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert str(user_path("~/a.csv")) == "/home/me/a.csv"
    assert str(user_path("~nobody-of-this-name.csv")) == "~nobody-of-this-name.csv"
    assert str(user_path("a~${b}/~")) == "a~${b}/~"
