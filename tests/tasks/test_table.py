"""The table task: which columns are x and y, what is found in them and refused, how rows are split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from inncli import config
from inncli.data import columns
from inncli.data.suspicions import missing_code
from inncli.errors import ConfigError, DataError
from inncli.io.atomic import file_sha256
from inncli.tasks.measured.table import Table

CONCRETE = Path(__file__).parents[2] / "data" / "concrete.csv"


@pytest.fixture
def write(tmp_path):
    def write(table: dict | np.ndarray, name: str = "t.csv") -> str:
        cells = (
            np.column_stack([np.asarray(v, dtype=object) for v in table.values()]) if isinstance(table, dict) else table
        )
        lines = [",".join("" if v is None else str(v) for v in row) for row in cells]
        header = [",".join(table)] if isinstance(table, dict) else []
        (tmp_path / name).write_text("\n".join(header + lines) + "\n")
        return str(tmp_path / name)

    return write


@pytest.fixture
def mixes() -> dict:
    rng = np.random.default_rng(0)
    return {"cement": rng.random(40), "water": rng.random(40), "strength": rng.random(40)}


# --- which columns ------------------------------------------------------------------------------------------


def test_columns_by_name_in_the_order_asked(write, mixes):
    task = Table(write(mixes), x=["water", "cement"], y=["strength"])
    assert task.x.names == ("water", "cement")
    assert task.y.names == ("strength",)
    rows = np.concatenate([task.training_pairs(0).x, task.test_pairs(0).x])
    assert sorted(rows[:, 0]) == sorted(mixes["water"])
    assert sorted(rows[:, 1]) == sorted(mixes["cement"])


def test_x_defaults_to_all_columns_but_y(write, mixes):
    assert Table(write(mixes), y=["cement"]).x.names == ("water", "strength")
    assert Table(write(mixes), x=["water"], y="strength").x.names == ("water",)


def test_a_name_that_is_a_number_may_come_as_one(write):
    file = write(dict(zip(("2019", "2020", "a1"), np.random.default_rng(0).random((3, 40)), strict=True)))
    task = Table(file, y=[2019], x_bounds={2020: [0, 2]}, steps={2020: 0})
    assert (task.y.names, task.x.names, task.x.bounds[0]) == (("2019",), ("2020", "a1"), (0, 2))
    assert Table(file, x=2019, y=2020).x.names == ("2019",)
    (job,) = config.plan(["task=table", f"task.file={file}", "task.y=[2019]", "task.steps={2020:0}", "task.x=2020"])
    assert config.instantiate(job.config["task"]).y.names == ("2019",)


def test_no_y_is_a_density(write, mixes):
    task = Table(write(mixes), y=[])
    assert task.y is None
    assert task.x.names == ("cement", "water", "strength")
    assert task.training_pairs(0).y is None
    assert "no y: the density p(x)" in task.describe()


def test_without_a_header_the_last_columns_are_y(write):
    table = np.random.default_rng(0).random((20, 4))
    task = Table(write(table))
    assert (task.x.names, task.y.names) == (("x1", "x2", "x3"), ("y1",))
    task = Table(write(table), n_y=2)
    assert (task.x.names, task.y.names) == (("x1", "x2"), ("y1", "y2"))
    task = Table(write(table), x=["x3"], y=["y1"])
    assert (task.x.names, task.y.names) == (("x3",), ("y1",))
    assert Table(write(table), y=[]).x.dim == 4
    with pytest.raises(ConfigError, match="no header and 4 columns, 4 of them y: none is left for x"):
        Table(write(table), n_y=4)


def test_a_name_without_a_header_is_one_column_whatever_else_is_asked(write):
    table = np.random.default_rng(0).random((20, 3))
    found = {}
    for x, y in (
        (["y1"], ["x1", "x2"]), (["x3"], ["x1", "x2"]),
        (["x1"], ["x2", "x3"]), (None, ["x1", "x2"]), (["x1", "x2"], None),
        (["x1"], ["y1"]), (["x2", "y1"], ["x1"]), (["x3"], []),
    ):  # fmt: skip
        task = Table(write(table), x=x, y=y)
        rows = np.concatenate([task.training_pairs(0).x, task.test_pairs(0).x])
        for name, column in zip(task.x.names, rows.T, strict=True):
            found.setdefault(name, set()).add(tuple(sorted(column)))
    columns = [tuple(sorted(column)) for column in table.T]
    assert found == {"x1": {columns[0]}, "x2": {columns[1]}, "x3": {columns[2]}, "y1": {columns[2]}}
    assert Table(write(table), y=["y1", "y2"]).x.names == ("x1",)
    with pytest.raises(ConfigError, match="'x3' is in task.x and in task.y"):
        Table(write(table), x=["x3"], y=["y1"])


def test_all_columns_but_some(write, mixes):
    file = write({"id": [f"s{i}" for i in range(40)], **mixes})
    task = Table(file, y=["strength"], x_except=["id"])
    assert task.x.names == ("cement", "water")
    assert Table(file, y=["strength"], x_except=["id", "water"]).x.names == ("cement",)
    assert Table(file, y=[], x_except="id").x.names == ("cement", "water", "strength")
    (job,) = config.plan(["task=table", f"task.file={file}", "task.y=[strength]", "task.x_except=[id]"])
    assert config.instantiate(job.config["task"]).x.names == ("cement", "water")
    with pytest.raises(DataError, match=r"no column 'ids' \(task.x_except\); did you mean 'id'"):
        Table(file, y=["strength"], x_except=["ids"])
    with pytest.raises(ConfigError, match="pass only one"):
        Table(file, x=["water"], y=["strength"], x_except=["id"])


def test_codes_of_missing_values_are_suspected_and_taken_for_none_on_request(write, mixes):
    mixes["water"] = [-999 if i in (3, 7) else value for i, value in enumerate(mixes["water"])]
    mixes["strength"] = ["n.d." if i == 5 else value for i, value in enumerate(mixes["strength"])]
    with pytest.raises(DataError, match=r"'n.d.' in row 6"):
        Table(write(mixes), y=["strength"])
    task = Table(write(mixes), y=["strength"], missing_values=["n.d."], on_invalid="drop")
    assert task.notes == (
        "a value far from all others may stand for a missing one: water (-999); if so pass "
        "'task.missing_values=[-999]' task.on_invalid=drop",
    )
    assert task.dropped == 1
    task = Table(write(mixes), y=["strength"], missing_values=["n.d.", -999], on_invalid="drop")
    assert (task.notes, task.dropped) == ((), 3)
    assert task.x.bounds[1][0] == 0
    with pytest.raises(DataError, match="3 of 40 rows"):
        Table(write(mixes), y=["strength"], missing_values=["n.d.", -999])


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([-999, *range(60, 90)], -999),
        ([9999.0, *np.linspace(0, 1, 30)], 9999),
        ([1e30, *np.linspace(-5, 5, 30)], 1e30),
        ([-99.9, *np.linspace(0, 1, 30)], -99.9),
        ([-1000, -1000, *range(60, 90)], -1000),  # no such digits, but far and in two rows
        ([-1000, *range(60, 90)], None),
        ([99, *range(0, 98)], None),
        ([-1, *range(0, 98)], None),
        (np.random.default_rng(0).standard_cauchy(10_000), None),
        (np.exp(8 * np.random.default_rng(0).standard_normal(10_000)), None),
        ([0, 999], None),
    ],
)
def test_codes_for_missing_values_are_told_from_numbers(values, code):
    assert missing_code(np.array(values, dtype=float)) == code


def test_a_column_that_counts_the_rows_is_named(write, mixes):
    task = Table(write({"Unnamed: 0": range(40), **mixes}), y=["strength"])
    assert task.x.names[0] == "Unnamed: 0"
    assert task.notes == ("it merely counts the rows: Unnamed: 0; leave it out with 'task.x_except=[Unnamed: 0]'",)


def test_the_header_may_be_said(write):
    file = write({str(2019 + i): column for i, column in enumerate(np.random.default_rng(0).random((3, 40)))})
    task = Table(file, y=[2020], header=True)
    assert (task.x.names, task.read_rows) == (("2019", "2021"), 40)
    assert Table(file, header=False).read_rows == 41


def test_a_first_row_of_numbers_is_no_header(write):
    path = write({str(2019 + i): column for i, column in enumerate(np.random.default_rng(0).random((3, 40)))})
    assert Table(path).read_rows == 41
    with pytest.raises(DataError, match=r"no column '2020' \(task.y\); it has x1, x2, y1, without a header of names"):
        Table(path, y=[2020])


def test_npz_tells_x_and_y(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 2)), rng.random((20, 1))
    np.savez(tmp_path / "t.npz", x=x, y=y)
    task = Table(str(tmp_path / "t.npz"))
    assert (task.x.names, task.y.names) == (("x1", "x2"), ("y1",))
    pairs = task.training_pairs(0)
    match = [np.flatnonzero((x == row).all(1))[0] for row in pairs.x]
    np.testing.assert_array_equal(y[match], pairs.y)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (
            {"y": None},
            ConfigError,
            r"task.y must name .* 'task.y=\[strength\]', .* has cement, water, strength",
        ),
        (
            {"y": ["strenght"]},
            DataError,
            r"no column 'strenght' \(task.y\); did you mean 'strength'\?; it has cement",
        ),
        ({"x": ["cemnt"], "y": []}, DataError, r"no column 'cemnt' \(task.x\); did you mean 'cement'\?"),
        ({"x": ["cement", "water"], "y": ["water"]}, ConfigError, "'water' is in task.x and in task.y"),
        ({"x": ["water", "water"], "y": ["strength"]}, ConfigError, "task.x names column 'water' 2 times"),
        ({"x": [], "y": ["strength"]}, ConfigError, "at least one column of t.csv: cement, water, strength"),
        ({"y": ["cement", "water", "strength"]}, ConfigError, "task.x must name at least one column"),
        ({"y": ["strength"], "n_y": 1}, ConfigError, "task.n_y is for a CSV without a header"),
        ({"y": ["strength"], "fresh": True}, ConfigError, "task.fresh=true needs a simulator"),
        ({"y": ["strength"], "n_train": 37}, ConfigError, "n_train=37 is more than the 36 rows"),
        ({"y": ["strength"], "test_fraction": 0.99}, ConfigError, "leaves 0 of 40 rows|leaves 1 of 40 rows"),
        ({"y": ["strength"], "x_bounds": {"sand": [0, 1]}}, ConfigError, "task.x_bounds names 'sand'"),
        ({"y": ["strength"], "x_bounds": {"water": [0]}}, ConfigError, r"must be \[low, high\]"),
        ({"y": ["strength"], "x_bounds": {"water": [2, 1]}}, ConfigError, "low < high"),
        (
            {"y": ["strength"], "periodic": {"water": [0.5, 1.5]}},
            DataError,
            r"rows of t.csv have 'water' outside task.periodic.water=.*; name the ends between which it lies, or turn",
        ),
        ({"y": ["strength"], "periodic": {"sand": [0, 1]}}, ConfigError, "task.periodic names 'sand'"),
        ({"y": ["strength"], "periodic": {"water": [1, 1]}}, ConfigError, r"must be \[low, high\] with low < high"),
        ({"y": ["strength"], "periodic": {"water": [1]}}, ConfigError, r"must be \[low, high\] with low < high"),
        (
            {"y": ["strength"], "periodic": {"water": [0, 1]}, "x_bounds": {"water": [0, 2]}},
            ConfigError,
            "task.x_bounds.water is .*, task.periodic.water is .*; leave it in one of them",
        ),
        (
            {"y": ["strength"], "x_bounds": {"water": [0.5, None]}},
            DataError,
            "rows of t.csv have 'water' outside",
        ),
        ({"y": ["strength"], "steps": {"watr": 1.0}}, ConfigError, "did you mean 'water'"),
        ({"y": ["strength"], "steps": {"water": -1.0}}, ConfigError, "task.steps.water must be 0"),
    ],
)
def test_wrong_requests_are_one_line(write, mixes, asked, error, words):
    with pytest.raises(error, match=words) as caught:
        Table(write(mixes), **asked)
    assert "\n" not in str(caught.value)


# --- wrong values -------------------------------------------------------------------------------------------


def test_text_in_x_is_refused_with_its_place(write, mixes):
    mixes["cement"] = ["high" if i == 6 else v for i, v in enumerate(mixes["cement"])]
    with pytest.raises(DataError, match=r"x column 'cement' of t.csv holds text \('high' in row 7 "):
        Table(write(mixes), y=["strength"])


def test_a_stray_cell_in_a_y_of_numbers_is_named(write, mixes):
    mixes["strength"] = ["n.d." if i == 30 else v for i, v in enumerate(mixes["strength"])]
    with pytest.raises(DataError) as error:
        Table(write(mixes), y=["strength"])
    assert str(error.value) == (
        "y column 'strength' of t.csv holds text ('n.d.' in row 31 of those used), a number was expected; mend it or "
        "empty it and pass task.on_invalid=drop"
    )


@pytest.mark.parametrize("cell", ["2026-11-26", "2026-11-26 10:04:00", "10:04"])
def test_a_time_in_x_is_called_one(write, mixes, cell):
    mixes["cement"] = [cell] * 40
    with pytest.raises(
        DataError, match=f"x column 'cement' of t.csv holds times .'{cell}.* as numbers, e.g. days since"
    ):
        Table(write(mixes), y=["strength"])


def test_missing_and_infinite_rows_are_counted_refused_or_dropped(write, mixes):
    for row, (name, value) in {3: ("water", None), 8: ("strength", "inf"), 9: ("cement", "nan")}.items():
        mixes[name] = [value if i == row else v for i, v in enumerate(mixes[name])]
    path = write(mixes)
    with pytest.raises(DataError, match=r"3 of 40 rows of t.csv .* \(the first: 'water' in row 4\).*on_invalid=drop"):
        Table(path, y=["strength"])
    task = Table(path, y=["strength"], on_invalid="drop")
    assert task.dropped == 3
    assert len(task.training_pairs(0)) + len(task.test_pairs(0)) == 37
    assert "dropped: 3 rows with a missing or non-finite value" in task.describe()
    # rows are judged by the columns in use
    assert Table(path, x=["cement"], y=[], on_invalid="drop").dropped == 1


def test_nothing_left_after_dropping(write, mixes):
    mixes["water"], mixes["cement"] = ([None, 1.0] * 20), ([1.0, None] * 20)
    with pytest.raises(DataError, match="every row of t.csv has a missing"):
        Table(write(mixes), y=["strength"], on_invalid="drop")


@pytest.mark.parametrize(
    ("name", "column", "words"),
    [
        ("water", [0.0] * 40, "x column 'water' is 0 in all 40 rows, so there is nothing to learn"),
        ("strength", [5] * 40, "y column 'strength' is 5 in all 40 rows"),
        ("strength", ["hard"] * 40, "y column 'strength' is hard in all 40 rows"),
        ("water", [1e300, *range(39)], "x column 'water' of t.csv reaches 1e\\+300, beyond 1e\\+30"),
        ("strength", [-1e31, *range(39)], "y column 'strength' of t.csv reaches 1e\\+31"),
        ("strength", [f"mix {i}" for i in range(40)], "40 different labels in 40 rows"),
    ],
)
def test_columns_that_can_not_be_learned(write, mixes, name, column, words):
    mixes[name] = column
    with pytest.raises(DataError, match=words):
        Table(write(mixes), y=["strength"])


def test_too_few_rows(write):
    with pytest.raises(DataError, match="t.csv has 1 different row to learn from, at least 10"):
        Table(write({"a": [1], "b": [2]}), y=["b"])
    with pytest.raises(DataError, match="3 different rows to learn from, at least 10"):
        Table(write({"a": [1, 2, 3] * 20, "b": [2, 3, 4] * 20}), y=["b"])


# --- labels -------------------------------------------------------------------------------------------------


def test_text_in_y_is_a_class(write):
    a = np.random.default_rng(0).random(30)
    task = Table(write({"a": a, "kind": ["soft", "hard", "soft "] * 10}), y=["kind"])
    assert task.y.labels == (("hard", "soft"),)
    assert task.y.categorical
    pairs = task.training_pairs(0)
    code = {value: label for value, label in zip(a, [1, 0, 1] * 10, strict=True)}
    assert [code[v] for v in pairs.x[:, 0]] == pairs.y[:, 0].tolist()
    assert "kind is one of: hard, soft" in task.describe()


def test_whole_numbers_are_a_class_on_request(write):
    table = {"a": np.random.default_rng(0).random(30), "k": [10, 9, 2] * 10, "v": [0.5, 1.0, 2.0] * 10}
    path = write(table)
    assert Table(path, x=["a"], y=["k"]).y.labels == (None,)
    task = Table(path, x=["a"], y=["k", "v"], y_kind="class")
    assert task.y.labels == (("2", "9", "10"), ("0.5", "1", "2"))
    with pytest.raises(DataError, match="y column 'k' of t.csv holds text .*leave task.y_kind at auto"):
        Table(write(table | {"k": ["u", "v", "w"] * 10}), x=["a"], y=["k"], y_kind="number")


def test_true_and_false_are_a_class_in_y_and_0_and_1_in_x(write):
    table = {"a": np.random.default_rng(0).random(30), "wet": ["true", "false", "true"] * 10}
    task = Table(write(table), y=["wet"])
    assert task.y.labels == (("false", "true"),)
    task = Table(write(table), y=["a"])
    assert set(task.training_pairs(0).x[:, 0]) == {0, 1}
    assert task.x.bounds == ((0, 1),)


def test_labels_beside_numbers_in_y(write):
    rng = np.random.default_rng(0)
    task = Table(
        write({"a": rng.random(30), "kind": ["u", "v", "w"] * 10, "b": rng.random(30)}),
        x=["a"],
        y=["b", "kind"],
    )
    assert task.y.labels == (None, ("u", "v", "w"))


# --- facts found in columns ---------------------------------------------------------------------------------


def test_heaps_are_values_that_many_rows_share():
    rng = np.random.default_rng(0)
    values = np.concatenate([np.zeros(50), np.full(19, 3.0), np.full(21, 4.0), rng.random(910)])
    assert columns.heaps(values) == (0.0, 4.0)
    assert columns.heaps(np.concatenate([np.ones(4), rng.random(20)])) == ()
    assert columns.heaps(np.concatenate([np.zeros(1), rng.random(20)])) == (0.0,)  # on the bound
    assert columns.heaps(np.zeros(30)) == ()


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (np.arange(100), 1),
        (np.arange(100) * 10 - 500, 1),
        (np.r_[np.zeros(20), np.arange(1, 81) * 0.1], 0.1),
        (np.r_[np.zeros(20), np.arange(1, 81) * 0.25], 0.01),
        (np.r_[np.zeros(20), np.arange(1, 81) * 1e-6], 1e-6),
        ((np.r_[np.zeros(20), np.arange(1, 81) * 0.1]).astype(np.float32), 0.1),
        (np.r_[np.zeros(20), np.arange(1, 81) / 3], 1e-5),  # no decimal grid: a cell for the heap
        (np.r_[np.zeros(20), np.random.default_rng(0).random(80)], 1e-7),
        (np.random.default_rng(0).random(100), 0),
        (
            np.random.default_rng(0).random(100).round(6),
            0,
        ),  # no value repeats: nothing says that it is a grid
        (np.random.default_rng(0).integers(0, 300, 1000) * 0.1, 0.1),  # ties, though none is a heap
    ],
)
def test_recording_step(values, step):
    assert columns.recording_step(values.astype(float)) == pytest.approx(step, abs=1e-15)


@pytest.mark.parametrize(
    ("values", "step", "expected"),
    [
        ([0, 10], 0, (0, 12)),
        ([5, 10], 0, (4, 11)),
        ([1, 11], 0, (0, 13)),  # 1 - .2 * 10 is below zero, no value is
        ([-1, 9], 0, (-3, 11)),
        ([-10, -5], 0, (-11, -4)),
        ([0, 7], 1, (0, 8)),  # 8.4 is not on the grid
        ([0, 1], 1, (0, 1)),
        ([0.05, 1.05], 0.1, (0, 1.2)),
    ],
)
def test_box(values, step, expected):
    assert columns.box(np.array(values, float), 0.2, step) == pytest.approx(expected)


def test_facts_of_the_concrete_table():
    task = Table(str(CONCRETE), y=["compressive_strength"])
    x = task.x
    pairs = task.training_pairs(0)
    assert x.steps == (0.1,) * 7 + (1.0,)
    assert [name for name, heap in zip(x.names, x.heaps, strict=True) if 0.0 in heap] == [
        "blast_furnace_slag", "fly_ash", "superplasticizer",
    ]  # fmt: skip
    assert 28.0 in x.heaps[7]
    for (low, high), column in zip(x.bounds, pairs.x.T, strict=True):
        assert 0 <= low <= column.min()
        assert column.max() < high <= 1.2 * column.max() + 0.2
    lines = task.describe()
    assert any("rows: 1,030 of 1,030" in line for line in lines)
    assert any("exact duplicates of another row: 25" in line for line in lines)
    assert any("fly_ash 55%" in line for line in lines)


def test_facts_can_be_overridden(write, mixes):
    task = Table(
        write(mixes), y=["strength"], x_bounds={"water": [-1.0, None]}, steps={"cement": 0.5}, margin=0.0
    )  # fmt: skip
    assert task.x.bounds[1] == (-1.0, None)
    assert task.x.steps == (0.5, 0.0)
    assert task.x.bounds[0][0] <= mixes["cement"].min()


# --- rows ---------------------------------------------------------------------------------------------------


def rows(pairs) -> set:
    return {tuple(row) for row in np.hstack([pairs.x, pairs.y])}


@pytest.mark.parametrize("seed", range(5))
def test_no_test_row_is_a_training_row(seed):
    task = Table(str(CONCRETE), y=["compressive_strength"])
    train, test = task.training_pairs(seed), task.test_pairs(seed)
    assert not rows(train) & rows(test)  # though 25 rows are duplicates
    assert len(test) == 103
    assert len(train) == task.budget == 927
    small = Table(str(CONCRETE), y=["compressive_strength"], n_train=100)
    assert len(small.training_pairs(seed)) == small.budget == 100
    assert rows(small.training_pairs(seed)) <= rows(train)
    assert rows(small.test_pairs(seed)) == rows(test)
    assert len(task.test_pairs(seed, 7)) == 7


def test_rows_depend_on_the_seed_alone():
    one, two = (Table(str(CONCRETE), y=["compressive_strength"], n_train=500) for _ in range(2))
    np.testing.assert_array_equal(one.training_pairs(1).x, two.training_pairs(1).x)
    assert rows(one.training_pairs(1)) != rows(one.training_pairs(2))
    assert rows(one.test_pairs(1)) != rows(one.test_pairs(2))


def test_groups_join_duplicates():
    task = Table(str(CONCRETE), y=["compressive_strength"])
    pairs = task.training_pairs(0)
    assert len(np.unique(task.groups(pairs))) == len(rows(pairs)) < len(pairs)


def test_a_heap_always_has_a_cell():
    rain = np.where(np.random.default_rng(0).random(500) < 0.3, 0.0, np.random.default_rng(1).gamma(2, 5, 500))
    step = columns.recording_step(rain)
    assert 0 < step <= 1e-6 * np.ptp(rain)
    assert columns.recording_step(rain[rain > 0]) == 0


def test_fingerprint_is_the_files_checksum(monkeypatch):
    monkeypatch.chdir(CONCRETE.parent)
    found = Table("concrete.csv", y=["compressive_strength"]).fingerprint()
    assert found == {"file": str(CONCRETE.resolve()), "sha256": file_sha256(CONCRETE)}


def test_a_table_can_not_simulate(write, mixes):
    task = Table(write(mixes), y=["strength"])
    assert not task.can_simulate
    assert not task.has_reference
    with pytest.raises(ConfigError, match="can't compute y"):
        task.observe(np.zeros((1, 2)))
    with pytest.raises(ConfigError, match="needs a simulator"):
        task.fresh_pairs(0, 0)


def test_the_concrete_recipe_builds():
    text = (CONCRETE.parent.parent / "conf" / "experiment" / "concrete.yaml").read_text()
    assert text.startswith("# @package _global_")
    node = yaml.safe_load(text)
    assert {"override /task": "table"} in node["defaults"]
    assert node["task"].pop("file") == "${inn.data:concrete.csv}"
    task = Table(str(CONCRETE), **node["task"])
    assert task.x.names == tuple(CONCRETE.read_text().splitlines()[0].split(","))[:-1]
    assert task.y.names == ("compressive_strength",)


# --- circles ------------------------------------------------------------------------------------------------


def test_angles_stay_on_their_grid_and_the_end_is_the_beginning(write):
    rng = np.random.default_rng(0)
    phase = np.append(rng.integers(0, 361, 400), [0, 360, 360])
    table = {"phase": phase, "wind": 22.5 * rng.integers(0, 16, 403), "y": rng.random(403)}
    (job,) = config.plan(["task=table", f"task.file={write(table)}", "task.y=[y]",
                          "task.periodic={phase: [0, 360], wind: [-10, 350]}"])  # fmt: skip
    task = config.instantiate(job.config["task"])
    assert task.x.bounds == ((0, 360), (-10, 350)) and task.x.periods == (360, 360)  # no margin
    assert task.x.steps == (1, 22.5) and task.x.heaps == ((), ())
    assert task.x.circles == ((0, 360), (-10, 350))
    x = np.concatenate([task.training_pairs(0).x, task.test_pairs(0).x])
    assert x[:, 0].max() < 360 and (x[:, 0] == 0).sum() >= 3
    assert "periodic: phase in [0, 360), wind in [-10, 350)" in task.describe()
    task = Table(write(table), y=["y"], periodic={"phase": [0, 360]}, steps={"phase": 0})
    assert task.x.steps[0] == 0
