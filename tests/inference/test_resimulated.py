"""A run whose draws don't give y back says so whenever it is inverted."""

import json

import numpy as np
import pytest
import torch

from inncli.inference.resimulated import not_reproduced, resimulated
from inncli.tasks.toy.linear import Linear

FOUND = {"error": 0.5, "truth": 0.1, "spread": 1.0, "observations": 20, "draws": 4}


class Exact:
    """A stand-in for a model: the true x of each y, moved by `off`."""

    is_search = False

    def __init__(self, x, off):
        self.x, self.off = x, off

    def sample(self, y, n, generator):
        return self.x[: len(y), None].expand(-1, n, -1) + self.off


class Counting(Linear):
    """Counts its simulations."""

    simulations = 0

    def observe(self, x):
        self.simulations += len(x)
        return super().observe(x)


def found(off=0.0, pairs=10_000, rows=50):
    task = Counting()
    held_out = task.test_pairs(0, rows)
    x, y = torch.as_tensor(held_out.x), torch.as_tensor(held_out.y)
    task.simulations = 0
    return resimulated(task, Exact(x, off), x, y, pairs, 0), task


def test_exact_draws_are_as_far_off_as_the_truth():
    numbers, task = found()
    assert numbers["error"] <= 2 * numbers["truth"] and not not_reproduced(numbers)
    assert task.simulations == 100
    assert found(off=5.0)[0]["error"] > 3 * numbers["truth"]


@pytest.mark.parametrize("pairs, simulations", [(2_000, 100), (1_999, 40), (400, 20), (199, 0)])
def test_few_pairs_are_followed_by_few_simulations(pairs, simulations):
    numbers, task = found(pairs=pairs)
    assert (numbers is None) == (simulations == 0)
    assert task.simulations == simulations


@pytest.mark.parametrize(
    "changed, words",
    [
        ({}, "an error of 0.5, 5.0 times the noise"),
        ({"error": 0.37}, None),  # 3 * 1.25 * .1 is .375
        ({"truth": 0.0}, "an error of 0.5, 50% of the sd of y"),
        ({"truth": 0.0, "error": 0.029}, None),
        ({"error": None}, None),
        ({"error": "much"}, None),
    ],
)
def test_many_times_the_noise_is_said(changed, words):
    said = not_reproduced({**FOUND, **changed})
    assert (words in said[0] and len(said) == 1) if words else said == []


def test_earlier_runs_say_nothing():
    assert not_reproduced(None) == []


def test_invert_says_it_on_stderr_and_in_json(inn):
    inn("train", "task=ring", "task.n_train=400", "trainer.max_steps=1", "model.n_blocks=1")
    lines = inn("invert", "--y", "0.3", "-n", "10")
    assert "times the noise" not in lines and "warning: when training ended, draws at" in inn.err
    shown = json.loads(inn("invert", "--y", "0.3", "-n", "10", "--json"))
    assert any("times the noise" in line for line in shown["warnings"])
    kept = json.loads(inn("show", "--json"))["run"]
    assert kept["resimulation"]["observations"] == 10 and np.isfinite(kept["resimulation"]["error"])


def test_a_table_of_noise_says_what_was_kept(inn, tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, 2))
    np.savetxt(tmp_path / "noise.csv", rows, delimiter=",", header="a,b", comments="", fmt="%.5f")
    said = inn("train", "task=table", "task.file=noise.csv", "task.y=b", "model.n_blocks=1")
    assert "nothing was learned: this is the marginal" in said and " of 310 steps" in said
    assert "nothing was learned: this is the marginal" in inn("show")
    run = json.loads(inn("show", "--json"))["run"]
    assert run["kept"].startswith("nothing was learned") and run["resimulation"] is None
