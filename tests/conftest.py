"""Shared by all tests: the tests' own modules are importable, torch uses one thread, and shapes are checked."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "support"))
torch.set_num_threads(1)
importlib.import_module("shape_checks").install()  # before any module of inncli


@pytest.fixture
def inn(tmp_path, monkeypatch, capsys):
    """Runs a command with outputs in an empty folder; gives what it printed on stdout."""
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "out"))
    monkeypatch.chdir(tmp_path)

    from inncli.cli.app import main

    def run(*words, code=0):
        got = main([str(word) for word in words])
        out, run.err = capsys.readouterr()
        assert got == code, run.err
        return out

    return run
