"""What `inn compare --plot` found as a picture."""

from __future__ import annotations

from pathlib import Path

from inncli import evaluation, plots
from inncli.cli.compare_table import words
from inncli.errors import RequestError
from inncli.metrics import registry

PANELS = 3  # metrics beside each other, where none are chosen


def draw(found: list[evaluation.groups.Problem], metric: list[str] | None, x: str | None, path: Path) -> Path:
    """Draws the runs of one task; gives the picture's place.

    Raises: RequestError if they are of several tasks, or no number is known of them.
    """
    if len(found) > 1:
        tasks = ", ".join(f"{problem.task}{words(problem.config, ' ')}" for problem in found)
        raise RequestError(f"--plot draws runs of one task, got {tasks}; name fewer runs")
    (problem,) = found
    key, by_label = evaluation.compare.lines(problem, x)
    names = metric or [name for name in registry.columns("plot") if name in problem.columns][:PANELS]
    names = [name for name in names if any(group.values(name) for group in problem.groups)]
    if not names:
        raise RequestError(
            "--plot: no number to draw is known of these runs; leave out --no-evaluate, or choose with --metric"
        )
    series = {
        words(dict(label)) or problem.task: [(at, {name: group.values(name) for name in names}) for at, group in points]
        for label, points in by_label
    }
    return plots.style.save(
        plots.compare.compare_plot(series, names, key, f"{problem.task}{words(problem.config, ' ')}"), path
    )
