"""What several commands write into the cells of a table: steps, times, settings."""

from __future__ import annotations

from typing import Any


def steps(info: dict[str, Any]) -> str | None:
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


def typed(value: object) -> object:
    """A setting as the command line takes it: `true`, `[64,64]`."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(str(typed(entry)) for entry in value)}]" if isinstance(value, list) else value
