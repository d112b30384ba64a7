"""Tables that stay on disk: the same rows and facts as read whole, in another order, in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from inncli.cli.app import main
from inncli.data import chunks, scan
from inncli.data.pairs import Pairs
from inncli.data.stream import StreamedPairs, uniform
from inncli.errors import ConfigError, DataError, Interrupted
from inncli.inference.run_task import task_of
from inncli.runs.registry import find_run
from inncli.tasks.measured import table as table_task
from inncli.tasks.measured.table import Table
from inncli.training.state import Data
from inncli.training.trainer import Trainer
from small_training import SEED, flow, stop_at

ROWS = 5_000
MB = 2.0  # of 5,000 rows and 4 columns: read whole, they would take 3.2


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(chunks, "BLOCK", 256)


def numbers(n=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(n).astype(np.float32), rng.standard_normal(n).astype(np.float32)
    return np.column_stack([a, b, a + b, a * b]).astype(np.float32)


COLUMNS = {"a": 0, "b": 1, "u": 2, "v": 3}


def as_columns(values):
    return {name: values[:, i] for name, i in COLUMNS.items()}


def structured(values):
    out = np.empty(len(values), dtype=[(name, "<f4") for name in COLUMNS])
    for name, column in as_columns(values).items():
        out[name] = column
    return out


WRITERS = {
    "rows.npy": lambda path, v: np.save(path, v),
    "fortran.npy": lambda path, v: np.save(path, np.asfortranarray(v)),
    "structured.npy": lambda path, v: np.save(path, structured(v)),
    "xy.npz": lambda path, v: np.savez(path, x=v[:, :2], y=v[:, 2:]),
    "columns.npz": lambda path, v: np.savez(path, **as_columns(v)),
    "t.parquet": lambda path, v: parquet.write_table(pa.table(as_columns(v)), path, row_group_size=300),
}


def table(tmp_path, name="rows.npy", values=None, memory_mb=MB, **more):
    path = tmp_path / name
    WRITERS[name](path, numbers() if values is None else values)
    asked = {"rows.npy": {"n_y": 2}, "fortran.npy": {"n_y": 2}, "xy.npz": {}}.get(name, {"y": ["u", "v"]})
    return Table(str(path), memory_mb=memory_mb, **{**asked, **more})


def rows_of(*parts: Pairs):
    """All rows of pairs, sorted, so that order plays no part."""
    rows = np.concatenate([np.hstack([part.x, part.y]) for part in parts])
    return rows[np.lexsort(rows.T)]


def epoch(pairs, number=0, size=100, first=0):
    return list(pairs.batches(number, size, first))


# ---- the same rows ---------------------------------------------------------------------------------
@pytest.mark.parametrize("name", WRITERS)
def test_every_row_is_on_one_side_and_comes_once_an_epoch(tmp_path, name):
    task = table(tmp_path, name)
    pairs = task.training_pairs(3)
    assert isinstance(pairs, StreamedPairs)
    _, validation = pairs.split(0.1)
    batches = epoch(pairs, size=1)
    assert len(batches) == pairs.rows == len(pairs) - len(validation)
    assert np.array_equal(rows_of(task.test_pairs(3), validation, *batches), rows_of(Pairs(*np.split(numbers(), 2, 1))))
    for part, share in ((task.test_pairs(3), 0.1), (validation, 0.09)):
        assert abs(len(part) - share * ROWS) < 5 * (share * ROWS) ** 0.5


@pytest.mark.parametrize("name", WRITERS)
def test_the_facts_are_those_of_the_table_read_whole(tmp_path, name):
    values = numbers()
    values[:, 0] = np.round(np.abs(values[:, 0]), 1) * (values[:, 1] > -1)  # recorded to .1, with a heap at 0
    values[7, 1] = 99  # the only one beyond 5: no sample may miss it
    streamed, whole = table(tmp_path, name, values), table(tmp_path, name, values, memory_mb=None)
    assert streamed.x == whole.x and streamed.y == whole.y
    assert streamed.x.steps == (0.1, 0.0) and 0.0 in streamed.x.heaps[0] and streamed.x.bounds[1][1] > 99
    assert streamed.fingerprint() == whole.fingerprint()


def test_one_value_off_the_grid_in_a_hundred_thousand_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "SAMPLED", 100)
    monkeypatch.setattr(chunks, "BLOCK", 4096)
    values = np.column_stack([np.tile(np.arange(50), 2000), np.random.default_rng(0).standard_normal((100_000, 2))])
    np.save(tmp_path / "grid.npy", values)
    assert Table(str(tmp_path / "grid.npy"), memory_mb=20).x.steps[0] == 1
    values[61_803, 0] += 0.25
    np.save(tmp_path / "grid.npy", values)
    assert Table(str(tmp_path / "grid.npy"), memory_mb=20).x.steps[0] == 0.01


def test_labels_and_missing_values_in_parquet(tmp_path):
    values = numbers()
    words = np.array(["red", " blue", "green"])[np.arange(ROWS) % 3].astype(object)
    words[10], values[1234, 0] = None, np.nan
    made = pa.table({"a": values[:, 0], "b": values[:, 1], "kind": pa.array(words.tolist()), "flag": values[:, 2] > 0})
    parquet.write_table(made, tmp_path / "t.parquet", row_group_size=300)
    asked = dict(file=str(tmp_path / "t.parquet"), y=["kind", "flag"])
    for memory_mb in (1, None):
        with pytest.raises(DataError, match="2 of 5,000 rows .*the first: 'kind' in row 11.*task.on_invalid=drop"):
            Table(**asked, memory_mb=memory_mb)
    streamed, whole = (Table(**asked, on_invalid="drop", memory_mb=mb) for mb in (1, None))
    assert streamed.y == whole.y and streamed.y.labels == (("blue", "green", "red"), ("false", "true"))
    assert streamed.dropped == whole.dropped == 2
    pairs = streamed.training_pairs(0)
    found = rows_of(streamed.test_pairs(0), pairs.split(0.1)[1], *epoch(pairs, size=1))
    assert np.array_equal(found, rows_of(whole.training_pairs(0), whole.test_pairs(0)))


def test_equal_rows_stay_on_one_side_and_the_split_ignores_the_blocks(tmp_path, monkeypatch):
    values = np.repeat(numbers(500), 10, axis=0)
    sides = []
    for block in (100, 999):
        monkeypatch.setattr(chunks, "BLOCK", block)
        task = table(tmp_path, values=values)
        pairs = task.training_pairs(1)
        start, validation = pairs.split(0.1)
        sides.append([task.test_pairs(1), validation, start])
    for one, other in list(zip(*sides, strict=True))[:2]:
        assert np.array_equal(one.x, other.x)
    keys = [set(map(bytes, side.x)) for side in sides[0]]
    assert all(len(key) > 10 for key in keys)
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]


def test_the_hash_of_a_row_is_uniform_and_knows_its_seed():
    rows = numbers(20_000).astype(np.float64)
    u, other = uniform(rows, 0), uniform(rows, 1)
    for values in (u, other, (u - other) % 1, uniform(np.arange(20_000.0)[:, None], 0)):
        assert abs(np.histogram(values, 20, (0, 1))[0] - 1000).max() < 5 * 1000**0.5
    assert uniform(np.array([[0.0, 1.0]]), 0) == uniform(np.array([[-0.0, 1.0]]), 0)
    assert uniform(np.array([[0.0, 1.0]]), 0) != uniform(np.array([[1.0, 0.0]]), 0)


# ---- order -----------------------------------------------------------------------------------------
def test_an_epoch_is_a_function_of_seed_and_number_and_can_be_joined_anywhere(tmp_path):
    task = table(tmp_path)
    pairs, again = task.training_pairs(3), task.training_pairs(3)
    pairs.split(0.1), again.split(0.1)
    task._disk.buffer = 900  # several buffers an epoch
    whole = epoch(pairs, size=64)
    assert len(whole) == pairs.rows // 64
    for first in (0, 1, 13, 14, 15, 30, len(whole) - 1):
        rest = epoch(again, size=64, first=first)
        assert len(rest) == len(whole) - first
        assert all(
            np.array_equal(a.x, b.x) and np.array_equal(a.y, b.y) for a, b in zip(rest, whole[first:], strict=True)
        )
    other = epoch(pairs, 1, size=64)
    assert not np.array_equal(whole[0].x, other[0].x)
    assert len(epoch(pairs, size=2_000)) == pairs.rows // 2_000  # a batch larger than the buffer


def test_rows_of_a_sorted_table_are_mixed(tmp_path):
    values = numbers()
    values[:, 0] = np.sort(values[:, 0])
    pairs = table(tmp_path, values=values).training_pairs(0)
    pairs.split(0.1)
    means = [batch.x[:, 0].mean() for batch in epoch(pairs, size=100)]
    assert np.std(means) < 0.2  # .1 of independent rows, 1 of neighbours
    pairs._disk.buffer = 1  # control: a block at a time
    assert np.std([batch.x[:, 0].mean() for batch in epoch(pairs, size=100)]) > 0.5


def test_what_starts_a_model_is_a_random_part_of_the_training_rows(tmp_path):
    pairs = table(tmp_path).training_pairs(0)
    pairs._disk.held_out = ROWS
    start, _ = pairs.split(0.1)
    assert np.array_equal(rows_of(start), rows_of(*epoch(pairs, size=1)))  # few rows: all of them
    y = rows_of(*epoch(pairs, size=1))[:, 2:]
    assert (pairs.low, pairs.high) == (y.min(0).tolist(), y.max(0).tolist())
    pairs._disk.held_out = 1_000
    start, validation = pairs.split(0.9)
    assert abs(len(start) - 1_000) < 150 and abs(len(validation) - 1_000) < 150
    assert abs(start.x.mean()) < 0.15


def test_a_stopped_run_resumes_to_the_same_bits(tmp_path):
    task = table(tmp_path)

    def fit(folder, resume=False, **more):
        pairs = task.training_pairs(SEED)
        _, validation = pairs.split(0.1)
        pairs._disk.buffer = 900
        tensors = lambda part: (torch.as_tensor(part.x), torch.as_tensor(part.y[:, :1]))  # noqa: E731
        data = Data(pairs.rows, None, tensors(validation), batches=lambda *at: map(tensors, pairs.batches(*at)))
        model, objective = flow()
        Trainer(max_epochs=2, batch_size=128, checkpoint_seconds=1e9).fit(
            model,
            objective,
            data,
            seed=SEED,
            last=folder / "last.safetensors",
            best=folder / "best.safetensors",
            meta={},
            resume=resume,
            **more,
        )
        return model

    import torch

    whole = fit(tmp_path / "a")
    with pytest.raises(Interrupted):
        fit(tmp_path / "b", on_step=stop_at(41))  # in the second epoch
    resumed = fit(tmp_path / "b", resume=True)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


# ---- bounds ----------------------------------------------------------------------------------------
def test_an_epoch_stays_within_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "BLOCK", 4096)
    values = np.tile(numbers(), (80, 1)) + np.arange(400_000, dtype=np.float32)[:, None] / 1e6
    task = table(tmp_path, values=values, memory_mb=8)

    def peak(work):
        tracemalloc.start()
        work()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    def streamed():
        pairs = task.training_pairs(0)
        pairs.split(0.1)
        assert sum(len(batch) for batch in pairs.batches(0, 1000)) > 300_000

    assert peak(streamed) < 8e6
    asked = dict(file=str(tmp_path / "rows.npy"), n_y=2)
    assert peak(lambda: Table(**asked, memory_mb=8)) < 8e6
    assert (
        peak(lambda: np.load(tmp_path / "rows.npy").astype(np.float64)) > 8e6
    )  # control: only the numbers, read whole


LIMITED = """
import resource, sys
from inncli.cli.app import main

