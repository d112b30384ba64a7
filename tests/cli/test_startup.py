"""Help is quick because it imports nothing heavy, and so are the commands that need no model."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "hydra", "omegaconf", "numpy", "scipy", "sklearn", "matplotlib", "pyarrow", "pydantic")
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


@pytest.mark.parametrize(
    "words",
    [["--help"], ["train", "--help"], ["invert", "--help"], ["compare", "--help"], ["--version"], ["nonsense"]],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(words):
    assert loaded(words) == [2 if words == ["nonsense"] else 0, []]


def test_the_list_of_runs_needs_no_arrays(tmp_path):
    assert loaded(["runs"], INN_OUTPUTS=str(tmp_path)) == [0, []]


def test_a_wrong_config_is_found_before_torch(tmp_path):
    assert loaded(["train", "trainer.lr=-1"], ["torch", "numpy"], INN_OUTPUTS=str(tmp_path)) == [2, []]


def test_completion_of_choices_needs_no_hydra():
    env = {"_INN_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "inn train model=rn"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "inncli"],
        text=True,
        capture_output=True,
        env=os.environ | env,
        timeout=60,
    )
    assert "model=rnvp" in done.stdout
    assert not [name for name in ("hydra", "torch", "numpy") if f"| {name}\n" in done.stderr.replace("|   ", "| ")]
