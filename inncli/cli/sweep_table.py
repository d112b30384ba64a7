"""The jobs of a sweep as they are printed: a table, how many are in which state, each failure with its place."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import Any

from inncli import experiments
from inncli.cli import console
from inncli.cli.cells import duration, steps
from inncli.config.trust import python_files
from inncli.io.untrusted_yaml import read_yaml
from inncli.runs.sweep_dir import SweepDir

HEADERS = ("job", "overrides", "state", "val loss", "steps", "time")


def rows(jobs: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """One row a job: number, the words in which the jobs differ, state, validation loss, steps, time."""
    shared = set.intersection(*(set(job["overrides"]) for job in jobs)) if len(jobs) > 1 else set()
    if all(shared == set(job["overrides"]) for job in jobs):
        shared = set()  # of one value, repeated: it is all that there is to see
    return [
        (
            job["job"],
            " ".join(word for word in job["overrides"] if word not in shared) or None,
            job["status"],
            job["metrics"].get("val_loss"),
            steps(job),
            duration(job["seconds"]),
        )
        for job in jobs
    ]


def counts(jobs: list[dict[str, Any]]) -> str:
    """`3 done, 1 killed of 4 jobs`."""
    found = Counter(job["status"] for job in jobs)
    return f"{', '.join(f'{n} {state}' for state, n in found.items()) or 'none'} of {len(jobs)} jobs"


def failures(jobs: list[dict[str, Any]]) -> list[str]:
    """One line for each job that failed or was killed: its words, what happened, where its traceback is."""
    lines = []
    for job in jobs:
        if job["status"] in ("failed", "killed"):
            verb = "failed: " if job["status"] == "failed" else "was "
            traced = f" (traceback: {job['traceback']})" if job["traceback"] else ""
            lines.append(f"job {job['job']} ({' '.join(job['overrides'])}) {verb}{job['error']}{traced}")
    return lines


def report_end(ended: experiments.sweep.Ended) -> None:
    """Prints what became of a sweep. Raises: what ended it early, or says that jobs failed."""
    if not ended.launched:
        console.line(f"sweep {ended.sweep.id} is done; nothing is left to run")
    if ended.jobs:
        report(ended.sweep, ended.jobs)
    if ended.error is not None:
        raise ended.error


def report(sweep: SweepDir, jobs: list[dict[str, Any]]) -> None:
    """Prints how a sweep ended: the table, the count, each failure on stderr."""
    console.table(HEADERS, rows(jobs))
    done, pruned = (sum(job["status"] == state for job in jobs) for state in ("done", "pruned"))
    console.line(f"\nsweep {sweep.id}: {done} of {len(jobs)} jobs done" + (f", {pruned} pruned" if pruned else ""))
    if sweep.best_config.is_file():
        console.line(
            f"best config: {sweep.best_config}; "
            f"train it with `inn train --config-dir {shlex.quote(str(sweep.path))} experiment=best"
            f"{' --resimulate' if _runs_a_file(sweep) else ''}`"
        )
    console.line(f"next: inn compare {sweep.word}" if done + pruned == len(jobs) else f"next: inn resume {sweep.word}")
    for line in failures(jobs):
        console.note(line)


def _runs_a_file(sweep: SweepDir) -> bool:
    """Whether the best config of a search names a simulator file."""
    try:
        tree = read_yaml(sweep.best_config)
    except (OSError, ValueError):
        return False
    return isinstance(tree, dict) and any(python_files(tree.get("task")))
