"""What a message says: the library names arguments, the command line its options."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest

import inncli
from inncli.cli.console import said
from inncli.errors import ConfigError, Interrupted, RequestError

PACKAGE = Path(inncli.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
COMMAND = re.compile(r"`(inn|pip) [^`]*`")  # a whole command to type, which names its options
ARGUMENT = re.compile(r"`([a-z_]+)(?:=[^`]*)?`")

# Texts with dashes that are no options of ours, or that stand in a command line which the file writes.
ALLOWED = {
    "config/messages.py": "a text of hydra's that is looked for",
    "launchers/slurm.py": "options of squeue",
    "reporting/report.py": "the commands by which a report is made again",
    "runs/provenance.py": "options of git",
    "training/distributed.py": "an option of torchrun",
}

# The arguments that an option stands for.
OPTIONS = {"cloud", "config_dir", "grid", "ignore_noise", "metrics", "points", "refine", "reference", "resimulate"}
OPTIONS |= {"run", "samples", "seed", "starts", "x", "y", "device"}


def modules():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] != "cli"]


def texts(tree):
    """Every text of a module but the docstrings, with {} for what is filled in."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    skipped = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_text_of_the_library_names_an_option(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [text for text in texts(tree) if OPTION.search(COMMAND.sub("", text))]
    assert not found or str(path.relative_to(PACKAGE)) in ALLOWED


def test_the_list_of_exceptions_holds_no_file_without_one():
    for name in ALLOWED:
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        assert any(OPTION.search(COMMAND.sub("", text)) for text in texts(tree)), name


def test_an_error_declares_each_argument_that_it_writes():
    """Else the command line would show Python's name: `refine=True` instead of --refine."""
    checked = 0
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                message, *declared = node.exc.args
                written = {name for text in texts(ast.Expression(message)) for name in ARGUMENT.findall(text)}
                names = {argument.value for argument in declared if isinstance(argument, ast.Constant)}
                assert not written & OPTIONS - names, (path, node.lineno)
                checked += bool(written & names)
    assert checked >= 15


@pytest.mark.parametrize(
    "error, python, shell",
    [
        (RequestError("`refine=True` runs; leave `refine` out", "refine"), None, "--refine runs; leave --refine out"),
        (RequestError("add `ignore_noise=True`", "ignore_noise"), None, "add --ignore-noise"),
        (RequestError("e.g. `y=0.3`", "y"), None, "e.g. --y 0.3"),
        (RequestError("e.g. `y='kind=a b'`", "y"), None, "e.g. --y 'kind=a b'"),
        (RequestError("e.g. `y='\"a,b\",0.3'`", "y"), None, "e.g. --y '\"a,b\",0.3'"),
        (RequestError(f"e.g. `y={'`'!r}`", "y"), None, "e.g. --y '`'"),
        (RequestError(f"e.g. `y={chr(92) + chr(39)!r}`", "y"), None, "e.g. --y '\\'\"'\"''"),
        (RequestError("choose others with `metrics`", "metrics"), None, "choose others with --metric"),
        (RequestError("`y` is not said to be one"), None, "`y` is not said to be one"),
        (RequestError("`y` and `y_file`", "y"), None, "--y and `y_file`"),
        (Interrupted("stopped", "pruned"), "stopped", "stopped"),
        (OSError("`y`"), "`y`", "`y`"),
    ],
)
def test_the_command_line_writes_the_option_of_an_argument(error, python, shell):
    assert str(error) == (python or error.args[0])
    assert said(error) == shell


def test_an_error_comes_back_from_another_process():
    for error in (ConfigError("a `config_dir`", "config_dir"), Interrupted("stopped", "SIGTERM")):
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back), said(back)) == (type(error), str(error), said(error))
        assert back.__dict__ == error.__dict__