def train(file, memory_mb):
    return main(["train", "task=table", f"task.file={file}", "task.n_y=2", f"task.memory_mb={memory_mb}",
                 "model.n_blocks=1", "model.block.hidden=[8]", "trainer.max_epochs=1", "trainer.batch_size=8192"])

assert train("few.npy", 5) == 0  # what libraries take for themselves is taken
taken = 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (taken + int(sys.argv[1]),) * 2)
print("codes", train("many.npy", 10), train("many.npy", "null"))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts what is mapped on Linux alone")
def test_an_epoch_of_a_table_larger_than_the_memory_there_is(tmp_path):
    """The kernel gives the whole process, torch included, 60 MB more: reading the table whole would take some 240.

    RLIMIT_DATA and not RLIMIT_AS, which counts the gigabytes of addresses that libraries reserve and never use.
    """
    np.save(tmp_path / "many.npy", numbers(400_000))  # 13 MB as read
    np.save(tmp_path / "few.npy", numbers(60_000))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(60 * 10**6)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "INN_OUTPUTS": str(tmp_path / "out"), "OMP_NUM_THREADS": "1"},
    )
    assert "codes 0 1" in done.stdout, done.stderr
    assert done.stderr.splitlines()[-1].startswith("not enough memory for ")


def test_n_train(tmp_path):
    few = table(tmp_path, n_train=700).training_pairs(0)
    assert isinstance(few, Pairs) and len(few) == 700  # fits: no disk
    test = table(tmp_path, n_train=700).test_pairs(0)
    assert not set(map(bytes, few.x)) & set(map(bytes, test.x))
    many = table(tmp_path, n_train=4_000).training_pairs(0)
    many.split(0.1)
    assert isinstance(many, StreamedPairs) and 3_400 < len(many) <= 4_000
    with pytest.raises(ConfigError, match="more than the 4,500 rows"):
        table(tmp_path, n_train=4_501)


