"""A snapshot of a run reads its files once and knows when they are no longer those."""

from __future__ import annotations

import hashlib
import os

import pytest

from inncli.errors import CheckpointError
from inncli.runs.run_dir import RunDir
from inncli.runs.snapshot import RunSnapshot


@pytest.fixture
def run(tmp_path):
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    run.write_config({"task": {"n_train": 5}, "names": {}}, [])
    run.best.parent.mkdir()
    run.best.write_bytes(b"weights")
    os.utime(run.best, ns=(10**18, 10**18))  # long ago: a file system's clock may tick slower than the test
    return run


def test_it_says_what_the_run_says_and_goes_on_saying_it(run):
    snapshot = RunSnapshot.of(run)
    assert snapshot.config() == run.config() and snapshot.config_hash() == run.config_hash()
    assert snapshot.weights_hash() == run.weights_hash() == hashlib.sha256(b"weights").hexdigest()
    assert RunSnapshot.of(snapshot) is snapshot and snapshot.id == run.id
    snapshot.config()["task"]["n_train"] = 6  # the caller's own copy
    before, weights = run.config(), run.weights_hash()
    run.write_config({"task": {"n_train": 7}}, [])
    run.best.write_bytes(b"others!")
    assert snapshot.config() == before and snapshot.weights_hash() == weights
    assert hashlib.sha256(snapshot.config_bytes()).hexdigest() == snapshot.config_hash() != run.config_hash()


@pytest.mark.parametrize("change", ["config replaced", "weights replaced", "weights gone", "written in place"])
def test_it_knows_when_a_file_is_another(run, change):
    snapshot = RunSnapshot.of(run)
    assert snapshot.is_current()
    if change == "config replaced":
        run.write_config(run.config(), [])  # the same bytes, yet nobody held them to be
    elif change == "weights replaced":
        other = run.best.with_name("other")
        other.write_bytes(b"weights")
        other.rename(run.best)
    elif change == "weights gone":
        run.best.unlink()
    else:
        with open(run.best, "r+b") as file:
            file.write(b"W")
    assert not snapshot.is_current()


def test_a_missing_config_is_refused_as_by_the_run(tmp_path):
    for run in (RunDir(tmp_path), RunSnapshot(tmp_path)):
        with pytest.raises(CheckpointError, match="config.yaml is missing"):
            run.config()
        with pytest.raises(CheckpointError, match="config.yaml is missing"):
            run.config_hash()
