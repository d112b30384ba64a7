"""Pairs that don't fit, or that a run directory should not ask for, are refused before one is drawn."""

import shutil
import time

import pytest

from inncli.experiments import setup
from inncli.io import capacity
from inncli.runs.run_dir import RunDir
from inncli.tasks.toy.ring import Ring

TINY = ["model.n_blocks=1", "model.block.hidden=[8]", "trainer.max_steps=5", "threads=1"]
SIMULATOR = """
def prior(n, rng):
    return rng.normal(size=(n, 2))
def simulate(x, rng):
    return x[:, :1]
"""


@pytest.fixture
def drawn(monkeypatch):
    """The sizes of the pairs that were drawn, after a few draws that would show a constant column."""
    sizes, real = [], Ring.draw_pairs
    monkeypatch.setattr(Ring, "draw_pairs", lambda self, n, rng: sizes.append(n) or real(self, n, rng))
    return sizes


@pytest.mark.parametrize("task", ["task=ring", "task=simulator task.file=sim.py"])
@pytest.mark.parametrize("n", [10**12, 10**18])
def test_more_pairs_than_the_memory_holds(inn, tmp_path, drawn, task, n):
    (tmp_path / "sim.py").write_text(SIMULATOR)
    begun = time.monotonic()
    inn("train", *task.split(), f"task.n_train={n}", *TINY, code=2)
    assert inn.err.startswith(f"task.n_train: {n:,} pairs take ") and len(inn.err.splitlines()) == 1
    assert "about " in inn.err and inn.err.endswith(" fit\n")
    assert not drawn and not (tmp_path / "out").exists() and time.monotonic() - begun < 60


def test_all_that_is_made_of_pairs_counts(inn, drawn, monkeypatch):
    monkeypatch.setattr(capacity, "UNASKED", 0)
    monkeypatch.setattr(capacity, "free_memory", lambda: 3 * 8 * 3 * 1_000.0)  # copies, bytes, columns, pairs
    inn("train", "task=ring", "task.n_train=1000", *TINY)
    assert drawn == [1_000]
    inn("train", "task=ring", "task.n_train=1001", *TINY, code=2)
    assert "about 1,000 fit" in inn.err


def test_a_run_without_its_data_draws_no_more_than_a_stranger_may_ask_for(inn, tmp_path, drawn, monkeypatch):
    real = setup.keep_pairs
    monkeypatch.setattr("inncli.experiments.train.keep_pairs", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    inn("train", "task=ring", "task.n_train=300", *TINY, "hydra.run.dir=run", code=130)
    monkeypatch.setattr("inncli.experiments.train.keep_pairs", real)
    run = RunDir(tmp_path / "run")
    shutil.rmtree(run.path / "data", ignore_errors=True)
    config = run.config_file.read_text()
    del drawn[:]
    for n in (20_000_000, 10**12):
        run.config_file.write_text(config.replace("n_train: 300", f"n_train: {n}"))
        inn("resume", "run", code=2)
        assert inn.err == (
            f"run run keeps no pairs, and its config asks for {n:,} to be simulated again; more than 10,000,000 are "
            "not drawn for a run that there is: start a new one with `inn train`\n"
        )
    assert not drawn
    run.config_file.write_text(config)
    inn("resume", "run")
    assert drawn == [300] and run.info()["status"] == "done"
