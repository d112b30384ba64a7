"""Values of y and tables of points, as a user writes them."""

import numpy as np
import pytest

from inncli.errors import DataError, RequestError
from inncli.observation import parse_y, read_points
from inncli.variables import Variables

TWO = Variables(("strength", "age"))
MIXED = Variables(("colour", "size"), labels=(("red", "dark blue", "a,b"), None))


@pytest.mark.parametrize("text, y, want", [
    ("0.3", Variables(("y1",)), [0.3]),
    ("-1e3", Variables(("y1",)), [-1000.0]),
    ("1.5, 0", TWO, [1.5, 0.0]),
    ("age=3,strength=40", TWO, [40.0, 3.0]),
    (" age = 3 , strength = 40 ", TWO, [40.0, 3.0]),
    ("dark blue,2", MIXED, [1.0, 2.0]),
    ('"a,b",2', MIXED, [2.0, 2.0]),
    ("size=2,colour=red", MIXED, [0.0, 2.0]),
])
def test_parse_y(text, y, want):
    assert parse_y(text, y, "r").tolist() == [want]


@pytest.mark.parametrize("text, y, message", [
    ("1,2", Variables(("y1",)), "y has 2 values, run r was trained on 1 (y1); pass one value, e.g. --y 0.3"),
    ("1", TWO, "y has 1 value, run r was trained on 2 (strength, age); pass 2 values, e.g. --y 0.3,0.3"),
    ("", TWO, "y has 0 values, run r was trained on 2 (strength, age); pass 2 values, e.g. --y 0.3,0.3"),
    ("nan,1", TWO, "strength: expected a finite number, got nan; leave the row out or measure it again"),
    ("1,inf", TWO, "age: expected a finite number, got inf; leave the row out or measure it again"),
    ("1,x", TWO, "age: expected a number, got 'x'; e.g. --y age=0.3"),
    ("strenght=1,age=2", TWO, "y has no 'strenght', run r was trained on strength, age; did you mean 'strength'?"),
    ("age=1", TWO, "y lacks strength, run r was trained on strength, age; e.g. --y strength=0.3,age=0.3"),
    ("age=1,age=2,strength=3", TWO, "--y names 'age' twice; name each once"),
    ("age=1,2", TWO, "--y 'age=1,2' mixes values with and without a name; name all of them, "
                     "e.g. --y strength=0.3,age=0.3"),
    ("rde,1", MIXED, "colour: expected one of red, dark blue, a,b, got 'rde'; did you mean 'red'?"),
])
def test_parse_y_wrong(text, y, message):
    with pytest.raises(DataError) as error:
        parse_y(text, y, "r")
    assert str(error.value) == message


def test_a_density_has_no_y():
    with pytest.raises(RequestError, match="run r has no y, its model is a density"):
        parse_y("1", None, "r")


@pytest.mark.parametrize("text, want", [
    ("age,strength\n1,2\n3,4\n", [[2, 1], [4, 3]]),        # by name
    ("note,age,strength\na,1,2\n", [[2, 1]]),              # further columns are left alone
    ("1,2\n3,4\n", [[1, 2], [3, 4]]),                      # no header: in order
    ("strength;age\n1,5;2\n", [[1.5, 2]]),
])
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
    grades = Variables(("grade",), labels=(("1", "2", "3"),))
    assert read_points(tmp_path / "n.csv", grades, "r").tolist() == [[2], [0]]


@pytest.mark.parametrize("text, message", [
    ("age,strenght\n1,2\n", "o.csv has no column 'strength', run r was trained on 2 (strength, age); "
                            "did you mean 'strenght'?"),
    ("1,2,3\n", "o.csv has 3 columns, run r was trained on 2 (strength, age); keep those, or add a header with the names"),
    ("strength,age\n1,\n", "o.csv, column age: row 1 is missing or NaN; every row needs a value"),
    ("strength,age\n1,2\n3,inf\n", "o.csv, column age, row 2: expected a finite number, got inf; "
                                   "leave the row out or measure it again"),
    ("strength,age\n1,old\n", "o.csv, column age, row 1: expected a number, got 'old'; mend that cell"),
])
def test_read_points_wrong(tmp_path, text, message):
    (tmp_path / "o.csv").write_text(text)
    with pytest.raises(DataError) as error:
        read_points(tmp_path / "o.csv", TWO, "r")
    assert str(error.value) == message
