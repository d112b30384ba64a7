"""Files that wait, unpack without end, or lead elsewhere: each is refused with one line, and nothing is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from attacks import TINY, copied_runs, refused

SET = ["plot", "posterior", "--set"]
NETCDF = [*SET, "flow/posteriors/set.nc"]
INVERT = ["invert", "--run", "flow", "-n", "5"]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    return copied_runs(tmp_path, monkeypatch)


# ---- pipes -------------------------------------------------------------------------------------------
PIPES = {
    "y in CSV": ([*INVERT, "--y-file", "pipe.csv"], "pipe"),
    "y in Parquet": ([*INVERT, "--y-file", "pipe.parquet"], "pipe"),
    "points in NPZ": (["density", "--run", "flow", "--y", "1", "--points", "pipe.npz"], "pipe"),
    "a set in NPZ": ([*SET, "pipe.npz"], "regular"),
    "a set in CSV": ([*SET, "pipe.csv"], "regular"),
    "a set in Parquet": ([*SET, "pipe.parquet"], "regular"),
    "a set in NetCDF": ([*SET, "pipe.nc"], "regular"),
    "a table": (["train", "task=table", "task.file=pipe.csv", "task.y=[a]", *TINY], "pipe"),
    "a table on disk": (
        ["train", "task=table", "task.file=pipe.parquet", "task.y=[a]", "task.memory_mb=0.001", *TINY],
        "pipe",
    ),
    "a simulator": (["train", "task=simulator", "task.file=pipe.py", *TINY], "pipe.py"),
}


@pytest.mark.parametrize("name", PIPES)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(name, runs, capsys):
    words, expected = PIPES[name]
    (file,) = (word.partition("=")[2] or word for word in words if "pipe." in word)
    os.mkfifo(file)
    refused(runs, words, expected, capsys, seconds=120)


# ---- NetCDF ------------------------------------------------------------------------------------------
def _changed(change: Callable, file: str = "flow/posteriors/set.nc") -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(file, "a") as opened:
        change(opened, h5py)


def many_arrays(file, h5py):
    """Each within bounds, together 300 GB; none takes room in the file."""
    for k in range(1200):
        file["posterior"].create_dataset(f"more{k}", shape=(1, 2**25), dtype="f8", chunks=(1, 2**20))


def groups_in_each_other(file, h5py):
    inner = file["posterior"].create_group("inner")
    for k in range(300):
        inner[f"back{k}"] = file["posterior"]


def an_attribute_of_one_long_text(file, h5py):
    text = np.array(["x" * 60_000] * 400, dtype=object)
    file.attrs.create("inn2", text, dtype=h5py.string_dtype())


def a_chunk_larger_than_its_array(file, h5py):
    del file["posterior/x1"]
    file["posterior"].create_dataset("x1", shape=(1, 4), maxshape=(None, None), chunks=(2**10, 2**19), dtype="f8")


def labels_that_are_one_long_text(file, h5py):
    del file["observed_data/y1"]
    made = file["observed_data"].create_dataset("y1", shape=(200_000,), dtype=h5py.string_dtype(), chunks=(1000,))
    made[:3] = np.array(["y" * 2**21, "n", "n"], dtype=object)


def a_soft_link(file, h5py):
    file["posterior/more"] = h5py.SoftLink("/posterior/x1")


def a_type_in_place_of_an_array(file, h5py):
    file["posterior/more"] = np.dtype("f8")


HDF5 = {
    many_arrays: "declares",
    groups_in_each_other: "twice",
    an_attribute_of_one_long_text: "texts",
    a_chunk_larger_than_its_array: "declares",
    labels_that_are_one_long_text: "texts",
    a_soft_link: "link",
    a_type_in_place_of_an_array: "datatype",
}


@pytest.mark.parametrize("change", HDF5, ids=[change.__name__ for change in HDF5])
def test_a_netcdf_that_declares_more_than_it_is_or_leads_elsewhere(change, runs, capsys):
    _changed(change)
    refused(runs, NETCDF, HDF5[change], capsys)


# ---- text that is long in one place and takes room in every other ------------------------------------
def _long_set(suffix: str) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    rows = 40_000
    columns = {
        "obs": pa.array(np.zeros(rows)),
        "y1": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array(["y" * 100_000])),
        "draw": pa.array(np.arange(rows, dtype=float)),
        "x1": pa.array(np.random.default_rng(0).normal(size=rows)),
        "log_prob": pa.array(np.zeros(rows)),
    }
    if suffix == ".csv":  # in one row only: numpy would still give each its room
        columns["y1"] = pa.array(["y" * 1_000_000] + ["n"] * (rows - 1))
        csv.write_csv(pa.table(columns), "long.csv")
    else:
        parquet.write_table(pa.table(columns), "long.parquet")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_word_that_would_take_terabytes_in_a_set(suffix, runs, capsys):
    _long_set(suffix)
    refused(runs, [*SET, f"long{suffix}"], "unpack", capsys)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_word_that_would_take_terabytes_in_a_table(suffix, runs, capsys):
    import pyarrow as pa
    from pyarrow import csv, parquet

    values = np.random.default_rng(0).normal(size=3000)
    table = pa.table({"x": values, "y": pa.array(["y" * 1_000_000] + ["a", "b", "c"] * 999 + ["a", "b"])})
    (csv.write_csv if suffix == ".csv" else parquet.write_table)(table, f"long{suffix}")
    words = ["train", "task=table", f"task.file=long{suffix}", "task.y=[y]", *TINY]
    refused(runs, words, "shorten it", capsys)


def test_a_table_that_declares_more_than_the_machine_has(runs, capsys, monkeypatch):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"x": np.zeros(200_000), "y": np.zeros(200_000)}), "zeros.parquet")
    assert Path("zeros.parquet").stat().st_size < 10_000
    monkeypatch.setattr(os, "sysconf", lambda name: 1000)  # a machine of a million bytes
    refused(runs, ["train", "task=table", "task.file=zeros.parquet", "task.y=[y]", *TINY], "this machine", capsys)


# ---- names that are no names -------------------------------------------------------------------------
@pytest.mark.parametrize(
    "words",
    [
        ["show", "--run", "x" * 5000],
        ["resume", "x" * 5000],
        ["report", "../../" * 900],
        ["runs", "--sweep", "x" * 300 + "/y"],
        [*INVERT, "--y-file", "x" * 5000 + ".csv"],
        ["train", "--config-dir", "x" * 5000],
        ["show", "--run", "flow\0"],
        [*INVERT, "--y", "1", "--out", "a\0b.npz"],
        ["train", "--config-dir", "a\0"],
        ["resume", "../../../etc/passwd"],
        ["show", "--run", "/dev/zero"],
        ["show", "--run", "flow/../../../../../../etc"],
    ],
    ids=lambda words: f"{words[0]}-{words[-1][:12]!r}",
)
def test_a_name_that_no_file_can_have_or_that_leads_elsewhere(words, runs, capsys):
    refused(runs, words, "", capsys)
