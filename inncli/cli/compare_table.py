"""What `inn compare` found as a table: printed, or as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from pathlib import Path
from typing import Any

from inncli import evaluation
from inncli.cli import console
from inncli.cli.cells import typed
from inncli.io.atomic import atomic_write
from inncli.io.harmless import guarded, in_line
from inncli.metrics import registry


def show(problem: evaluation.groups.Problem, metric: list[str] | None) -> None:
    """Prints one problem: a row a config, seeds taken together, the best of a column marked."""
    columns = metric or problem.columns
    runs = sum(len(group.entries) for group in problem.groups)
    title = f"{problem.task}{words(problem.config, ' ')}: {runs} run{'s' if runs > 1 else ''}"
    kruse = not metric and "mmd2_median" in columns
    headers = ["config", "seeds", *(registry.find(name).heading if kruse else name for name in columns)]
    best = {name: problem.best(name) for name in columns}
    rows = [
        [
            words(group.config) or group.entries[0].config.get("model") or "?",
            len(group.entries),
            *(_cell(group, name, any(best[name]), group in best[name]) for name in columns),
        ]
        for group in problem.groups
    ]
    marked = {
        (i, j) for i, group in enumerate(problem.groups) for j, name in enumerate(columns, 2) if group in best[name]
    }
    console.table(headers, rows, title, marked)
    if marked:
        console.line("* best of its column")
    verdicts = [
        entry.verdicts.get(name, True) for group in problem.groups for entry in group.entries for name in columns
    ]
    if None in verdicts:
        console.line("? too few rows or draws to tell; `inn evaluate` says how many would")
    console.line("")


def _cell(group: evaluation.groups.Group, name: str, starred: bool, best: bool) -> console.Number | None:
    found = group.mean_sd(name)
    if found is None:
        answers = group.answers(name)
        return console.Number(_answers(answers)) if answers else None
    return console.Number(mean_text(*found) + (" *" if best else "  " if starred else ""))


def _answers(answers: Counter[bool | None]) -> str:
    """`yes`, `2 of 3`, or `2 of 3, 1 ?` where nobody can tell of one."""
    if answers.total() == 1:
        return {True: "yes", False: "NO", None: "?"}[next(iter(answers))]
    return f"{answers[True]} of {answers.total()}" + (f", {answers[None]} ?" if answers[None] else "")


def mean_text(mean: float, sd: float | None) -> str:
    """`-2.310 +- 0.021`: two digits of the sd, and no more of the mean; 4 digits of a mean without one."""
    if not math.isfinite(mean):
        return "-"
    if not sd or not math.isfinite(sd):  # one seed, or a number that no seed changes
        return f"{int(mean):,}" if mean == int(mean) and abs(mean) < 1e12 else f"{mean:.4g}"
    if not 1e-3 <= max(abs(mean), sd) < 1e6:
        return f"{mean:.3g} +- {sd:.1e}"
    digits = max(1 - math.floor(math.log10(sd)), 0)
    return f"{mean:,.{digits}f} +- {sd:,.{digits}f}" if digits < 7 else f"{mean:.6g} +- {sd:.1e}"


def words(config: dict[str, Any], before: str = "") -> str:
    """`model=spline  task.n_train=1000`, long values by their ends."""
    return (before if config else "") + "  ".join(f"{key}={_short(typed(value))}" for key, value in config.items())


def _short(value: object) -> str:
    text = "null" if value is None else str(value)
    text = text.rpartition("/")[2] if "/" in text else text
    return text if len(text) <= 30 else f"{text[:14]}...{text[-13:]}"


def write_csv(found: list[evaluation.groups.Problem], metric: list[str] | None, path: Path | None) -> None:
    """One row a run; what differs and what was measured by column."""
    keys = list(
        dict.fromkeys(key for problem in found for group in problem.groups for key in (*problem.config, *group.config))
    )
    names = metric or list(dict.fromkeys(name for problem in found for name in problem.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "task", *(guarded(key) for key in keys if key != "task"), "seed", *names])
    for problem in found:
        for group in problem.groups:
            for entry in group.entries:
                settings = [{**problem.config, **group.config}.get(key) for key in keys if key != "task"]
                values = [entry.metrics.get(name, entry.verdicts.get(name)) for name in names]
                cells = [entry.run.id, problem.task, *settings, entry.info.get("seed"), *values]
                plain = [guarded(cell) if isinstance(cell, str) else cell for cell in cells]
                # On a terminal a line break in a name could pass for another row.
                writer.writerow([in_line(c) if path is None and isinstance(c, str) else c for c in plain])
    if path is None:
        for line in text.getvalue().rstrip("\n").split("\n"):
            console.line(line)
    else:
        atomic_write(path, text.getvalue())
        console.note(f"table: {path}")