def test_small_tables_are_read_whole_as_before(tmp_path):
    whole = table(tmp_path, memory_mb=2000).training_pairs(0)
    assert isinstance(whole, Pairs)
    assert np.array_equal(whole.x, table(tmp_path, memory_mb=None).training_pairs(0).x)


# ---- what can't be streamed ------------------------------------------------------------------------
def refused(tmp_path, name, write, words, **more):
    write(tmp_path / name)
    with pytest.raises(DataError, match=words) as error:
        Table(str(tmp_path / name), **{"memory_mb": 1, "y": ["v"], **more})
    assert "\n" not in str(error.value)


def test_what_has_no_blocks_is_refused_with_advice(tmp_path):
    named = as_columns(numbers())
    refused(tmp_path, "t.csv", lambda p: p.write_text("a,v\n" + "1,2\n" * 60_000), "convert it to Parquet")
    refused(tmp_path, "t.npz", lambda p: np.savez_compressed(p, **named), "compressed .*np.savez ")
    refused(
        tmp_path,
        "t.parquet",
        lambda p: parquet.write_table(pa.table(named), p, row_group_size=5_000),
        r"blocks of 5,000 rows.*task.memory_mb=2 or more, or write it with smaller row groups",
    )
    refused(tmp_path, "o.npy", lambda p: np.save(p, structured(numbers()).astype(object)), "plain")
    refused(tmp_path, "t.npy", lambda p: np.save(p, np.zeros((5_000, 4, 4))), "2-D array", y=None)
    text = {**named, "a": np.array(["one"] * ROWS)}
    refused(tmp_path, "w.npz", lambda p: np.savez(p, **text), "x column 'a' of w.npz holds text")
    same = {**named, "a": np.ones(ROWS)}
    refused(tmp_path, "c.npz", lambda p: np.savez(p, **same), "'a' is 1 in all 5,000 rows")


