"""Prints the figures that answer a question about `inn`, from the committed tree with shipped configs.

    python benchmarks                              all of them; hours
    python benchmarks safety trust.verdicts        all of one folder, all of one part
    python benchmarks accuracy.sbi.two_moons       one figure

A folder is a question, a part is a file of it with a dict FIGURES = {name: function}. A figure that fails prints its
error and leaves the others; the exit code is then 1. `README.md` beside this file lists questions and results.
"""

from __future__ import annotations

import importlib
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
QUESTIONS = ("accuracy", "trust", "speed", "scaling", "safety")


def every_figure() -> dict[str, Callable[[], None]]:
    """All figures by `question.part.figure`."""
    files = [file for question in QUESTIONS for file in sorted((HERE / question).glob("*.py"))]
    parts = {f"{file.parent.name}.{file.stem}": file for file in files}
    return {
        f"{part}.{name}": function for part in parts for name, function in importlib.import_module(part).FIGURES.items()
    }


def chosen(words: list[str]) -> dict[str, Callable[[], None]]:
    """The figures that the words name, whole questions, parts or single ones; everything without a word."""
    every = every_figure()
    found = {}
    for word in words or QUESTIONS:
        fits = {name: function for name, function in every.items() if f"{name}.".startswith(f"{word}.")}
        if not fits:
            raise SystemExit(f"no figure {word!r}; there are {', '.join(every)}")
        found |= fits
    return found


def main(words: list[str]) -> int:
    """Prints the figures; 1 if any failed."""
    torch.set_num_threads(1)
    failed = 0
    for name, function in chosen(words).items():
        before = _cpu_seconds()
        print(f"-- {name}: {(function.__doc__ or '').strip().splitlines()[0]}", flush=True)
        try:
            function()
        except (Exception, SystemExit) as error:  # the other figures are still wanted
            failed += 1
            traceback.print_exc(file=sys.stderr)
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
        print(f"   {name} took {_cpu_seconds() - before:.0f} CPU-s", flush=True)
    return 1 if failed else 0


def _cpu_seconds() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
