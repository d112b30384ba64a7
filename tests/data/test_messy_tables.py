"""Sixty messy tables and more: each is read rightly, and what was changed is said, or refused in one line.

A table is given as its text, and what must come of it as the names, the columns and the words of what is said; or as
the words of the refusal. Rows are few here, since nothing is trained: `read_table` and `Table` are asked.
"""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from inncli.data.tables import read_table
from inncli.errors import InnError
from inncli.tasks.measured.notes import reading_notes
from inncli.tasks.measured.table import Table

NAN = float("nan")
A, B = [1.5, 2.5, 3.5, 4.5], [10.0, 20.0, 30.0, 40.0]


def rows(*columns, sep=",", head=None):
    lines = [sep.join(map(str, row)) for row in zip(*columns, strict=True)]
    return "\n".join(([] if head is None else [head]) + lines) + "\n"


# name -> (text, names, columns, words said)
READ = {
    # no header
    "no header": (rows(A, B), None, [A, B], ""),
    "NA in row 1": (rows(["NA", 2, 3, 4], B), None, [[NAN, 2, 3, 4], B], ""),
    "? in row 1": (rows(A, ["?", 20, 30, 40]), None, [A, [NAN, 20, 30, 40]], "'?' in 1"),
    "a dash in row 1": (rows(["-", 2, 3, 4], B), None, [[NAN, 2, 3, 4], B], "'-' in 0"),
    "a label at the end": (rows(A, ["u", "v", "u", "v"]), None, [A, ["u", "v", "u", "v"]], ""),
    "a label at the start": (rows(["u", "v", "u", "v"], A), None, [["u", "v", "u", "v"], A], ""),
    "whole numbers and a label": (rows([5, 4, 6, 5], ["u", "v", "u", "v"]), None, [[5, 4, 6, 5], list("uvuv")], ""),
    "a name for each row": (rows(["s1", "s2", "s3", "s4"], A), None, [["s1", "s2", "s3", "s4"], A], ""),
    "thousands in row 1": (
        rows(['"9,372"', '"8,100"', '"7,250"', "870"], A),
        None,
        [[9372, 8100, 7250, 870], A],
        "9372",
    ),
    "NA and a label": (rows(["NA", 2, 3, 4], ["u", "v", "u", "v"]), None, [[NAN, 2, 3, 4], list("uvuv")], ""),
    # a header
    "years as names": (
        rows(list("uvwx"), A, A, head="land,2019,2020"),
        ("land", "2019", "2020"),
        [list("uvwx"), A, A],
        "",
    ),
    "wavelengths as names": (
        rows(list("uvwx"), A, A, A, head="id,400.5,401.0,401.5"),
        ("id", "400.5", "401.0", "401.5"),
        [list("uvwx"), A, A, A],
        "",
    ),
    "a name that is NA": (rows(A, B, head="NA,b"), ("NA", "b"), [A, B], ""),
    "a name that begins with #": (rows(A, B, head="# a,b"), ("# a", "b"), [A, B], ""),
    "a header of words above words": (rows(list("uvwx"), A, head="kind,a"), ("kind", "a"), [list("uvwx"), A], ""),
    "all words": (rows(list("uvwx"), list("srqp"), head="k,l"), ("k", "l"), [list("uvwx"), list("srqp")], ""),
    "a name over two lines": (rows(A, B, head='"a\nof it",b'), ("a of it", "b"), [A, B], "is called 'a of it'"),
    "a byte order mark twice": ("\ufeff\ufeff" + rows(A, B, head="a,b"), ("a", "b"), [A, B], "is called 'a'"),
    "control characters in a name": (rows(A, B, head="a\x07,b\x1b[31m"), ("a", "b [31m"), [A, B], "is called 'a'"),
    "a name written from right to left": (rows(A, B, head="a\u202eb,c"), ("ab", "c"), [A, B], "is called 'ab'"),
    "a space that does not break": (rows(A, B, head="a\u00a0b,c"), ("a b", "c"), [A, B], "is called 'a b'"),
    "spaces around names and cells": (rows([" 1.5", "2.5 ", " 3.5 ", 4.5], B, head=" a ,b "), ("a", "b"), [A, B], ""),
    # lines that are no rows
    "units": (rows(["kg", *A], ["m/s", *B], head="a,b"), ("a", "b"), [A, B], "units is left out: a in kg, b in m/s"),
    "units in brackets": (rows(["[kg]", *A], ["[-]", *B], head="a,b"), ("a", "b"), [A, B], "a in [kg], b in [-]"),
    "units, one without": (rows(["kg", *A], ["", *B], head="a,b"), ("a", "b"), [A, B], "left out: a in kg"),
    "units, a ratio": (rows(["kg", *A], ["1", *B], head="a,b"), ("a", "b"), [A, B], "left out: a in kg"),
    "units beside labels": (
        rows(["kg", *A], ["-", *"uvuv"], head="a,kind"),
        ("a", "kind"),
        [A, list("uvuv")],
        "left out: a in kg",
    ),
    "comments before the header": (
        "# log\n# of today, noon\n" + rows(A, B, head="a,b"),
        ("a", "b"),
        [A, B],
        "2 comment",
    ),
    "a comment before rows": ("# log of today\n" + rows(A, B), None, [A, B], "a comment line"),
    "a comment among rows": ("a,b\n1.5,10\n# pause\n2.5,20\n3.5,30\n4.5,40\n", ("a", "b"), [A, B], "a comment line"),
    "a spreadsheet's separator line": ("sep=;\n" + rows(A, B, sep=";", head="a;b"), ("a", "b"), [A, B], ""),
    "lines without a value": (rows(A, B, head="a,b") + ",\n , \n\n", ("a", "b"), [A, B], ""),
    # columns without a name
    "pandas' index": (
        rows(range(4), A, B, head=",a,b"),
        ("a", "b"),
        [A, B],
        "names the rows (0, 1...); it is left out",
    ),
    "an index from 1": (rows(range(1, 5), A, head=",a"), ("a",), [A], "names the rows (1, 2...)"),
    "R's row names": (rows(["s1", "s2", "s3", "s4"], A, B, head='"","a","b"'), ("a", "b"), [A, B], "(s1, s2...)"),
    "R's row names without a comma": (
        rows(range(1, 5), A, B, head="a,b"),
        ("a", "b"),
        [A, B],
        "names the rows (1, 2...)",
    ),
    "R's quoted row names": (
        rows(['"1"', '"2"', '"3"', '"4"'], A, B, head="a,b"),
        ("a", "b"),
        [A, B],
        "names the rows",
    ),
    "a delimiter after each row": (rows(A, B, [""] * 4, head="a,b"), ("a", "b"), [A, B], ""),
    "a column without a name or use": (rows(A, [3, 3, 1, 2], B, head="a,,b"), ("a", "", "b"), [A, [3, 3, 1, 2], B], ""),
    "delimiters after each row": (rows(A, B, [""] * 4, [""] * 4, head="a,b"), ("a", "b"), [A, B], ""),
    "delimiters after the names": (rows(A, B, head="a,b,,"), ("a", "b"), [A, B], ""),
    "an empty column in front": (rows([""] * 4, A, B, head=",a,b"), ("a", "b"), [A, B], ""),
    "an empty column between": (rows(A, [""] * 4, B, head="a,,b"), ("a", "b"), [A, B], ""),
    "a mark of DOS at the end": (rows(A, B, head="a,b") + "\x1a", ("a", "b"), [A, B], ""),
    "old Macs": (rows(A, B, head="a,b").replace("\n", "\r"), ("a", "b"), [A, B], ""),
    "a spreadsheet in German": (
        ("\ufeff" + rows(["1.234,50", "7,25", "1.000,00", "0,5"], [10, 20, 30, 40], sep=";", head="Größe;b")).replace(
            "\n", "\r\n"
        ),
        ("Größe", "b"),
        [[1234.5, 7.25, 1000, 0.5], B],
        "'1.234,50' as 1234.5",
    ),
    # notations
    "a dash of print": (
        rows(["\u20135", "\u20111.5", "2", "3"], A, head="a,b"),
        ("a", "b"),
        [[-5, -1.5, 2, 3], A],
        "as -5",
    ),
    "errors of spreadsheets": (
        rows(["#NV", "#WERT!", "#N/D", 1.5], ["#¡VALOR!", "#VALEUR!", "#NOMBRE?", 2], head="a,b"),
        ("a", "b"),
        [[NAN, NAN, NAN, 1.5], [NAN, NAN, NAN, 2]],
        "'#NV', '#WERT!', '#N/D' in a",
    ),
    "hexadecimal": (rows(["0x10", "0xff", "0x0", "0x1"], A, head="a,b"), ("a", "b"), [[16, 255, 0, 1], A], ""),
    "C's words for no value": (
        rows(["1.#QNAN", "-1.#IND", 2, 3], A, head="a,b"),
        ("a", "b"),
        [[NAN, NAN, 2, 3], A],
        "",
    ),
    "thousands": (
        rows(A, ['"9,372"', '"1,234,567"', "12", '"8,100.5"'], head="a,b"),
        ("a", "b"),
        [A, [9372, 1234567, 12, 8100.5]],
        "b ('9,372' as 9372)",
    ),
    "thousands beside small whole numbers": (
        rows(['"9,372"', "870", "12", "1"], head="a"),
        ("a",),
        [[9372, 870, 12, 1]],
        "9372",
    ),
    "decimal commas in quotes": (
        rows(['"1,5"', '"2,5"', '"3,5"', '"4,5"'], [1, 2, 3, 4], head="a,b"),
        ("a", "b"),
        [A, [1, 2, 3, 4]],
        "a ('1,5' as 1.5)",
    ),
    "decimal commas between semicolons": (
        rows(["1,5", "2,5", "3,5", "4,5"], [10, 20, 30, 40], sep=";", head="a;b"),
        ("a", "b"),
        [A, B],
        "",
    ),
    "points between thousands": (
        rows(["1.234,5", "2.000", "30,5", "7"], head="a;b", sep=";").replace("\n", ";1\n").replace("b;1", "b", 1),
        ("a", "b"),
        [[1234.5, 2000, 30.5, 7], [1, 1, 1, 1]],
        "'1.234,5' as 1234.5",
    ),
    "spaces between thousands": (
        rows(["9 372", "1 234 567", "12", "7"], head="a;b", sep=";").replace("\n", ";1\n").replace("b;1", "b", 1),
        ("a", "b"),
        [[9372, 1234567, 12, 7], [1, 1, 1, 1]],
        "'9 372' as 9372",
    ),
    "apostrophes between thousands": (
        rows(["9'372", "1'200", "12", "7"], A, head="a,b"),
        ("a", "b"),
        [[9372, 1200, 12, 7], A],
        "9372",
    ),
    "percent": (
        rows(["12 %", "7%", "0.5 %", "99%"], A, head="a,b"),
        ("a", "b"),
        [[12, 7, 0.5, 99], A],
        "('12 %' as 12)",
    ),
    "dollars": (
        rows(['"$1,200.50"', "$7", "-$3", "$0.5"], A, head="a,b"),
        ("a", "b"),
        [[1200.5, 7, -3, 0.5], A],
        "as 1200.5",
    ),
    "euros after": (
        rows(["12 €", "7 €", "5€", "1 €"], A, head="a,b"),
        ("a", "b"),
        [[12, 7, 5, 1], A],
        "('12 €' as 12)",
    ),
    "exponents": (rows(["1e3", "2E-1", "+3e+0", ".5"], A, head="a,b"), ("a", "b"), [[1000, 0.2, 3, 0.5], A], ""),
    "Fortran's exponents": (
        rows(["1.5D+03", "2d0", "-1D-2", "7"], A, head="a,b"),
        ("a", "b"),
        [[1500, 2, -0.01, 7], A],
        "1500",
    ),
    "a minus of print": (
        rows(["\u22125", "\u22121.5", "2", "3"], A, head="a,b"),
        ("a", "b"),
        [[-5, -1.5, 2, 3], A],
        "as -5",
    ),
    "words for no value": (
        rows(["NULL", "None", "n/a", 1.5], ["-", "--", "#DIV/0!", 2], head="a,b"),
        ("a", "b"),
        [[NAN, NAN, NAN, 1.5], [NAN, NAN, NAN, 2]],
        "'-', '--', '#DIV/0!' in b",
    ),
    "the same words among labels": (
        rows(["-", "+", "none", "+"], A, head="a,b"),
        ("a", "b"),
        [["-", "+", "none", "+"], A],
        "",
    ),
    "infinite": (
        rows(["inf", "-Infinity", "\u221e", 1], A, head="a,b"),
        ("a", "b"),
        [[np.inf, -np.inf, np.inf, 1], A],
        "as inf",
    ),
    "truth values": (
        rows(["true", "false", "true", "true"], A, head="a,b"),
        ("a", "b"),
        [[True, False, True, True], A],
        "",
    ),
    "truth values below units": (
        rows(["-", "true", "false", "true", "true"], ["kg", *A], head="a,b"),
        ("a", "b"),
        [[True, False, True, True], A],
        "b in kg",
    ),
    # text and bytes
    "Windows": (rows(A, B, head="a,b").replace("\n", "\r\n"), ("a", "b"), [A, B], ""),
    "UTF-16": (rows(A, B, head="a,b").encode("utf-16"), ("a", "b"), [A, B], ""),
    "Latin-1": (rows(A, B, head="größe,b").encode("latin-1"), ("größe", "b"), [A, B], ""),
    "lines in a quoted cell": (
        rows(['"one\n\nmore"', '"x"', '"y, z"', "w"], A, head="a,b"),
        ("a", "b"),
        [["one\nmore", "x", "y, z", "w"], A],
        "",
    ),
    "a long line": (
        rows([*["u" * 9_000], "v", "w", "x"], A, head="a,b"),
        ("a", "b"),
        [["u" * 9_000, "v", "w", "x"], A],
        "",
    ),
    "tabs": (rows(A, B, sep="\t", head="a\tb"), ("a", "b"), [A, B], ""),
}

