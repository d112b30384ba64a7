"""Help is quick because it imports nothing heavy, and so are the commands that need no model."""

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import inncli
from inncli.cli.app import Commands
from inncli.cli.plot.group import Figures

HEAVY = ("torch", "hydra", "omegaconf", "numpy", "scipy", "sklearn", "matplotlib", "pyarrow", "pydantic", "jinja2")
CODE = """
import json, sys
from inncli.cli.app import main
code = main(json.loads(sys.argv[1]))
print("LOADED", json.dumps([code, [name for name in json.loads(sys.argv[2]) if name in sys.modules]]))
"""


def loaded(words, heavy=HEAVY, **env):
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(words), json.dumps(heavy)],
        text=True,
        capture_output=True,
        env=os.environ | env,
        timeout=60,
    )
    return json.loads(done.stdout.rpartition("LOADED")[2])


HELP = [
    ["--help"],
    *([name, "--help"] for name in Commands.lines),
    *(["plot", name, "--help"] for name in Figures.lines),
    ["--version"],
    ["nonsense"],
]


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_imports_nothing_heavy(words):
    assert loaded(words) == [2 if words == ["nonsense"] else 0, []]


def test_the_list_of_commands_imports_none_of_them():
    modules = [f"inncli.cli.{name}" for name in (*Commands.lines, *(f"plot.{name}" for name in Figures.lines))]
    assert loaded(["--help"], modules) == [0, []]
    assert loaded(["show", "--help"], modules) == [0, ["inncli.cli.show"]]
    assert loaded(["plot", "--help"], modules) == [0, ["inncli.cli.plot"]]


@pytest.mark.parametrize("group", [Commands, Figures])
def test_the_list_says_what_the_commands_say_of_themselves(group):
    for name, line in group.lines.items():
        found = getattr(importlib.import_module(f"{group.package}.{name}"), name)
        function = found.registered_callback.callback if isinstance(found, typer.Typer) else found
        assert line == function.__doc__.splitlines()[0]


def test_the_command_line_imports_at_the_top():
    """But for two: rich, with the first table, and torch where it is the question whether it can be imported."""
    hidden = []
    for path in sorted((Path(inncli.__file__).parent / "cli").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, (ast.FunctionDef, ast.ClassDef, ast.If)):
                found = [node for node in ast.walk(function) if isinstance(node, (ast.Import, ast.ImportFrom))]
                hidden += [path.name for _ in found]
    assert hidden == ["console.py", "doctor.py"]


ROOMS = ["data", "evaluation", "experiments", "inference", "metrics", "numerics", "plots", "reporting", "runs"]


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_its_modules_when_they_are_named(name):
    room = importlib.import_module(f"inncli.{name}")
    for module in room.__all__:
        assert getattr(room, module).__name__ == f"inncli.{name}.{module}"
    with pytest.raises(AttributeError, match=f"module 'inncli.{name}' has no attribute 'attic'"):
        room.attic  # noqa: B018  (to name it is all)
    code = f"import sys, inncli.{name}; print([m for m in sys.modules if m.startswith('inncli.{name}.')])"
    assert subprocess.run([sys.executable, "-c", code], text=True, capture_output=True).stdout == "[]\n"


def test_the_list_of_runs_needs_no_arrays(tmp_path):
    assert loaded(["runs"], INN_OUTPUTS=str(tmp_path)) == [0, []]


def test_a_wrong_config_is_found_before_torch(tmp_path):
    assert loaded(["train", "trainer.lr=-1"], ["torch", "numpy"], INN_OUTPUTS=str(tmp_path)) == [2, []]


@pytest.mark.parametrize(
    "typed, found",
    [
        ("inn train model=rn", "model=rnvp"),
        ("inn ev", "evaluate"),
        ("inn plot po", "posterior"),
        ("inn plot density --gr", "--grid"),
    ],
)
def test_completion_needs_no_hydra(typed, found):
    env = {"_INN_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": typed}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "inncli"],
        text=True,
        capture_output=True,
        env=os.environ | env,
        timeout=60,
    )
    assert found in done.stdout
    assert not [name for name in ("hydra", "torch", "numpy") if f"| {name}\n" in done.stderr.replace("|   ", "| ")]
