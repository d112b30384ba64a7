"""Posterior sets and draws on disk, re-read by plain numpy, csv, pyarrow and h5py."""

from __future__ import annotations

import csv
import json

import h5py
import numpy as np
import pytest

from inncli.errors import DataError, RequestError, ShapeError
from inncli.inference import posterior_files
from inncli.inference.posterior_files import SUFFIXES
from inncli.inference.posterior_set import PosteriorSet
from inncli.inference.sample_set import DensitySet, SampleSet
from inncli.io import tables as array_files

LABELS = (None, ("low", "high, or so"))


def make(n_obs=2, s=3, labels=(), **fields):
    rng = np.random.default_rng(1)
    y = np.column_stack([rng.normal(size=n_obs), np.arange(n_obs) % 2])
    parts = dict(
        x=rng.normal(size=(n_obs, s, 2)) * 1e-3,
        log_prob=rng.normal(size=(n_obs, s)),
        y=y,
        x_names=("cement", "Größe [mm]"),
        y_names=("strength", "kind"),
        y_labels=labels,
        meta={"run": "r", "model": "rnvp", "seed": 7, "versions": {"torch": "2.13.0"}},
    )
    return PosteriorSet(**{**parts, **fields})


def same(a, b):
    for name in ("x", "log_prob", "y"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), strict=True)
    assert (a.x_names, a.y_names, a.y_labels, a.meta) == (b.x_names, b.y_names, b.y_labels, b.meta)
    assert list(a.extra) == list(b.extra)
    for name in a.extra:
        np.testing.assert_array_equal(a.extra[name], b.extra[name])


# ---- the layouts, read without this package ------------------------------------------------------
def test_npz_is_the_documented_layout(tmp_path):
    draws = make()
    posterior_files.save(draws, tmp_path / "set.npz")
    with np.load(tmp_path / "set.npz", allow_pickle=False) as file:
        assert set(file.files) == {"x", "log_prob", "y", "x_names", "y_names", "meta"}
        np.testing.assert_array_equal(file["x"], draws.x, strict=True)
        np.testing.assert_array_equal(file["log_prob"], draws.log_prob, strict=True)
        np.testing.assert_array_equal(file["y"], draws.y, strict=True)
        assert file["x_names"].tolist() == ["cement", "Größe [mm]"]
        assert file["y_names"].tolist() == ["strength", "kind"]
        assert json.loads(str(file["meta"])) == draws.meta


def test_npz_shows_labels_not_codes(tmp_path):
    draws = make(labels=LABELS)
    posterior_files.save(draws, tmp_path / "set.npz")
    with np.load(tmp_path / "set.npz", allow_pickle=False) as file:
        assert file["y"].dtype.kind == "U"
        assert file["y"][:, 1].tolist() == ["low", "high, or so"]
        assert file["y"][:, 0].astype(float).tolist() == draws.y[:, 0].tolist()


