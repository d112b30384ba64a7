"""The record of a job: what its process writes before there is a run.json, and beside it.

A record is a small JSON file with a heartbeat. It is untrusted: its fields are checked before any is used.
"""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

from inncli.io.atomic import atomic_write
from inncli.io.untrusted import read_json
from inncli.runs import liveness


def is_entry(entry: object) -> bool:
    """Whether this has the fields of a job, each of its type. Manifests and records are untrusted files."""
    if not isinstance(entry, dict):
        return False
    config, number, overrides = entry.get("config"), entry.get("job"), entry.get("overrides")
    return (
        type(number) is int
        and 0 <= number < 10**6
        and isinstance(overrides, list)
        and all(isinstance(override, str) for override in overrides)
        and all(isinstance(entry.get(name), (str, type(None))) for name in ("status", "error", "host"))
        and isinstance(entry.get("scheduler"), (dict, type(None)))
        and (config is None or isinstance(config, dict) and isinstance(config.get("task", {}), dict))
    )


def lives_elsewhere(record: dict[str, Any], file: Path) -> bool:
    """Whether a living process on another host works on the job of this record, which stands in `file`."""
    # Not every shared file system hands locks on to other hosts: there the heartbeat speaks.
    return record.get("host") != liveness.here()["host"] and liveness.state(record, file=file) == "running"


class Record:
    """A small JSON file that says who works on something, with a heartbeat until it ends."""

    def __init__(self, file: Path, fields: dict[str, Any]) -> None:
        self._file, self._fields = file, {"status": "running", **liveness.here(), **fields}
        self._mutex, self._ended = threading.Lock(), False
        file.parent.mkdir(exist_ok=True)
        self._write()
        self._heart = liveness.Heartbeat(self._beat)

    def end(self, remove: bool = False, **fields: Any) -> None:
        """Stops the heartbeat and writes the record a last time; only the first call counts.

        Args:
            remove: whether to delete the file instead of writing it.
            fields: what changes in the record.
        """
        self._heart.stop()
        with self._mutex:
            if self._ended:
                return
            self._ended = True
            self._fields |= fields
            with contextlib.suppress(
                OSError
            ):  # a full disk: run.json, or the stale heartbeat, tells what became of the job
                self._file.unlink(missing_ok=True) if remove else self._write()

    def _beat(self) -> None:
        with self._mutex:
            if not self._ended:
                self._fields["heartbeat"] = liveness.now()
                self._write()

    def _write(self) -> None:
        atomic_write(self._file, json.dumps(self._fields, indent=1) + "\n")


def read_records(folder: Path) -> dict[int, dict[str, Any]]:
    """The records of jobs in a folder, by the job's number. A damaged file is skipped."""
    found = {}
    for file in folder.glob("[0-9]*.json"):
        with contextlib.suppress(OSError, ValueError):
            record = read_json(file)
            if is_entry(record):
                found[record["job"]] = record
    return found