# name -> (text, options of the task, words of the refusal)
REFUSED = {
    "empty": ("", {}, "is empty"),
    "a header alone": ("a,b\n", {}, "has no rows below its header; add data"),
    "comments alone": ("# a\n# b\n", {}, "holds comments (#) alone; add data"),
    "a row too short": (rows(A, B, head="a,b") + "1\n", {}, "row 5 below the header: Expected 2 columns, got 1); mend"),
    "a row too long": (
        rows(A, B, head="a,b") + "1,2,3\n",
        {},
        "row 5 below the header: Expected 2 columns, got 3); mend",
    ),
    "thousands without quotes": ("a,b\n1.5,9,372\n2.5,9,110\n3.5,8,100\n", {}, "Expected 2 columns, got 3); mend"),
    "a text before the table": (
        "Device 7\n" + rows(A, B, head="a,b"),
        {},
        "its first line, 'Device 7', parts into one cell, row 1 below into 2); delete what stands above the table",
    ),
    "a remark of another language": ("// log\n" + rows(A, B, head="a,b"), {}, "'// log'", "stands above the table"),
    "two lines of names": ("size,,b\nwidth,height,b\n" + rows(A, A, B), {}, "two lines of names", "above 'height'"),
    "JSON, line by line": ('{"a": 1.5, "b": 10}\n{"a": 2.5, "b": 20}\n', {}, "holds JSON; convert it"),
    "JSON": ('[\n  {"a": 1.5, "b": 10},\n  {"a": 2.5, "b": 20}]\n', {}, "holds JSON; convert it"),
    "a page": ("<!DOCTYPE html>\n<table><tr><td>1</td></tr></table>\n", {}, "holds HTML or XML; convert it"),
    "a compressed file": (gzip.compress(rows(A, B, head="a,b").encode()), {}, "is not a text file; save it as CSV"),
    "a footer": (rows(A, B, head="a,b") + "\nSource: us\n", {}, "Expected 2 columns, got 1); mend"),
    "two tables": (2 * (rows(A, B, head="a,b") + "\n"), {}, "holds text ('a' in row 5"),
    "one word among the numbers of y": (
        rows(range(12), [*"123456789", "ÿ", 11, 12], head="a,b"),
        {},
        "y column 'b'",
        "holds text ('ÿ' in row 10",
        "task.on_invalid=drop",
    ),
    "shares below a limit": (rows(["<0.5", 2, 3, 4], A, head="a,b"), {}, "holds text ('<0.5' in row 1"),
    "a column without a value": (
        rows(range(4), [""] * 4, A, head="a,c,b"),
        {"on_invalid": "drop"},
        "'c' of t.csv has no value in any row; leave it out, e.g. with task.x_except",
    ),
    "one name twice": (rows(A, B, head="a,a"), {}, "more than one column named 'a'; rename all but one"),
    "one name twice but for a mark": (rows(A, B, head="a,a\u200b"), {}, "more than one column named 'a'"),
    "a name that is missing": (
        rows(A, [3, 3, 1, 2], B, head="a,,b"),
        {},
        "column 2 of",
        "has no name; name it in the header",
    ),
    "parted by spaces": (rows(A, B, sep=" ", head="a b"), {}, "must separate columns by commas, semicolons or tabs"),
    "parted by spaces, no header": (rows(A, B, sep=" "), {}, "must separate columns by commas, semicolons or tabs"),
    "two delimiters": ("a,b\n1.5,10\n2.5;20\n3.5,30\n", {}, "row 2 below the header: Expected 2 columns, got 1); mend"),
    "a quote left open": ('a,b\n1.5,"10\n2.5,20\n' + "3.5,30\n" * 9, {}, "is not a readable CSV table"),
    "NUL bytes": (b"a,b\n1\x00,2\n", {}, "is not a text file; save it as CSV (UTF-8)"),
    "UTF-16 without a mark": (rows(A, B, head="a,b").encode("utf-16-le"), {}, "is not a text file; save it as CSV"),
    "9,372 and nothing tells": (
        rows(range(12), ['"9,372"', '"8,100"', '"1,200"'] * 4, head="a,b"),
        {},
        "'9,372' may be 9372 or 9.372",
    ),
    "a decimal comma among points": (
        rows(A, ['"1,5"', "2", "3", "4"], head="a,b"),
        {},
        "'1,5' has a comma where other",
    ),
    "names or numbers": (rows(["a", "b", "c", "d"], [3, 2, 4, 5]), {}, "task.header=true or task.header=false"),
    "a word in row 1": (rows(["n.d.", 2, 3, 4], [2, 1, 3, 4]), {}, "task.header=true or task.header=false"),
    "percent and shares": (rows(["12%", "0.1", "7%", "3"], A, head="a,b"), {}, "column 'a'", "holds text ('12%'"),
    "a unit in a cell": (rows(["5 kg", 2, 3, 4], A, head="a,b"), {}, "column 'a'", "holds text ('5 kg' in row 1"),
    "days": (
        rows(["2026-11-26", "2026-11-27", "2026-11-28", "2026-11-29"], A, head="a,b"),
        {},
        "holds times",
        "days since",
    ),
    "days of Europe": (rows(["26.11.2026", "27.11.2026"] * 2, A, head="a,b"), {}, "holds times", "days since"),
    "days of America": (rows(["11/26/2026", "11/27/2026"] * 2, A, head="a,b"), {}, "holds times", "days since"),
    "one missing value": (
        rows(A, ["?", 20, 30, 40], head="a,b"),
        {},
        "1 of 4 rows",
        "'b' in row 1",
        "task.on_invalid=drop",
    ),
    "an infinite value": (rows(["inf", 2, 3, 4], A, head="a,b"), {}, "1 of 4 rows", "missing or non-finite"),
    "constant columns": (
        rows([5] * 12, [6] * 12, range(12), [7] * 12, head="p,q,a,b"),
        {},
        "x columns 'p' (5), 'q' (6) are the same and y column 'b' is 7 in all 12 rows",
        "leave them out",
    ),
}


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "t.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("name", READ)
def test_a_messy_table_is_read_rightly_and_what_changed_is_said(write, name):
    text, names, columns, words = READ[name]
    table = read_table(write(text))
    assert table.names == names
    assert len(table.columns) == len(columns)
    for column, expected in zip(table.columns, columns, strict=True):
        if isinstance(expected[0], str):
            assert column.tolist() == list(expected)
        else:
            np.testing.assert_array_equal(column, np.array(expected, dtype=float))
    used = {(str(i) if names is None else names[i]): i for i in range(len(columns))}
    lines = [*table.notes, *reading_notes(table, used)]
    assert words in "\n".join(lines) if words else lines == []
    assert all("\n" not in line and line.isprintable() for line in lines)


