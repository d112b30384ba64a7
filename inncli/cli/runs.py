"""`inn runs`: every run in one table, or the jobs of a sweep, also while it goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from inncli.cli import completion, console, sweep_table
from inncli.cli.cells import duration, steps
from inncli.cli.options import JsonOption
from inncli.errors import RequestError
from inncli.io import standard_streams
from inncli.runs.registry import outputs_root, read_runs
from inncli.runs.sweep_dir import SweepDir
from inncli.runs.sweeps import find_sweep

EVERY = 1.0  # seconds between two looks at a sweep that is watched
SETTLE = 5.0  # seconds in which a sweep without its parent and without running jobs may still go on


def runs(
    sweep: Annotated[
        str | None,
        typer.Option(
            "--sweep",
            metavar="SWEEP",
            autocompletion=completion.sweeps,
            show_default=False,
            help="The jobs of this sweep: directory, id or unique prefix.",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the sweep until it ends.")] = False,
    json: JsonOption = False,
) -> None:
    """List the runs under $INN_OUTPUTS (default ./outputs), the newest last.

    \b
    Examples:
      inn runs
      inn runs --sweep 2026-11-23_10-05 --watch     the jobs of a sweep, from any other shell
      inn runs --json | jq '.[] | select(.status == "done") | .id'

    A run whose process was killed shows as interrupted; continue it with `inn resume RUN`.
    """
    if sweep is not None:
        _of_sweep(find_sweep(sweep), watch, json)
        return
    if watch:
        raise RequestError("--watch follows a sweep; name it with --sweep SWEEP")
    found = read_runs()
    if json:
        console.as_json([{**info, "path": str(run.path)} for run, info in found])
        return
    if not found:
        console.note(f"no runs under {outputs_root()}; train one with `inn train`")
        return
    headers = ("run", "status", "task", "model", "val loss", "steps", "time")
    console.table(headers, [_row(info) for _, info in found])


def _row(info: dict[str, Any]) -> tuple[object, ...]:
    loss = (info.get("metrics") or {}).get("val_loss")
    return (
        info["id"],
        info["status"],
        info.get("task"),
        info.get("model"),
        loss,
        steps(info),
        duration(info.get("seconds")),
    )


# ---- one sweep ---------------------------------------------------------------------------------------
def _of_sweep(sweep: SweepDir, watch: bool, json: bool) -> None:
    if watch and json:
        raise RequestError("--watch is for reading and --json for machines; give one of them")
    if watch:
        _watch(sweep)
    jobs, state = sweep.jobs(), sweep.state()
    if json:
        console.as_json({"id": sweep.id, "status": state, "path": str(sweep.path), "jobs": jobs})
        return
    if not (watch and sys.stdout.isatty()):  # a terminal shows it already
        console.table(sweep_table.HEADERS, sweep_table.rows(jobs))
    console.line(f"\nsweep {sweep.id}: {state}; {sweep_table.counts(jobs)}")
    for line in sweep_table.failures(jobs):
        console.line(line)


def _watch(sweep: SweepDir) -> None:
    """Shows the jobs until nobody works on the sweep any more: a table that changes, or a line for each change."""
    if not sys.stdout.isatty():
        seen: dict[int, str] = {}
        for jobs in _looks(sweep):
            for job in jobs:
                if seen.get(job["job"]) != job["status"]:
                    seen[job["job"]] = job["status"]
                    console.line(f"job {job['job']} {job['status']}")
                    sys.stdout.flush()
        return
    with console.live_table() as show:
        for jobs in _looks(sweep):
            show(sweep_table.HEADERS, sweep_table.rows(jobs), title=f"sweep {sweep.id}: {sweep_table.counts(jobs)}")


def _looks(sweep: SweepDir) -> Iterator[list[dict[str, Any]]]:
    """The sweep's jobs, every second until it has ended or nobody reads on."""
    quiet_since = None
    while True:
        jobs = sweep.jobs()
        yield jobs
        if standard_streams.is_unread():
            return
        if sweep.state() != "running":
            # A scheduler's jobs outlive the process that submitted them.
            alive = any(job["status"] in ("running", "preempted") for job in jobs)
            quiet_since = None if alive else quiet_since or time.monotonic()
            if quiet_since and (sweep.manifest()["status"] != "running" or time.monotonic() - quiet_since > SETTLE):
                return
        time.sleep(EVERY)
