"""The planted defects of `benchmarks/defects`: each still finds its code and its test, however that is laid out."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
while not (ROOT / "pyproject.toml").is_file():
    ROOT = ROOT.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("a source distribution has no benchmarks", allow_module_level=True)

MODULE = """
LIMIT = (1 +
         2)  # a comment

class Box:
    def read(self, name):
        with open('a'
                  f'{name!r}') as file:
            return dict(text=file.read(), kind="x",)

    def close(self):
        self.closed = True


def close():
    for _ in range(3):
        print("closed", "closed")
"""


@pytest.fixture
def defects(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("defects._running")


@pytest.fixture
def tree(tmp_path):
    """A tree with one module and, in a folder of tests, one test."""
    for name, text in {
        "house/room/box.py": MODULE,
        "conf/a.yaml": "a: 1\nb: 2\n",
        "tests/room/test_box.py": "class TestBox:\n    def test_read(self): ...\n\ndef test_box(n): ...\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def mutated(defects, tree, where, old, new):
    return defects.mutate(defects.Defect("what", where, old, new, "test_box::test_box"), tree)[1]


def test_every_defect_finds_its_code_and_its_test(defects):
    entries = defects.read()
    assert len(entries) >= 253
    assert defects.misaddressed(entries) == []


@pytest.mark.parametrize(
    "where, old, new, text",
    [
        ("house.room.box", "LIMIT = 1 + 2", "LIMIT = 4", "LIMIT = 4\n"),
        ("house.room.box", "(1\n + 2)", "4", "LIMIT = 4\n"),
        ("house.room.box:Box.read", 'open(f"a{name!r}")', "open(name)", "with open(name) as file:"),
        ("house.room.box:Box.read", "dict(text=file.read(), kind='x')", "{}", "return {}\n"),
        ("house.room.box:Box.close", "self.closed = True", "", "def close(self):\n        pass\n"),
        ("house.room.box:close", "range(3)", "range(4)", "for _ in range(4):"),
        ("house.room.box:close", "print('closed', 'closed')", "x = 1\ny = 2", "        x = 1\n        y = 2"),
        ("conf/a.yaml", "b: 2", "b: 3", "a: 1\nb: 3\n"),
    ],
)
def test_code_is_found_by_its_meaning_and_replaced(defects, tree, where, old, new, text):
    found = mutated(defects, tree, where, old, new)
    assert text in found
    if where.startswith("house"):
        before, after = (ast.unparse(ast.parse(code)).splitlines() for code in (MODULE, found))
        assert 0 < len(set(before) - set(after)) <= 2, "more was changed than was asked for"


@pytest.mark.parametrize(
    "where, old, new, message",
    [
        ("house.room.gone", "1", "2", "no module house.room.gone"),
        ("house.room.box:Box.gone", "1", "2", "no Box.gone in house.room.box"),
        ("house.room.box:close", "'closed'", "''", "old code found 2 times in house.room.box:close, expected once"),
        ("house.room.box:close", "range(5)", "''", "old code found 0 times in house.room.box:close, expected once"),
        (
            "house.room.box:Box.close",
            "self.closed = True",
            "return (yield) = 1",
            "neither two expressions nor statements",
        ),
        ("house.room.box:Box.close", "self.closed = True", "break", "is no Python"),
        ("conf/a.yaml", "c: 2", "b: 3", "old text found 0 times"),
        ("conf/b.yaml", "c: 2", "b: 3", "no file conf/b.yaml"),
        ("test_gone", "c", "b", "0 files test_gone.py in tests, expected one"),
    ],
)
def test_what_is_not_there_once_is_said(defects, tree, where, old, new, message):
    with pytest.raises(defects.Misaddressed, match=message.replace("(", r"\(")):
        mutated(defects, tree, where, old, new)


def test_a_test_is_found_in_whichever_folder_it_lies(defects, tree):
    assert defects.node_id("test_box::test_box[a-1]", tree) == "tests/room/test_box.py::test_box[a-1]"
    assert defects.node_id("test_box::TestBox::test_read", tree) == "tests/room/test_box.py::TestBox::test_read"
    with pytest.raises(defects.Misaddressed, match="no test test_gone in test_box.py"):
        defects.node_id("test_box::test_gone", tree)
    (tree / "tests" / "test_box.py").touch()
    with pytest.raises(defects.Misaddressed, match="2 files test_box.py in tests"):
        defects.node_id("test_box::test_box", tree)


def test_after_a_move_the_new_address_is_told(defects, tree):
    lost = defects.Defect("a limit", "house.box:close", "range(3)", "range(4)", "test_box::test_box")
    assert defects.misaddressed([lost], tree) == ["a limit: no module house.box or house.room.box:close"]
