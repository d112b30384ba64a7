"""`inn runs`: every run in one table."""

from __future__ import annotations

from inncli.cli import output
from inncli.cli.options import JsonOption


def runs(json: JsonOption = False) -> None:
    """List the runs under $INN_OUTPUTS (default ./outputs), the newest last.

    \b
    Examples:
      inn runs
      inn runs --json | jq '.[] | select(.status == "done") | .id'

    A run whose process was killed shows as interrupted; continue it with `inn train --resume RUN`.
    """
    from inncli.run import outputs_root, read_runs

    found = read_runs()
    if json:
        output.as_json([{**info, "path": str(run.path)} for run, info in found])
        return
    if not found:
        output.note(f"no runs under {outputs_root()}; train one with `inn train`")
        return
    headers = ("run", "status", "task", "model", "val loss", "steps", "time")
    output.table(headers, [_row(info) for _, info in found])


def _row(info: dict) -> tuple:
    loss = (info.get("metrics") or {}).get("val_loss")
    return (info["id"], info["status"], info.get("task"), info.get("model"), loss, steps(info),
            duration(info.get("seconds")))


def steps(info: dict) -> str | None:
    """`700`, or `350/700` of a run that has not done what it planned."""
    done, planned = info.get("steps"), info.get("planned_steps")
    if done is None or planned in (None, done):
        return None if done is None else str(done)
    return f"{done}/{planned}"


def duration(seconds: float | None) -> str | None:
    """`42 s`, `3:20 min` or `2:05 h`."""
    if seconds is None:
        return None
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return "{}:{:02d} h".format(*divmod(round(seconds / 60), 60))
