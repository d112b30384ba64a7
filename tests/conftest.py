"""Shared by all tests.

The tests' own modules are importable, torch uses one thread, shapes are checked, and no signal is ignored: a shell
starts what runs in its background with SIGINT and SIGQUIT ignored, nohup with SIGHUP, and `inn` leaves it at that.
"""

import importlib
import logging
import signal
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "support"))
torch.set_num_threads(1)
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
importlib.import_module("shape_checks").install()  # before any module of inncli


@pytest.fixture(autouse=True)
def no_log_of_another_test():
    """Takes away the log files that a run in this process has added: their folder is gone by the next test."""
    yield
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()


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
