"""Values of y and tables of points, as a user writes them."""

import numpy as np
import pytest

from inncli.cli.console import said
from inncli.data.observations import parse_y, read_points
from inncli.errors import DataError, RequestError
from inncli.variables import Variables

TWO = Variables(("strength", "age"))
AWKWARD = Variables(("out, kg", "T=300"))
MIXED = Variables(("colour", "size"), labels=(("red", "dark blue", "a,b"), None))

GRADES = Variables(("grade",), labels=(("1", "2", "3"),))
WET = Variables(("wet",), labels=(("false", "true"),))


@pytest.mark.parametrize(
    "text, y, want",
    [
        ("0.3", Variables(("y1",)), [0.3]),
        ("-1e3", Variables(("y1",)), [-1000.0]),
        ("1.5, 0", TWO, [1.5, 0.0]),
        ("age=3,strength=40", TWO, [40.0, 3.0]),
        (" age = 3 , strength = 40 ", TWO, [40.0, 3.0]),
        ("dark blue,2", MIXED, [1.0, 2.0]),
        ('"a,b",2', MIXED, [2.0, 2.0]),
        ("size=2,colour=red", MIXED, [0.0, 2.0]),
        ('size=2,colour="a,b"', MIXED, [2.0, 2.0]),
        ('size=2, "colour=a,b"', MIXED, [2.0, 2.0]),
        ('"out, kg"=1,T=300=2', AWKWARD, [1.0, 2.0]),
        ('"out, kg=1", T=300 = 2', AWKWARD, [1.0, 2.0]),
        ("2.0", GRADES, [1.0]),
        ("grade=1e0", GRADES, [0.0]),
        ("True", WET, [1.0]),
        ("wet=0", WET, [0.0]),
        ("1", Variables(("k",), labels=(("01", "1"),)), [1.0]),
        ('6",5"', Variables(("a", "b"), labels=(('5"', '6"'), ('5"',))), [1.0, 0.0]),
    ],
)
def test_parse_y(text, y, want):
    assert parse_y(text, y, "r").tolist() == [want]


@pytest.mark.parametrize(
    "text, y, message",
    [
        ("1,2", Variables(("y1",)), "y has 2 values, run r was trained on 1 (y1); pass one value, e.g. --y 0.3"),
        ("1", TWO, "y has 1 value, run r was trained on 2 (strength, age); pass 2 values, e.g. --y 0.3,0.3"),
        ("", TWO, "y has 0 values, run r was trained on 2 (strength, age); pass 2 values, e.g. --y 0.3,0.3"),
        ("nan,1", TWO, "strength: expected a finite number, got nan; leave the row out or measure it again"),
        ("1,inf", TWO, "age: expected a finite number, got inf; leave the row out or measure it again"),
        ("1,x", TWO, "age: expected a number, got 'x'; e.g. --y age=0.3"),
        ("strenght=1,age=2", TWO, "y has no 'strenght', run r was trained on strength, age; did you mean 'strength'?"),
        ("strength=", TWO, "--y names strength without a value; e.g. --y strength=0.3,age=0.3"),
        ("colour=,size=", MIXED, "--y names colour without a value; e.g. --y colour=red,size=0.3"),
        ("age=1", TWO, "y lacks strength, run r was trained on strength, age; e.g. --y strength=0.3,age=0.3"),
        ("age=1,age=2,strength=3", TWO, "--y names 'age' twice; name each once"),
        (
            "age=1,2",
            TWO,
            "--y 'age=1,2' mixes values with and without a name; name all of them, e.g. --y strength=0.3,age=0.3",
        ),
        ("1", AWKWARD, "y has 1 value, run r was trained on 2 (out, kg, T=300); pass 2 values, e.g. --y 0.3,0.3"),
        (
            "T=300=1",
            AWKWARD,
            "y lacks out, kg, run r was trained on out, kg, T=300; e.g. --y '\"out, kg=0.3\",T=300=0.3'",
        ),
        ("x", Variables(("flow rate",)), "flow rate: expected a number, got 'x'; e.g. --y 'flow rate=0.3'"),
        ("1,2\n3,4", TWO, "y has 3 values, run r was trained on 2 (strength, age); pass 2 values, e.g. --y 0.3,0.3"),
        ("4", GRADES, "grade: expected one of 1, 2, 3, got '4'"),
        ("2", WET, "wet: expected one of false, true, got '2'"),
        ("1.0", Variables(("k",), labels=(("01", "1"),)), "k: expected one of 01, 1, got '1.0'"),  # which of them?
        ("rde,1", MIXED, "colour: expected one of red, dark blue, a,b, got 'rde'; did you mean 'red'?"),
    ],
)
def test_parse_y_wrong(text, y, message):
    with pytest.raises(DataError) as error:
        parse_y(text, y, "r")
    assert said(error.value) == message


