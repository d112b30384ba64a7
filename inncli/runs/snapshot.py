"""A trained run as it was at one moment: its config is read once and its weights are hashed once.

    find_run(...) --RunSnapshot.of--> one value --> key, opened model, task, held-out pairs

A function that asks many questions of a run takes a snapshot first and passes it on, so that all answers are about the
same config. `run.json` is read each time: it changes while a run trains.
"""

from __future__ import annotations

import copy
import functools
import os
from pathlib import Path
from typing import Any

from inncli.runs.run_dir import RunDir


class RunSnapshot(RunDir):
    """A run directory to read from, whose config.yaml and best checkpoint are assumed not to change.

    A function that caches a result under their hashes asks `is_current` first.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._before = self._identities()  # before anything is read or hashed

    @classmethod
    def of(cls, run: RunDir) -> RunSnapshot:
        """The snapshot of a run; the run itself if it is a snapshot already."""
        if isinstance(run, cls):
            return run
        made = cls(run.path)
        made.table = run.table
        return made

    def config_bytes(self) -> bytes:
        return self._config_bytes

    def config(self) -> dict[str, Any]:
        """A copy of the config, which the caller may change."""
        return copy.deepcopy(self._config)

    def weights_hash(self) -> str:
        return self._weights_hash

    def is_current(self) -> bool:
        """Whether config.yaml and the best checkpoint are still the files that they were when this object was made."""
        return self._identities() == self._before

    @functools.cached_property
    def _config_bytes(self) -> bytes:
        return super().config_bytes()

    @functools.cached_property
    def _config(self) -> dict[str, Any]:
        return super().config()

    @functools.cached_property
    def _weights_hash(self) -> str:
        return super().weights_hash()

    def _identities(self) -> list[tuple[int, ...] | None]:
        return [identity(path) for path in (self.config_file, self.best)]


def identity(path: Path) -> tuple[int, ...] | None:
    """Numbers of which one changes when the file is replaced or written to; None if there is no file."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
