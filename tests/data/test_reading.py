"""Reading odd tables: what people's spreadsheets, notebooks and instruments write."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from inncli.data.cells import missing
from inncli.data.tables import read_table
from inncli.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write(data: bytes | str, name: str = "t.csv"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def values(table) -> list[list]:
    return [column.tolist() for column in table.columns]


ODD_BUT_EQUAL = {
    "plain": "a,b\n1,2\n3,4.5\n",
    "no newline at the end": "a,b\n1,2\n3,4.5",
    "BOM": b"\xef\xbb\xbfa,b\n1,2\n3,4.5\n",
    "utf-16": "a,b\n1,2\n3,4.5\n".encode("utf-16"),
    "CRLF": "a,b\r\n1,2\r\n3,4.5\r\n",
    "CR": "a,b\r1,2\r3,4.5\r",
    "blank lines": "\n\na,b\n\n1,2\n   \n3,4.5\n\n\n",
    "rows of empty cells": "a,b\n1,2\n3,4.5\n,\n,\n",
    "quoted header": '"a","b"\n1,2\n3,4.5\n',
    "quoted numbers": 'a,b\n"1","2"\n"3","4.5"\n',
    "spaces": "a , b\n1, 2\n3 , 4.5\n",
    "semicolons": "a;b\n1;2\n3;4.5\n",
    "semicolons and decimal commas": "a;b\n1;2,0\n3;4,5\n",
    "tabs": "a\tb\n1\t2\n3\t4.5\n",
    "bars": "a|b\n1|2\n3|4.5\n",
    "trailing commas": "a,b,\n1,2,\n3,4.5,\n",
    "plus signs": "a,b\n+1,2\n+3,+4.5\n",
    "exponents": "a,b\n1e0,2\n3,45E-1\n",
}


@pytest.mark.parametrize("text", ODD_BUT_EQUAL.values(), ids=ODD_BUT_EQUAL.keys())
def test_the_same_table_in_many_dresses(write, text):
    table = read_table(write(text))
    assert table.names == ("a", "b")
    assert values(table) == [[1, 3], [2, 4.5]]
    assert all(column.dtype == np.float64 for column in table.columns)


def test_tsv_by_its_suffix(write):
    assert read_table(write("a;b\tc\n1\t2\n", "t.tsv")).names == ("a;b", "c")


def test_names_may_hold_commas_in_quotes(write):
    table = read_table(write('"strength (MPa, megapascals)",b\n1,2\n'))
    assert table.names == ("strength (MPa, megapascals)", "b")


def test_semicolon_inside_a_comma_table_is_no_separator(write):
    assert read_table(write("a;1,b\n1,2\n")).names == ("a;1", "b")


@pytest.mark.parametrize(
    "text", ["1,2\n3,4.5\n", "1;2\n3;4,5\n", "1;2,0\n3;4,5\n", '"1","2"\n3,4.5\n', "+1,2\n3,4.5\n"]
)
def test_no_header_where_the_first_line_is_numbers(write, text):
    table = read_table(write(text))
    assert table.names is None
    assert values(table) == [[1, 3], [2, 4.5]]


def test_a_missing_number_in_the_first_line_is_no_name(write):
    table = read_table(write("1,,nan\n3,4,5\n"))
    assert table.names is None
    assert [missing(column).tolist() for column in table.columns] == [
        [False, False],
        [True, False],
        [True, False],
    ]


def test_missing_cells_infinities_and_text(write):
    table = read_table(write("a,b,c\n1,x,1\n,,inf\nNA,n/a,-inf\n4,y ,2\n"))
    a, b, c = table.columns
    np.testing.assert_array_equal(a, [1, np.nan, np.nan, 4])
    assert b.tolist() == ["x", None, None, "y"]
    assert missing(b).tolist() == [False, True, True, False]
    np.testing.assert_array_equal(c, [1, np.inf, -np.inf, 2])
    assert not missing(c).any()


def test_one_word_among_numbers_makes_text_even_far_down(write):
    column = read_table(write("a\n" + "1\n" * 300_000 + "high\n")).columns[0]
    assert column.dtype == object
    assert column[-1] == "high"


def test_true_and_false_are_bool(write):
    table = read_table(write("a,b\ntrue,1\nfalse,2\n"))
    assert table.columns[0].dtype == bool
    np.testing.assert_array_equal(read_table(write("a,b\ntrue,1\n,2\n")).columns[0], [1, np.nan])


def test_latin_letters_of_old_windows_files(write):
    assert read_table(write("größe,b\n1,2\n".encode("cp1252"))).names == ("größe", "b")


def test_a_tsv_keeps_its_empty_first_and_last_cells(write):
    table = read_table(write("a\tb\n1\t2\n\t3\n4\t\n", "t.tsv"))
    assert [missing(column).tolist() for column in table.columns] == [[False, True, False], [False, False, True]]


def test_the_checksum_is_of_the_files_bytes(write):
    path = write("a,b\r\n1,2\r\n")
    table = read_table(path)
    assert table.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert table.path == path.resolve()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n \n", "is empty"),
        (b"a,b\n", "no rows below its header"),
        (b"a,b\n,\n,\n", "no rows below its header"),
        (b"a,a\n1,2\n", "more than one column named 'a'"),
        (b"a,b\n1,2\n3\n", "not a readable CSV table .*Expected 2 columns, got 1"),
        (b"a,b\n1,2\n3,4,5\n", "Expected 2 columns, got 3"),
        (b"1.0 2.0\n3.0 4.0\n", "separate columns by commas"),
        (b"a\0b\n\0\0", "not a text file"),
    ],
)
def test_csv_that_is_no_table(write, data, words):
    with pytest.raises(DataError, match=words) as caught:
        read_table(write(data))
    assert "\n" not in str(caught.value)


def test_missing_file_folder_and_suffix(tmp_path, write):
    write("a\n1\n", "mixes.csv")
    with pytest.raises(DataError, match=r"mixs.csv is not there; did you mean 'mixes.csv'\?"):
        read_table(tmp_path / "mixs.csv")
    with pytest.raises(DataError, match="is not there$"):
        read_table(tmp_path / "nowhere" / "a.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path / "folder.csv")
    for name in ("mixes.xlsx", "mixes", ""):
        with pytest.raises(DataError, match=r"must be one of \.csv, \.tsv, \.parquet, \.npz"):
            read_table(tmp_path / name)


# --- Parquet ------------------------------------------------------------------------------------------------


def test_parquet_types(tmp_path):
    from decimal import Decimal

    path = tmp_path / "t.parquet"
    columns = {
        "f32": pa.array([0.5, None, 2], pa.float32()),
        "int": pa.array([1, 2, None], pa.int64()),
        "bool": pa.array([True, False, True]),
        "decimal": pa.array([Decimal("1.25"), None, Decimal("3")], pa.decimal128(10, 2)),
        "word": pa.array(["u", "v", None]).dictionary_encode(),
        "day": pa.array([1, 2, 3], pa.date32()),
        "none": pa.nulls(3),
        "__index_level_0__": pa.array([7, 8, 9]),
    }
    parquet.write_table(pa.table(columns), path)
    table = read_table(path)
    assert table.names == tuple(columns)[:-1]
    by_name = dict(zip(table.names, table.columns, strict=True))
    np.testing.assert_array_equal(by_name["f32"], [0.5, np.nan, 2])
    np.testing.assert_array_equal(by_name["int"], [1, 2, np.nan])
    np.testing.assert_array_equal(by_name["decimal"], [1.25, np.nan, 3])
    assert by_name["bool"].dtype == bool
    assert by_name["word"].tolist() == ["u", "v", None]
    assert by_name["day"][0] == "1970-01-02"
    assert missing(by_name["none"]).all()


def test_parquet_that_is_no_table(tmp_path, write):
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(write("a,b\n1,2\n", "t.parquet"))
    path = tmp_path / "lists.parquet"
    parquet.write_table(pa.table({"a": [[1, 2], [3]]}), path)
    with pytest.raises(DataError, match="'a' of .* holds lists"):
        read_table(path)
    parquet.write_table(pa.table({"a": pa.array([], pa.float64())}), path)
    with pytest.raises(DataError, match="no rows"):
        read_table(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(path)


# --- NPZ ----------------------------------------------------------------------------------------------------


def test_npz_with_matrices_tells_the_roles(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, x=np.arange(6).reshape(3, 2), y=np.array([1.0, 2, 3], np.float32))
    table = read_table(path)
    assert table.names == ("x1", "x2", "y1")
    assert table.roles == (("x1", "x2"), ("y1",))
    assert values(table) == [[0, 2, 4], [1, 3, 5], [1, 2, 3]]


def test_npz_with_an_array_a_column(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, cement=np.arange(3), water=np.ones((3, 1)), kind=np.array(["u", "v", ""]))
    table = read_table(path)
    assert table.names == ("cement", "water", "kind")
    assert table.roles is None
    assert values(table) == [[0, 1, 2], [1, 1, 1], ["u", "v", None]]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((3, 2)), "y": np.zeros(2)}, "as many rows, got x 3, y 2"),
        ({"a": np.zeros((3, 2))}, "one 1-D array a column; 'a' has shape"),
        ({"x": np.zeros((3, 2)), "y": np.zeros((3, 1, 1))}, "'y' of .* must be 2-D"),
        ({"a": np.zeros(3, complex)}, "real numbers or text, got complex128"),
        ({"a": np.array([None, 1])}, "not a readable NPZ"),
        ({}, "no columns"),
        ({"a": np.float64(3)}, "shape \\(\\)"),
    ],
)
def test_npz_that_is_no_table(tmp_path, arrays, words):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match=words):
        read_table(tmp_path / "t.npz")


def test_damaged_npz(tmp_path, write):
    np.savez_compressed(tmp_path / "t.npz", x=np.random.default_rng(0).random((300, 2)))
    whole = (tmp_path / "t.npz").read_bytes()
    middle = bytearray(whole)
    middle[len(whole) // 2] ^= 255
    for data in (b"junk", whole[:500], bytes(middle)):
        with pytest.raises(DataError, match="not a readable NPZ"):
            read_table(write(data, "bad.npz"))


def test_an_npy_table_is_never_unpickled(tmp_path, capsys):
    class Trap:
        def __reduce__(self):
            return (print, ("TRAP",))

    np.save(tmp_path / "t.npy", np.array([[Trap()]], dtype=object))
    with pytest.raises(DataError, match="not a readable NPY file of plain numbers"):
        read_table(tmp_path / "t.npy")
    assert "TRAP" not in capsys.readouterr().out
