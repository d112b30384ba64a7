"""The name of every file in a sweep's directory; `SweepDir` says what they hold."""

from __future__ import annotations

from pathlib import Path


class SweepFiles:
    """The places of a sweep's files, whether they are there or not."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def id(self) -> str:
        """The directory's name."""
        return self.path.absolute().name

    @property
    def manifest_file(self) -> Path:
        return self.path / "sweep.json"

    @property
    def study_file(self) -> Path:
        """The study of a search."""
        return self.path / "study.db"

    @property
    def best_config(self) -> Path:
        """The best config of a search that has ended, as a recipe for `--config-dir`."""
        return self.path / "experiment" / "best.yaml"

    @property
    def _records(self) -> Path:
        return self.path / ".jobs"

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    def _job_lock(self, number: int) -> Path:
        return self._records / f"{number}.lock"

    def _record(self, number: int) -> Path:
        return self._records / f"{number}.json"

    @property
    def _holder_file(self) -> Path:
        return self._records / "sweep.json"