@pytest.mark.parametrize("name", REFUSED)
def test_a_messy_table_is_refused_in_one_line(write, name):
    text, options, *words = REFUSED[name]
    with pytest.raises(InnError) as caught:
        Table(str(write(text)), **{"y": "b"} | options)
    for part in words:
        assert part in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.exit_code == 2


def test_a_line_of_totals_is_named_as_a_suspicion(write):
    rng = np.random.default_rng(0)
    a, c = rng.random((2, 30)).round(3)
    words = [f"s{i}" for i in range(30)]
    text = rows([*words, "Total"], [*a, a.sum().round(3)], [*c, c.mean().round(3)], head="name,a,b")
    notes = Table(str(write(text)), x="a", y="b").notes
    assert notes == ("the last row seems to be the sum of all others: a; if so delete it",)
    assert Table(str(write(rows(words, a, c, head="name,a,b"))), x="a", y="b").notes == ()


@pytest.mark.parametrize("memory_mb", [2000, 0.001])
def test_an_array_of_lists_is_refused(tmp_path, memory_mb):
    np.save(tmp_path / "t.npy", np.zeros(12, dtype=[("a", "f4", (2,)), ("b", "i4")]))
    with pytest.raises(InnError, match="holds lists; a table has one value a cell"):
        Table(str(tmp_path / "t.npy"), y="b", memory_mb=memory_mb)


def test_numbers_that_parquet_holds_as_text_are_no_labels(tmp_path):
    numbers = [f"{k / 7:.3f}" for k in range(12)]
    parquet.write_table(pa.table({"a": list(range(12)), "b": numbers}), tmp_path / "t.parquet")
    with pytest.raises(InnError, match="holds numbers as text .*; convert the column to numbers"):
        Table(str(tmp_path / "t.parquet"), y="b")
