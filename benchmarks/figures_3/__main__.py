"""The figures of issue 3: `make figures-3` prints each from the committed tree with shipped configs.

    python benchmarks/figures_3                  all of them
    python benchmarks/figures_3 inn flows.ring   all of part inn, then the figure ring of flows

A part is a file of this folder with a dict FIGURES = {name: function}. A figure that fails prints its error and
leaves the others; the exit code is then 1.
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
sys.path[0] = str(HERE.parent)  # so that `common` is found, and no part hides a package of its name
PARTS = ("flows", "inn", "iresnet", "adjoint", "maxent", "evaluate", "defects")


def parts() -> dict[str, dict[str, Callable[[], None]]]:
    """The figures of each part that is there, by name."""
    there = [part for part in PARTS if (HERE / f"{part}.py").is_file()]
    return {part: importlib.import_module(f"figures_3.{part}").FIGURES for part in there}


def chosen(words: list[str]) -> dict[str, Callable[[], None]]:
    """What to run, by `part.name`: whole parts or single figures; everything without a word."""
    every = {f"{part}.{name}": function for part, figures in parts().items() for name, function in figures.items()}
    found = {}
    for word in words or [""]:
        fits = {name: function for name, function in every.items() if not word or name == word or word in name.split(".")}
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
