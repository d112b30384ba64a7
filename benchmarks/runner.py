"""Runs the figures of an issue, which lie in a folder `figures_<number>`.

    python benchmarks/figures_3                  all of them
    python benchmarks/figures_3 inn flows.ring   all of part inn, then the figure ring of flows

A part is a file of the folder with a dict FIGURES = {name: function}. A figure that fails prints its error and
leaves the others; the exit code is then 1.
"""

from __future__ import annotations

import functools
import importlib
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from defects._running import all_caught

# What the figure `defects` of an issue runs: the themes that the issue brought.
THEMES = {
    "figures_3": ("adjoint", "evaluation", "first_path", "flows", "inn", "iresnet", "maxent"),
    "figures_4": ("compare", "densities", "kruse", "report", "sbi", "verdicts"),
    "figures_5": ("cluster", "parallel", "safety", "stream", "sweep"),
}


def parts(folder: Path) -> dict[str, dict[str, Callable[[], None]]]:
    """The figures of each part of a folder, by name; the defects come last."""
    names = [file.stem for file in sorted(folder.glob("*.py")) if not file.stem.startswith("__")]
    found = {name: importlib.import_module(f"{folder.name}.{name}").FIGURES for name in names}
    return {**found, "defects": {"defects": functools.partial(all_caught, THEMES[folder.name])}}


def chosen(folder: Path, words: list[str]) -> dict[str, Callable[[], None]]:
    """What to run, by `part.name`: whole parts or single figures; everything without a word."""
    every = {
        f"{part}.{name}": function for part, figures in parts(folder).items() for name, function in figures.items()
    }
    found = {}
    for word in words or [""]:
        fits = {
            name: function for name, function in every.items() if not word or name == word or word in name.split(".")
        }
        if not fits:
            raise SystemExit(f"no figure {word!r}; there are {', '.join(every)}")
        found |= fits
    return found


def main(folder: Path, words: list[str]) -> int:
    """Prints the figures; 1 if any failed."""
    torch.set_num_threads(1)
    failed = 0
    for name, function in chosen(folder, words).items():
        before = _cpu_seconds()
        doc = getattr(function, "func", function).__doc__ or ""
        print(f"-- {name}: {doc.strip().splitlines()[0]}", flush=True)
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
