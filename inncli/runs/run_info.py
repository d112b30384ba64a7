"""What run.json may hold, and how it says why a run ended.

It is checked when it is read: a user may have edited it, or have it from someone else.

    {"format": 1, "id": ..., "status": ..., "steps": 700, "metrics": {...}, ...}

A file without `format` is of format 1: early releases did not write the field. Unknown fields are allowed, so that an
older inn reads the runs of a newer one as long as the format is the same.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

FORMAT = 1
STATUSES = ("running", "done", "failed", "interrupted")
TEXT = (
    "id",
    "status",
    "started",
    "ended",
    "heartbeat",
    "resumed",
    "task",
    "model",
    "device",
    "dtype",
    "git",
    "host",
    "error",
    "ended_by",
    "kept",
)
COUNTS = ("seed", "threads", "pid", "steps", "planned_steps", "steps_per_epoch", "epochs", "parameters")
DATA_TEXT = ("file", "sha256", "copy_sha256", "pairs_sha256", "simulator_sha256")  # of the mapping `data`
TABLES = ("versions", "metrics", "resimulation")  # of single values
MAX_COUNT = 2**63


class Ending(str, Enum):
    """Why a run ended; run.json holds the value in `ended_by`."""

    FINISHED = "finished"  # its budget was spent, or its patience lost
    SIGNAL = "signal"  # someone stopped it, with Ctrl-C for one
    PREEMPTED = "preempted"  # a scheduler stopped it, and will take it up again
    PRUNED = "pruned"  # a search had seen enough of it
    ERROR = "error"  # it failed
    LOST_PROCESS = "lost_process"  # one of its processes was gone, and the others could not go on

    @property
    def status(self) -> str:
        """The status that a run has after this ending."""
        if self is Ending.FINISHED:
            return "done"
        return "failed" if self in (Ending.ERROR, Ending.LOST_PROCESS) else "interrupted"


MARKED = (Ending.PREEMPTED, Ending.PRUNED)  # these also have a field of their own, which is all that inn 0.4 writes


def ending_fields(ending: Ending, info: dict[str, Any]) -> dict[str, Any]:
    """The fields of run.json that say how a run ended.

    Args:
        ending: why it ended.
        info: its run.json so far; marks of another ending in it are set to None.
    """
    marks = {mark.value: True if mark is ending else None for mark in MARKED if mark is ending or mark.value in info}
    return {"status": ending.status, "ended_by": ending.value, **marks}


def ending_of(info: dict[str, Any]) -> Ending | None:
    """Why a run ended; None if it has not ended, or was killed and could not say.

    inn 0.4 writes no `ended_by`, and keeps an old one where it continues a run. So `ended_by` counts only if the other
    fields agree with it; otherwise they decide.
    """
    named = next((ending for ending in Ending if ending.value == info.get("ended_by")), None)
    if named is not None and all(info.get(key) == value for key, value in ending_fields(named, info).items()):
        return named
    marked = next((mark for mark in MARKED if info.get(mark.value)), Ending.SIGNAL)
    return {"done": Ending.FINISHED, "failed": Ending.ERROR, "interrupted": marked}.get(str(info.get("status")))


def data_checksum(info: dict[str, Any]) -> str | None:
    """What run.json says of the data that a run was trained on: the checksum of its table, else of its pairs.

    None if it says nothing: the run was killed before its data were noted, or keeps none.
    """
    data = info.get("data") or {}
    found: str | None = data.get("sha256") or data.get("pairs_sha256")
    return found


def check_info(info: dict[str, Any]) -> None:
    """Checks the format and the type of every known field; null may stand anywhere.

    Raises: ValueError for another format, or a field that is not of its type.
    """
    version = info.get("format", FORMAT)
    if version != FORMAT or isinstance(version, bool):
        raise ValueError(f"format {version!r}, this inn reads {FORMAT}; upgrade inn")
    for names, words, fits in (
        (TEXT, "text", _is_text),
        (COUNTS, "a whole number", _is_count),
        (("seconds",), "a number", _is_number),
        (TABLES, "a mapping", _is_table),
        (("data", "scheduler"), "a mapping", lambda value: isinstance(value, dict)),
    ):
        for name in names:
            if info.get(name) is not None and not fits(info[name]):
                raise ValueError(f"{name}: expected {words}, got {str(info[name])[:40]!r}")
    data = info.get("data") or {}
    if not all(_is_text(data[key]) for key in DATA_TEXT if data.get(key) is not None):
        raise ValueError("data: expected a file and its checksum as text")
    for key in ("pairs", "failed", "dropped"):
        if data.get(key) is not None and not _is_count(data[key]):
            raise ValueError(f"data.{key}: expected a whole number, got {str(data[key])[:40]!r}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and all(
        entry is None or isinstance(entry, (str, float, bool)) or isinstance(entry, int) and abs(entry) < MAX_COUNT
        for entry in value.values()
    )
