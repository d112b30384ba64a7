"""Runs that earlier code wrote, kept in tests/fixtures/runs: each must open, invert, resume and evaluate for ever.

What they give is compared with numbers pinned when they were made. Torch draws the same numbers on every CPU; sums
may round differently, hence the tolerances.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from inncli.cli.app import main
from inncli.inference import opening, posterior_files
from inncli.runs.registry import read_runs
from inncli.runs.run_dir import RunDir
from inncli.training.checkpoint import load_checkpoint, save_checkpoint, under

KEPT = Path(__file__).parents[1] / "fixtures" / "runs"
FORMATS = sorted(folder.name for folder in KEPT.iterdir())
PINNED = json.loads((KEPT.parent / "pinned.json").read_text())


@pytest.fixture(params=FORMATS)
def fixtures(request, tmp_path, monkeypatch):
    """A copy of the runs of one format, as the working directory."""
    folder = Path(shutil.copytree(KEPT / request.param, tmp_path / "runs"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INN_OUTPUTS", str(folder))
    return folder, PINNED[request.param]


def found(folder: Path) -> dict[str, dict]:
    """What the runs of a folder give: log densities, draws, evaluations; what is pinned."""
    out = {}
    for name in ("flow", "flow_stopped", "inn", "table"):
        trained = opening.open_run(RunDir(folder / name), "cpu")
        y = np.full((1, trained.y.dim), 1.5)
        x = trained.sample(y, 500, seed=0)[0]
        out[name] = {"mean": x.mean(0).tolist(), "sd": x.std(0).tolist()}
        if trained.has_density:
            points = np.array([[0.5, -1.0], [1.0, 2.0], [4.0, 6.0]])
            out[name]["log_prob"] = trained.log_prob(points, y).tolist()
    return out


def test_every_format_is_kept():
    from inncli.training.checkpoint import FORMAT

    assert [str(n) for n in range(1, FORMAT + 1)] == FORMATS


def test_they_open_and_give_what_they_gave(fixtures):
    folder, pinned = fixtures
    assert {run.id: info["status"] for run, info in read_runs(folder)} == pinned["status"]
    got = found(folder)
    for name, numbers in pinned["opened"].items():
        for key, value in numbers.items():
            np.testing.assert_allclose(got[name][key], value, rtol=1e-4, atol=1e-5, err_msg=f"{name} {key}")


def test_they_resume_to_the_run_that_never_stopped(fixtures):
    folder, _ = fixtures
    assert main(["train", "--resume", "flow_stopped"]) == 0
    whole, resumed = (
        load_checkpoint(folder / name / "checkpoints" / "last.safetensors") for name in ("flow", "flow_stopped")
    )
    assert resumed[1]["training"]["step"] == 40
    for name, tensor in under("averaged", whole[0]).items():
        torch.testing.assert_close(under("averaged", resumed[0])[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    assert [line["epoch"] for line in RunDir(folder / "flow_stopped").metrics()] == list(range(1, 9))


def test_a_table_run_resumes_and_is_evaluated(fixtures, capsys):
    folder, pinned = fixtures
    assert main(["train", "--resume", "table"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--run", "table", "--folds", "0", "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    for name, value in pinned["evaluated"].items():
        assert metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name


def test_every_command_takes_them(fixtures, capsys):
    for words in (
        ["runs"],
        ["show", "--run", "inn"],
        ["invert", "--run", "inn", "--y", "1.5", "-n", "5"],
        ["sample", "--run", "flow", "-n", "5"],
        ["density", "--run", "flow", "--y", "1.5", "--grid", "5"],
        ["plot", "posterior", "--set", "flow/posteriors/set.npz"],
    ):
        assert main(words) == 0, (words, capsys.readouterr().err)


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "nc"])
def test_a_posterior_set_of_each_format(fixtures, suffix):
    if suffix == "nc":
        pytest.importorskip("h5netcdf")
    folder, pinned = fixtures
    kept = posterior_files.load(folder / "flow" / "posteriors" / f"set.{suffix}")
    assert (kept.x_names, kept.y_names, kept.x.shape) == (("x1", "x2"), ("y1",), (1, 4, 2))
    np.testing.assert_allclose(kept.x[0], pinned["set"], rtol=1e-6)
    assert suffix == "csv" or kept.meta["run"] == "flow"
    again = posterior_files.save(kept, folder / f"again.{suffix}")
    np.testing.assert_array_equal(posterior_files.load(again).x, kept.x)


# ---- formats that this inn does not know -------------------------------------------------------------
def newer_checkpoint(folder):
    path = folder / "flow" / "checkpoints" / "best.safetensors"
    tensors, meta = load_checkpoint(path)
    meta.pop("checksum")
    save_checkpoint(path, tensors, {**meta, "format": 2})
    return ["invert", "--run", "flow", "--y", "1.5"]


def newer_run(folder):
    path = folder / "flow" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    return ["show", "--run", "flow"]


def newer_set(folder):
    path = folder / "flow" / "posteriors" / "set.npz"
    with np.load(path) as file:
        arrays = dict(file)
    arrays["meta"] = np.array(json.dumps({**json.loads(str(arrays["meta"])), "format": 2}))
    np.savez(path, **arrays)
    return ["plot", "posterior", "--set", str(path)]


@pytest.mark.parametrize("make", [newer_checkpoint, newer_run, newer_set])
def test_a_newer_format_is_refused_in_one_line(fixtures, make, capsys):
    words = make(fixtures[0])
    capsys.readouterr()
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "this inn reads 1; upgrade inn" in line and "format 2" in line