def test_csv_is_long_form_any_csv_reader_can_read(tmp_path):
    draws = make(labels=LABELS, extra={"loss": [[1, 2, 3], [4, 5, 6]]})
    posterior_files.save(draws, tmp_path / "set.csv")
    with open(tmp_path / "set.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["obs", "strength", "kind", "draw", "cement", "Größe [mm]", "log_prob", "loss"]
    assert len(rows) == 6
    for i, row in enumerate(rows):
        obs, draw = divmod(i, 3)
        assert (int(row[0]), int(row[3])) == (obs, draw)
        assert (float(row[1]), row[2]) == (draws.y[obs, 0], LABELS[1][obs % 2])
        assert [float(v) for v in row[4:6]] == draws.x[obs, draw].tolist()
        assert (float(row[6]), float(row[7])) == (draws.log_prob[obs, draw], 1.0 + i)


def test_netcdf_is_arviz_layout(tmp_path):
    draws = make(labels=LABELS, extra={"loss": np.ones((2, 3))})
    posterior_files.save(draws, tmp_path / "set.nc")
    with h5py.File(tmp_path / "set.nc") as file:
        assert set(file) == {"posterior", "sample_stats", "observed_data"}
        for i, name in enumerate(draws.x_names):
            variable = file["posterior"][name]
            assert [d[0].name.split("/")[-1] for d in variable.dims] == ["chain", "draw", "obs"]
            np.testing.assert_array_equal(variable[0].T, draws.x[..., i])
        np.testing.assert_array_equal(file["sample_stats/lp"][0].T, draws.log_prob)
        np.testing.assert_array_equal(file["observed_data/strength"][...], draws.y[:, 0])
        assert [v.decode() for v in file["observed_data/kind"]] == ["low", "high, or so"]
    posterior_files.save(make(n_obs=1), tmp_path / "one.nc")
    with h5py.File(tmp_path / "one.nc") as file:
        assert file["posterior/cement"].shape == (1, 3)  # chain, draw: what a single model's user expects


# ---- round trips ---------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".nc"])
@pytest.mark.parametrize(
    "case",
    [
        {},
        {"labels": LABELS},
        {"n_obs": 1, "s": 1},
        {"log_prob": None},
        {"extra": {"loss": np.ones((2, 3)), "converged": np.eye(2, 3)}},
        {"y": np.empty((2, 0)), "y_names": ()},
        {"x_names": ("obs", "strength"), "y_names": ("strength", "log_prob")},
        {"x_names": ("draw", "a/b"), "y_names": ("x.draw", "chain")},
        {"x_names": (".", "_"), "y_names": ("..", "file")},
        {"meta": {}},
        {"meta": {"note": "é\n", "seed": np.int64(3), "y_labels_of": [1, None]}},
    ],
    ids=lambda case: ",".join(case) or "plain",
)
def test_what_was_saved_is_loaded(tmp_path, suffix, case):
    draws = make(**case)
    path = posterior_files.save(draws, tmp_path / "deep" / f"set{suffix.upper()}")
    same(posterior_files.load(path), draws)
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no temporary left
    first = path.read_bytes()
    if suffix != ".nc":
        posterior_files.save(draws, path)
        assert path.read_bytes() == first


def test_csv_gives_back_names_numbers_and_labels(tmp_path):
    draws = make(labels=LABELS, extra={"loss": np.ones((2, 3))})
    draws.log_prob[0, 1] = np.nan
    back = posterior_files.load(posterior_files.save(draws, tmp_path / "set.csv"))
    np.testing.assert_array_equal(back.x, draws.x)
    np.testing.assert_array_equal(back.log_prob, draws.log_prob)
    assert (back.x_names, back.y_names, list(back.extra)) == (draws.x_names, draws.y_names, ["loss"])
    assert [back.y_outside(i) for i in range(2)] == [draws.y_outside(i) for i in range(2)]


def test_no_density_writes_nan(tmp_path):
    posterior_files.save(make(log_prob=None), tmp_path / "set.npz")
    with np.load(tmp_path / "set.npz") as file:
        assert file["log_prob"].shape == (2, 3)
        assert np.isnan(file["log_prob"]).all()


def test_summary_against_plain_numbers():
    x = np.arange(101.0)[None, :, None] * [1.0, -2.0]
    rows = PosteriorSet(x, None, [[0.5]], ["a", "b"], ["y1"]).summary()
    sd = np.sqrt(((101**2) - 1) / 12)  # of 0..100, each once
    expected = [("a", 50, sd, 5, 50, 95), ("b", -100, 2 * sd, -190, -100, -10)]
    for row, (name, *numbers) in zip(rows, expected, strict=True):
        assert list(row) == ["obs", "name", "mean", "sd", "q05", "q50", "q95"]
        assert (row["obs"], row["name"]) == (0, name)
        assert [row[key] for key in list(row)[2:]] == pytest.approx(numbers, rel=1e-12)
    json.dumps(rows)


# ---- refusals ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong, error, text",
    [
        ({"x": np.ones((3, 2))}, ShapeError, "x: expected (n_obs, S, Dx), got (3, 2)"),
        ({"x": np.ones((2, 0, 2))}, ShapeError, "at least one observation, draw and unknown, got (2, 0, 2)"),
        ({"log_prob": np.ones((3, 2))}, ShapeError, "log_prob: expected (2, 3), one number a draw, got (3, 2)"),
        ({"y": np.ones((3, 2))}, ShapeError, "y: expected (2, Dy), one row an observation, got (3, 2)"),
        ({"x_names": ("a",)}, ShapeError, "x_names: expected 2 names, got 1"),
        ({"y_names": ("a", "a")}, ShapeError, "y_names: expected distinct names, got 'a' twice"),
        ({"labels": (None,)}, ShapeError, "y_labels: expected 2 entries, got 1"),
        ({"labels": (None, ("only",))}, DataError, "expected codes 0 to 0 for the labels only, got 1"),
        ({"extra": {"x": np.ones((2, 3))}}, ShapeError, "extra: 'x' is taken"),
        ({"extra": {"loss": np.ones(3)}}, ShapeError, "loss: expected (2, 3), one number a draw, got (3,)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(wrong, error, text):
    with pytest.raises(error) as caught:
        make(**wrong)
    assert text in str(caught.value)


def test_an_unknown_suffix_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "deep" / "set.xlsx"
    for action in (lambda: posterior_files.save(make(), path), lambda: posterior_files.load(path)):
        with pytest.raises(RequestError) as caught:
            action()
        assert "expected a file name that ends in one of .npz .csv .parquet .nc, got " in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_or_foreign_file_is_one_line(tmp_path, suffix):
    path = posterior_files.save(make(n_obs=2, s=400), tmp_path / f"set{suffix}")
    whole = path.read_bytes()
    contents = [b"", b"garbage", whole[:3], whole[: len(whole) // 2], whole[:-20], b"a,b\n1,2\n"]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            posterior_files.load(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(DataError, match="is not there"):
        posterior_files.load(path)


def test_a_pickle_is_never_read(tmp_path, capsys):
    class Trap:
        def __reduce__(self):
            return (print, ("TRAP",))

    draws = make()
    np.savez(
        tmp_path / "set.npz",
        x=draws.x,
        log_prob=draws.log_prob,
        y=np.array([Trap()], dtype=object),
        x_names=np.array(draws.x_names),
        y_names=np.array(draws.y_names),
        meta=np.array("{}"),
    )
    with pytest.raises(DataError, match="can't be read"):
        posterior_files.load(tmp_path / "set.npz")
    assert "TRAP" not in capsys.readouterr().out


def test_rows_taken_out_of_a_table_are_noticed(tmp_path):
    path = posterior_files.save(make(), tmp_path / "set.csv")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]), encoding="utf-8")
    with pytest.raises(DataError, match="rows were taken out or moved"):
        posterior_files.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = posterior_files.save(make(), tmp_path / "set.npz")
    before = path.read_bytes()

    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(array_files.np, "savez", full_disk)
    with pytest.raises(OSError):
        posterior_files.save(make(n_obs=3), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["set.npz"]


# ---- inn sample, inn density -----------------------------------------------------------------------
def test_sample_set_npz_with_and_without_y(tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 2))
    SampleSet(x, None, ("x1", "x2")).save(tmp_path / "p.npz")
    kind = np.arange(5)[:, None] % 2
    SampleSet(x, kind, ("x1", "x2"), ("kind",), (("no", "yes"),)).save(tmp_path / "q.npz")
    with np.load(tmp_path / "p.npz", allow_pickle=False) as file:
        assert set(file.files) == {"x", "x_names"}
        np.testing.assert_array_equal(file["x"], x)
    with np.load(tmp_path / "q.npz", allow_pickle=False) as file:
        assert set(file.files) == {"x", "y", "x_names", "y_names"}
        assert file["y"].ravel().tolist() == ["no", "yes", "no", "yes", "no"]
        assert file["y_names"].tolist() == ["kind"]
    with pytest.raises(RequestError, match=r"\.npz \.csv \.parquet"):
        SampleSet(x, None, ("x1", "x2")).save(tmp_path / "p.nc")
    with pytest.raises(ShapeError, match="one row a draw"):
        SampleSet(x, np.ones((4, 1)), ("x1", "x2"), ("y1",))


def test_density_set_keeps_points_and_values_together(tmp_path):
    x, value = np.random.default_rng(0).normal(size=(2, 5, 2)), np.arange(5.0) - 9
    points = DensitySet(x[0], value, ("log_prob", "a"), np.ones((5, 1)), ("a",))
    points.save(tmp_path / "d.npz")
    with np.load(tmp_path / "d.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["x"], x[0])
        np.testing.assert_array_equal(file["log_prob"], value)
    points.save(tmp_path / "d.csv")
    with open(tmp_path / "d.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["y.a", "x.log_prob", "x.a", "log_prob"]
    np.testing.assert_array_equal(np.array(rows, dtype=float), np.column_stack([np.ones(5), x[0], value]))
    with pytest.raises(ShapeError, match="one a point"):
        DensitySet(x[0], value[:4], ("a", "b"))