def test_a_file_that_is_cut_short_or_changes_is_named(tmp_path):
    task = table(tmp_path)
    whole = (tmp_path / "rows.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-1000])
    with pytest.raises(DataError, match="cut.npy .* declares 80,000 bytes of shape .* and holds 79,000"):
        Table(str(tmp_path / "cut.npy"), n_y=2, memory_mb=MB)
    pairs = task.training_pairs(0)
    pairs.split(0.1)
    (tmp_path / "rows.npy").write_bytes(whole + b"more")
    with pytest.raises(DataError, match="has changed while it was being read"):
        epoch(pairs)
    made = tmp_path / "t.parquet"
    table(tmp_path, "t.parquet")
    made.write_bytes(made.read_bytes()[:-5])
    with pytest.raises(DataError, match="not a readable Parquet"):
        Table(str(made), y=["v"], memory_mb=MB)


def test_bad_values_are_refused_as_in_a_table_read_whole(tmp_path):
    values = numbers()
    values[77, 2] = np.inf
    for memory_mb in (MB, None):
        with pytest.raises(DataError, match="1 of 5,000 rows .*in row 78"):
            table(tmp_path, values=values, memory_mb=memory_mb)
    values[77, 2] = 3e35
    for memory_mb in (MB, None):
        with pytest.raises(DataError, match="y column 'y1' of rows.npy reaches 3e\\+35"):
            table(tmp_path, values=values, memory_mb=memory_mb)


# ---- the commands ----------------------------------------------------------------------------------
def test_train_evaluate_sample_and_invert(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "out"))
    WRITERS["t.parquet"](tmp_path / "t.parquet", numbers())
    words = [f"task.file={tmp_path / 't.parquet'}", "task.y=[u,v]", f"task.memory_mb={MB}"]
    assert (
        main(["train", "task=table", *words, "trainer.max_epochs=1", "trainer.batch_size=500", "model.n_blocks=1"]) == 0
    )
    run = find_run()
    info = run.info()
    assert info["steps_per_epoch"] == info["steps"] == 8 and info["data"]["pairs"] == pytest.approx(4_500, abs=110)
    assert info["data"]["sha256"] and not run.pairs.exists()
    # From here on nothing may read the table whole.
    monkeypatch.setattr(table_task, "read_table", None)
    capsys.readouterr()
    assert main(["evaluate", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"]["held_out"] == pytest.approx(500, abs=110) and "nll" in found["metrics"]
    assert main(["sample", "-n", "50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"]["u"]["sd"] == pytest.approx(2**0.5, rel=0.4)
    assert main(["invert", "--y", "0.3,0.2", "-n", "50"]) == 0
    assert "on disk: read in 17 blocks" in task_of(run).describe()[-1]
    WRITERS["t.parquet"](tmp_path / "t.parquet", numbers(seed=1))
    assert main(["evaluate"]) == 2
    assert "has changed since run" in capsys.readouterr().err