def test_a_notebook_is_told_about_the_argument():
    with pytest.raises(DataError) as error:
        parse_y("1", AWKWARD, "r")
    assert str(error.value).endswith("pass 2 values, e.g. `y='0.3,0.3'`")
    with pytest.raises(DataError) as error:
        parse_y("T=300=1", AWKWARD, "r")
    assert str(error.value).endswith("""; e.g. `y='"out, kg=0.3",T=300=0.3'`""")


def test_a_density_has_no_y():
    with pytest.raises(RequestError, match="run r has no y, its model is a density"):
        parse_y("1", None, "r")


@pytest.mark.parametrize(
    "text, want",
    [
        ("age,strength\n1,2\n3,4\n", [[2, 1], [4, 3]]),  # by name
        ("note,age,strength\na,1,2\n", [[2, 1]]),  # further columns are left alone
        ("1,2\n3,4\n", [[1, 2], [3, 4]]),  # no header: in order
        ("strength;age\n1,5;2\n", [[1.5, 2]]),
    ],
)
def test_read_points_csv(tmp_path, text, want):
    path = tmp_path / "obs.csv"
    path.write_text(text)
    assert read_points(path, TWO, "r").tolist() == want


def test_read_points_npz_and_labels(tmp_path):
    np.savez(tmp_path / "p.npz", x=np.ones((3, 2)), y=np.zeros((3, 1)))
    assert read_points(tmp_path / "p.npz", TWO, "r", "x").tolist() == [[1, 1]] * 3
    (tmp_path / "l.csv").write_text("colour,size\nred,1\ndark blue,2\n")
    assert read_points(tmp_path / "l.csv", MIXED, "r").tolist() == [[0, 1], [1, 2]]
    (tmp_path / "n.csv").write_text("grade\n3\n1\n")
    assert read_points(tmp_path / "n.csv", GRADES, "r").tolist() == [[2], [0]]


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "age,strenght\n1,2\n",
            "o.csv has no column 'strength', run r was trained on 2 (strength, age); did you mean 'strenght'?",
        ),
        (
            "1,2,3\n",
            "o.csv has 3 columns, run r was trained on 2 (strength, age); keep those, or add a header with the names",
        ),
        ("strength,age\n1,\n", "o.csv, column age: row 1 is missing or NaN; every row needs a value"),
        (
            "strength,age\n1,2\n3,inf\n",
            "o.csv, column age, row 2: expected a finite number, got inf; leave the row out or measure it again",
        ),
        ("strength,age\n1,old\n", "o.csv, column age, row 1: expected a number, got 'old'; mend that cell"),
        ("strength,age\n1,22\n2,x\n", "o.csv, column age, row 2: expected a number, got 'x'; mend that cell"),
        ("strength;age\n1;2,5\n2;x\n", "o.csv, column age, row 2: expected a number, got 'x'; mend that cell"),
        (
            "strength;age\n1.5;2\n2;2,5\n",
            "o.csv, column age, row 2: expected a number, got '2,5'; mend that cell "
            "('2,5' has a comma where other numbers of the file have a decimal point)",
        ),
        ("strength,age\n1,2\n,\n3,4\n", "o.csv, column strength: row 2 is missing or NaN; every row needs a value"),
    ],
)
def test_read_points_wrong(tmp_path, text, message):
    (tmp_path / "o.csv").write_text(text)
    with pytest.raises(DataError) as error:
        read_points(tmp_path / "o.csv", TWO, "r")
    assert str(error.value) == message


@pytest.mark.parametrize(
    "text, row",
    [
        ("y1\n1\nnan\n2\n", 2),
        ("y1\n1\n\n2\n", 2),
        ("y1\n1\n2\nnan\n", 3),
        ("1\n\n2\n", 2),
        ("y1\nnan\n", 1),
    ],
)
def test_a_missing_value_in_a_single_column_is_told_not_left_out(tmp_path, text, row):
    (tmp_path / "o.csv").write_text(text)
    with pytest.raises(DataError, match=f"row {row} is missing or NaN"):
        read_points(tmp_path / "o.csv", Variables(("y1",)), "r")
    np.savez(tmp_path / "o.npz", y=np.array([[1.0], [np.nan]]), x=np.ones((2, 1)))
    with pytest.raises(DataError, match="row 2 is missing or NaN"):
        read_points(tmp_path / "o.npz", Variables(("y1",)), "r")


@pytest.mark.parametrize(
    "text",
    [
        "y1\n1\n2\n",
        "\n\ny1\n1\n2\n\n  \n\n",
        "y1,note\n1,a\n2,\n,\n,\n",
        "y1;\r\n1;\r\n2;\r\n;\r\n",
    ],
)
def test_empty_lines_at_the_end_are_no_rows(tmp_path, text):
    (tmp_path / "o.csv").write_text(text)
    assert read_points(tmp_path / "o.csv", Variables(("y1",)), "r").tolist() == [[1], [2]]
