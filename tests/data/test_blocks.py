"""Sets of more draws than one block: the same draws, the same files, a summary without keeping them, all or nothing."""

from __future__ import annotations

import errno
import json
import tracemalloc

import numpy as np
import pytest
import torch
from pyarrow import parquet

from catalogue import MODELS
from inncli.cli.app import main
from inncli.inference import posterior_files, sampling, trained_model
from inncli.inference.posterior_files import SUFFIXES
from inncli.inference.sample_set import SampleSet
from inncli.inference.streaming import write_posterior, write_sample
from inncli.inference.summary import BINS, Column
from inncli.inference.trained_model import TrainedModel
from inncli.io import streams
from inncli.models.adjoint import Adjoint
from inncli.tasks.toy.ring import Ring
from inncli.variables import Variables

BLOCK = 1_000
X, Y = Variables(("a", "b")), Variables(("u", "kind"), labels=(None, ("no", "yes")))
META = {"config": {"names": {"model": "m"}, "dtype": "float32"}, "versions": {}}
AT = np.array([[0.3, 1.0], [0.5, 0.0]])


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(trained_model, "BLOCK", BLOCK)
    monkeypatch.setattr(sampling, "BLOCK", BLOCK)


def model_of(name, y=Y, x=X):
    torch.manual_seed(0)
    model = MODELS[name](x=x, y=y)
    rows = torch.randn(500, x.dim, dtype=torch.float64)
    seen = None if y is None else torch.stack([rows.sum(1), (rows[:, 0] > 0).double()], 1)
    model.initialise(rows, seen, torch.Generator().manual_seed(0))
    return TrainedModel(model.eval(), META, "r", torch.device("cpu"))


@pytest.fixture(scope="module")
def flow():
    return model_of("rnvp")


def together(parts):
    """A posterior set from its parts, in order."""
    parts = list(parts)
    rows = {}
    for obs, draw, part in parts:
        for k in range(part.n_obs):
            assert draw == sum(len(piece) for piece in rows.get(obs + k, ()))
            rows.setdefault(obs + k, []).append(
                np.column_stack([part.x[k], part.log_prob[k], *(v[k] for v in part.extra.values())])
            )
    return np.stack([np.concatenate(rows[obs]) for obs in sorted(rows)])


# ---- the draws -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["rnvp", "inn"])
def test_the_first_block_is_the_set_of_one_block_and_no_draw_depends_on_the_total(name):
    it = model_of(name)
    whole = it.posterior(AT[:1], BLOCK, 5)
    short, long = (together(it.posterior_blocks(AT, n, 5)) for n in (BLOCK + 1, 3 * BLOCK - 7))
    assert short.shape[:2] == (2, BLOCK + 1) and long.shape[:2] == (2, 3 * BLOCK - 7)
    assert np.array_equal(long[0, :BLOCK, :2], whole.x[0]) and np.array_equal(
        long[0, :BLOCK, 2], whole.log_prob[0], equal_nan=True
    )
    assert np.array_equal(long[:, : BLOCK + 1], short, equal_nan=True)
    assert len(np.unique(long[..., 0])) > 0.99 * 2 * (3 * BLOCK - 7)  # no stream is used twice


