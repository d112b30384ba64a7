"""Runs of tables whose columns of x are related: draws satisfy them, densities are those of the free columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inncli import config
from inncli.errors import Interrupted
from inncli.experiments import train
from inncli.inference.opening import open_run
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending
from inncli.tasks.measured import table
from inncli.tasks.measured.table import Table

SMALL = ["model.n_blocks=1", "trainer.max_steps=20", "trainer.batch_size=64", "seed=1"]


@pytest.fixture
def shares(tmp_path):
    """Sand, silt and clay in percent, and a y that depends on them."""
    rng = np.random.default_rng(0)
    x = 100 * rng.dirichlet([2, 3, 0.5], size=200)
    path = tmp_path / "shares.csv"
    rows = np.c_[x, x @ [0.5, -0.2, 0.1] + rng.standard_normal(200)]
    np.savetxt(path, rows, delimiter=",", header="sand,silt,clay,y", comments="", fmt="%.17g")
    return path


def trained(path, run, *words, **options):
    (job,) = config.plan(["task=table", f"task.file={path}", "task.y=[y]", *SMALL, *words])
    train.train(job.config, run, [], **options)
    return open_run(RunDir(run), "cpu")


def test_draws_satisfy_the_relation_and_the_density_is_that_of_the_free_columns(shares, tmp_path):
    said = []
    model = trained(shares, tmp_path / "run", note=said.append)
    assert said == [
        "columns of x follow from others: clay = 100 - sand - silt; left out of the model and computed for draws, or "
        "not with task.relations=false"
    ]
    assert model.names["x"] == ("sand", "silt", "clay")
    assert model.model.dim == 2
    draws = model.posterior([[10.0], [30.0]], n=500)
    assert draws.x.shape == (2, 500, 3)
    np.testing.assert_allclose(draws.x.sum(2), 100, rtol=0, atol=1e-10)
    low, high = model.x.bounds[2]
    assert (draws.x[..., 2] >= low).all()
    assert (draws.x[..., 2] <= high).all()
    assert low == 0  # without drawing again, some would lie below
    free = torch.as_tensor(draws.x[0, :, :2])
    with torch.no_grad():
        own = model.model.log_prob(free, torch.full((500, 1), 10.0, dtype=torch.float64))
    np.testing.assert_array_equal(draws.log_prob[0], own.double().numpy())
    off = draws.x[0].copy()
    off[:, 2] += 1
    assert (model.log_prob(off, [[10.0]]) == -np.inf).all()
    assert model.latent(draws.x[0], np.full((500, 1), 10.0)).shape == (500, 2)
    assert model.diagnostics(100)["invertibility_error"] < 1e-2
    assert "columns of x follow from others" in "\n".join(Table(str(shares), y=["y"]).describe())


def test_relations_are_left_alone_on_request(shares, tmp_path):
    model = trained(shares, tmp_path / "run", "task.relations=false")
    assert model.model.dim == 3
    assert "relations" not in model.meta


@pytest.mark.parametrize("began_with", ["all columns", "the free ones"])
def test_a_run_goes_on_with_the_columns_that_it_began_with(shares, tmp_path, monkeypatch, began_with):
    whole = began_with == "all columns"  # as in the releases that knew no relations
    with monkeypatch.context() as before:
        if whole:
            before.setattr(table, "find_relations", lambda columns, x: None)
        with pytest.raises(Interrupted):
            trained(shares, tmp_path / "run", prune=lambda run: Ending.SIGNAL)
        through = trained(shares, tmp_path / "through")
    train.resume(RunDir(tmp_path / "run"))
    resumed = open_run(RunDir(tmp_path / "run"), "cpu")
    assert resumed.model.dim == (3 if whole else 2)
    np.testing.assert_array_equal(resumed.sample([[10.0]], 50), through.sample([[10.0]], 50))


def test_relations_of_a_table_on_disk_hold_in_every_row(tmp_path):
    x = 100 * np.random.default_rng(0).dirichlet([2, 3, 1], size=40_000)
    y = x[:, :1] + 1
    np.savez(tmp_path / "t.npz", x=x, y=y)
    task = Table(str(tmp_path / "t.npz"), memory_mb=12)
    assert task.relations.describe() == ["x3 = 100 - x1 - x2"]
    x[31_234, 2] += 5
    np.savez(tmp_path / "t.npz", x=x, y=y)
    assert Table(str(tmp_path / "t.npz"), memory_mb=12).relations is None
