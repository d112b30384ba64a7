"""What a terminal of 80 columns gets: whole words, tables below each other, one line of progress."""

from __future__ import annotations

import io
import sys

import pytest

from inncli.cli import console, drawing


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Called in the test, makes stdout and stderr terminals of 80 columns; gives stdout."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def start():
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stdout

    return start


def test_a_wide_table_is_told_in_parts_without_a_cut(terminal):
    names = ["nll", "c2st", "mmd2", "err_resim", "calibrated", "invertibility_error", "seconds", "parameters"]
    headers = ["config", "seeds", *names]
    rows = [
        [f"model={model}", 3, *(console.Number(f"{k}.123 +- 0.045 *") for k in range(8))] for model in ("rnvp", "maf")
    ]
    out = terminal()
    drawing.table(headers, rows, "ring: 6 runs", {(0, 2)})
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    words = text.split()
    assert all(words.count(name) == 1 for name in names)
    assert words.count("model=rnvp") == words.count("config") > 1 and text.count("ring: 6 runs") == 1
    assert text.count("+-") == 16


def test_a_title_takes_the_terminals_width_and_not_the_tables(terminal):
    title = "table task.file=a.csv  task.y=[y,lab]  task.periodic.deg=[0.0,360.0]: 1 run"
    out = terminal()
    drawing.table(["config", "seeds"], [["rnvp", 1]], title)
    assert out.getvalue().splitlines()[0].rstrip() == title


def test_a_long_first_column_and_a_long_meaning_are_broken_between_words(terminal):
    y = ", ".join(f"{k}.12345" for k in range(12))
    meaning = "accuracy of telling draws from exact ones: .5 perfect, 1 useless"
    out = terminal()
    drawing.table(["y", "c2st", "distance to training ys", "what it says"], [[y, 0.5, 1.25, meaning]])
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    assert set((y + " " + meaning).split()) <= set(text.split())


def test_sentences_are_broken_between_words_on_a_terminal_alone(terminal):
    sentence = "Is it calibrated? No: " + "too narrow (over-confident) " * 8
    out = terminal()
    console.prose(sentence)
    lines = out.getvalue().splitlines()
    assert len(lines) > 2 and max(map(len, lines)) <= 80 and " ".join(lines).split() == sentence.split()
    plain = io.StringIO()
    console.prose(sentence, plain)
    assert plain.getvalue() == sentence + "\n"


def test_progress_says_the_time_that_is_left_in_one_line(terminal, monkeypatch):
    now = iter([0.0, 0.5, 30.0, 60.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    terminal()
    with console.progress() as show:
        show("round trip", 0.001)  # too early to know
        show("draws at 300 of 1,000 held-out ys", 0.25)
        show("a very long line " * 10, 0.5)
    first, second, third, last = sys.stderr.getvalue().split("\r\x1b[K")[1:]
    assert first == "round trip" and second == "draws at 300 of 1,000 held-out ys, 90 s left" and last == ""
    assert len(third) < 80 and third.endswith(" ...")


def test_off_a_terminal_progress_says_nothing(capsys):
    with console.progress() as show:
        show("draws", 0.5)
    assert capsys.readouterr() == ("", "")