def test_a_set_of_one_block_and_a_search_are_made_as_before(flow):
    ((obs, draw, part),) = flow.posterior_blocks(AT, BLOCK // 2, 1)
    assert (obs, draw) == (0, 0) and np.array_equal(part.x, flow.posterior(AT, BLOCK // 2, 1).x)
    assert not flow.in_blocks(2, BLOCK // 2) and flow.in_blocks(2, BLOCK)
    search = TrainedModel(Adjoint(X, Variables(("u",)), hidden=[4], n_starts=8), META, "r", torch.device("cpu"))
    assert not search.in_blocks(2, BLOCK)  # its solutions are sorted over all draws


def test_many_observations_are_grouped(flow):
    y = np.column_stack([np.linspace(-1, 1, 25), np.arange(25) % 2])
    parts = list(flow.posterior_blocks(y, 90, 1))
    assert [obs for obs, _, _ in parts] == [0, 11, 22] and [part.n_obs for _, _, part in parts] == [11, 11, 3]
    assert np.array_equal(parts[0][2].x, flow.posterior(y[:11], 90, 1).x)


# ---- the files -------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name, n, rows", [("rnvp", 2 * BLOCK + 5, 2), ("rnvp", 2 * BLOCK + 5, 1), ("inn", 600, 2)])
def test_a_file_written_in_blocks_reads_as_one_written_at_once(tmp_path, suffix, name, n, rows):
    it = model_of(name)
    path = tmp_path / f"set{suffix}"
    digest, errors = write_posterior(it.posterior_blocks(AT[:rows], n, 3), AT[:rows], n, path)
    found, parts = posterior_files.load(path), list(it.posterior_blocks(AT[:rows], n, 3))
    expected = together(parts)
    assert np.array_equal(found.x, expected[..., :2]) and np.array_equal(
        found.log_prob, expected[..., 2], equal_nan=True
    )
    assert found.extra.keys() == parts[0][2].extra.keys()
    for k, value in enumerate(found.extra.values()):
        assert np.array_equal(value, expected[..., 3 + k])
    assert found.x_names == ("a", "b") and [found.y_outside(obs)["kind"] for obs in range(rows)] == ["yes", "no"][:rows]
    if suffix != ".csv":  # which keeps the labels that occur, and no meta
        assert np.array_equal(found.y, AT[:rows]) and found.meta == parts[0][2].meta
    assert errors is None and [p.name for p in tmp_path.iterdir()] == [path.name]
    # The summary is that of the set, which nobody kept.
    assert [it.y for it in digest.observations] == [found.y_outside(obs) for obs in range(rows)]
    for true in found.summary():
        row = digest.observations[true["obs"]].x[true["name"]]
        assert list(row) == ["mean", "sd", "q05", "q50", "q95"]
        assert row["mean"] == pytest.approx(true["mean"], abs=1e-12)
        assert row["sd"] == pytest.approx(true["sd"], rel=1e-12)
        values = found.x[true["obs"], :, found.x_names.index(true["name"])]
        for q in (0.05, 0.5, 0.95):
            assert abs((values <= row[f"q{100 * q:02.0f}"]).mean() - q) <= 1 / BINS + 2 / n
    for obs in range(rows):
        said = digest.observations[obs].extra
        assert said.keys() == found.extra_summary(obs).keys()
        for name, pair in found.extra_summary(obs).items():
            assert said[name] == pytest.approx(pair, rel=0.02)


def test_an_npz_in_blocks_has_the_bytes_of_one_at_once(tmp_path, flow):
    write_posterior(flow.posterior_blocks(AT[:1], 2 * BLOCK, 3), AT[:1], 2 * BLOCK, tmp_path / "blocks.npz")
    posterior_files.save(posterior_files.load(tmp_path / "blocks.npz"), tmp_path / "once.npz")
    with np.load(tmp_path / "blocks.npz") as one, np.load(tmp_path / "once.npz") as other:
        assert one.files == other.files
        assert all(one[k].tobytes() == other[k].tobytes() and one[k].dtype == other[k].dtype for k in one.files)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_set_of_one_block_is_the_file_and_the_summary_of_the_whole_set(tmp_path, flow, suffix):
    n = BLOCK // 2
    digest, _ = write_posterior(flow.posterior_blocks(AT, n, 1), AT, n, tmp_path / f"parts{suffix}")
    whole = flow.posterior(AT, n, 1)
    posterior_files.save(whole, tmp_path / f"whole{suffix}")
    if suffix == ".nc":  # which holds the time at which it was made
        assert np.array_equal(posterior_files.load(tmp_path / "parts.nc").x, whole.x)
    else:
        assert (tmp_path / f"parts{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
    assert digest.how is None
    rows = [
        {"obs": obs, "name": name, **stats}
        for obs, it in enumerate(digest.observations)
        for name, stats in it.x.items()
    ]
    assert rows == whole.summary()  # exact, to the last bit


def test_a_simulator_that_fails_leaves_no_file(tmp_path, flow):
    def observe(x):
        raise ValueError("no")

    for n in (BLOCK // 2, 2 * BLOCK):
        with pytest.raises(ValueError):
            write_posterior(flow.posterior_blocks(AT, n, 1), AT, n, tmp_path / "set.npz", observe=observe)
    assert list(tmp_path.iterdir()) == []


def test_the_draws_of_a_search_are_one_part():
    search = TrainedModel(Adjoint(X, Variables(("u",)), hidden=[4], n_starts=8), META, "r", torch.device("cpu"))
    ((obs, draw, part),) = search.posterior_blocks([[0.3]], BLOCK + 1, 1)
    assert (obs, draw, part.n_draws) == (0, 0, BLOCK + 1)


def test_a_sample_of_one_block_is_summarised_exactly(tmp_path):
    it = model_of("rnvp", y=None)
    rows = write_sample(it, None, 500, 4, tmp_path / "s.npz")
    x = it.sample(None, 500, 4)[0]
    SampleSet(x, None, X.names).save(tmp_path / "t.npz")
    assert (tmp_path / "s.npz").read_bytes() == (tmp_path / "t.npz").read_bytes()
    q05, q50, q95 = np.quantile(x[:, 0], (0.05, 0.5, 0.95))
    assert rows["a"] == {"mean": x[:, 0].mean(), "sd": x[:, 0].std(), "q05": q05, "q50": q50, "q95": q95}


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_samples_in_blocks(tmp_path, suffix):
    it = model_of("rnvp")
    ys = np.column_stack([np.linspace(-2, 2, 50), np.arange(50) % 2])
    n = 2 * BLOCK + 3
    rows = write_sample(it, ys, n, 4, tmp_path / f"s{suffix}")
    blocks = [sampling.sample_block(it, ys, BLOCK, 4, start) for start in (0, BLOCK, 2 * BLOCK)]
    x, y = (np.concatenate(part)[:n] for part in zip(*blocks, strict=True))
    SampleSet(x, y, X.names, Y.names, Y.labels).save(tmp_path / f"t{suffix}")
    if suffix == ".npz":
        with np.load(tmp_path / "s.npz") as one, np.load(tmp_path / "t.npz") as other:
            assert one.files == other.files and all(np.array_equal(one[k], other[k]) for k in one.files)
    elif suffix == ".csv":
        assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()
    else:
        assert parquet.read_table(tmp_path / "s.parquet").equals(parquet.read_table(tmp_path / "t.parquet"))
    assert list(rows) == ["a", "b", "u"]
    assert rows["a"]["mean"] == pytest.approx(x[:, 0].mean(), abs=1e-12)
    density = model_of("rnvp", y=None)
    write_sample(density, None, n, 4, tmp_path / "d.npz")
    with np.load(tmp_path / "d.npz") as found:
        assert found["x"].shape == (n, 2) and np.array_equal(found["x"][:BLOCK], density.sample(None, BLOCK, 4)[0])


# ---- the summary -----------------------------------------------------------------------------------
DRAWS = {
    "normal": lambda rng, n: rng.standard_normal(n) + 1e6,
    "heavy": lambda rng, n: rng.standard_cauchy(n),
    "recorded": lambda rng, n: np.round(rng.standard_normal(n), 1),
    "heap": lambda rng, n: np.maximum(rng.standard_normal(n), 0.0),
    "drifting": lambda rng, n: np.sort(rng.standard_normal(n)),  # no block is like another
}


@pytest.mark.parametrize("kind", DRAWS)
def test_mean_and_sd_are_exact_and_quantiles_are_off_by_a_bin_at_most(kind):
    values = DRAWS[kind](np.random.default_rng(0), 100_000)
    column = Column()
    for start in range(0, len(values), 9_999):
        column.add(values[start : start + 9_999])
    found = column.summary()
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-12, abs=1e-12) and found["sd"] == pytest.approx(
        values.std(), rel=1e-9
    )
    if kind == "recorded":
        assert [found[f"q{q:02d}"] for q in (5, 50, 95)] == np.quantile(values, (0.05, 0.5, 0.95)).tolist()
    if kind != "drifting":  # its later values lie beyond all bins: independent draws don't
        for q in (0.05, 0.5, 0.95):
            value = found[f"q{100 * q:02.0f}"]
            assert (values < value).mean() - 1 / BINS <= q <= (values <= value).mean() + 1 / BINS


def test_a_draw_that_is_no_number_shows():
    column = Column()
    column.add(np.arange(10.0))
    column.add(np.array([1.0, np.nan]))
    assert np.isnan(list(column.summary().values())).all()


def test_the_resimulation_error_is_that_of_all_draws(tmp_path):
    task = Ring()
    torch.manual_seed(0)
    model = MODELS["rnvp"](x=task.x, y=task.y)
    pairs = task.training_pairs(0).take(slice(500))
    model.initialise(torch.as_tensor(pairs.x), torch.as_tensor(pairs.y), torch.Generator().manual_seed(0))
    it = TrainedModel(model.eval(), META, "r", torch.device("cpu"))
    at, n = np.array([[0.3], [0.5]]), 2 * BLOCK + 9
    parts = it.posterior_blocks(at, n, 0)
    _, (found, other) = write_posterior(parts, at, n, tmp_path / "s.npz", observe=task.observe)
    x = posterior_files.load(tmp_path / "s.npz").x
    for obs, y, error in ((0, 0.3, found), (1, 0.5, other)):
        assert error["resimulation_error"] == pytest.approx(np.sqrt(((task.observe(x[obs]) - y) ** 2).sum(1).mean()))


# ---- whole or not at all ---------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_interrupted_or_out_of_space_the_old_file_is_still_there(tmp_path, flow, suffix, fault):
    path = tmp_path / f"set{suffix}"
    path.write_text("old")

    def on_progress(text):
        if " 2,000 of" in text:
            raise fault

    with pytest.raises(type(fault)) as raised:
        write_posterior(flow.posterior_blocks(AT[:1], 3 * BLOCK), AT[:1], 3 * BLOCK, path, on_progress=on_progress)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    if isinstance(fault, OSError):
        assert raised.value.filename == str(path)


def test_the_memory_does_not_grow_with_the_draws(tmp_path, flow):
    def peak(blocks):
        tracemalloc.start()
        n = blocks * BLOCK
        write_posterior(flow.posterior_blocks(AT[:1], n), AT[:1], n, tmp_path / "s.parquet")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)  # imports
    few, many = peak(3), peak(30)
    assert many < 1.3 * few + 1e5  # a note of each row group stays till the end
    assert 1.5 * few < 30 * BLOCK * 24  # control: the draws alone would be more


# ---- the commands ----------------------------------------------------------------------------------
def test_invert_and_sample_say_how_the_summary_was_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    assert main(["train", "task=ring", "task.n_train=200", "trainer.max_steps=5", "model.n_blocks=1"]) == 0
    capsys.readouterr()
    out = str(tmp_path / "set.parquet")
    assert main(["invert", "--y", "0.3", "-n", "2500", "--out", out, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 2500 and "first block" in found["quantiles"]
    (entry,) = found["observations"]
    assert {"x1", "x2"} == set(entry["x"]) and entry["resimulation_error"] > 0
    posterior = posterior_files.load(out)
    assert posterior.n_draws == 2500 and entry["x"]["x1"]["mean"] == pytest.approx(posterior.x[..., 0].mean())
    assert main(["invert", "--y", "0.3", "-n", "2500", "--out", out]) == 0
    assert "quantiles are read from 4,000 bins" in (said := capsys.readouterr().out) and "2,500 draws" in said
    assert main(["invert", "--y", "0.3", "-n", "900", "--json"]) == 0
    assert "quantiles" not in json.loads(capsys.readouterr().out)
    assert main(["sample", "-n", "2500", "--out", str(tmp_path / "s.csv"), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["columns"]) == ["x1", "x2", "y1"]
    monkeypatch.setattr(streams, "_table", _full)
    assert main(["invert", "--y", "0.3", "-n", "2500", "--out", out]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{out}: No space left on device" in said
    assert posterior_files.load(out).n_draws == 2500


def _full(*where):
    raise OSError("IOError: [Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device")
