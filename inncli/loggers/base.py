"""The contract of loggers, which keep params, metrics and artifacts of a run elsewhere too, beside its directory.

A logger is told what happens and decides nothing. If it fails, a warning is printed once and training goes on.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inncli.errors import ConfigError
from inncli.io.harmless import in_line
from inncli.runs.run_dir import RunDir

ENDS = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}  # in MLflow's words


class Logger:
    """Keeps nothing; the loggers that derive from it write something at each of these calls."""

    def start(self, run: RunDir, params: dict[str, object], step: int, known: dict[str, Any]) -> dict[str, Any]:
        """A run begins, or goes on.

        Args:
            run: the run's directory.
            params: the config with dotted keys.
            step: the last step that counts: metrics of later steps will come, and replace those that a run which was
                stopped has left.
            known: what `start` returned when the run began; {} when it begins.

        Returns: JSON-ready facts by which the logger can go on with the same record.
        """
        return {}

    def epoch(self, step: int, metrics: dict[str, float]) -> None:
        """An epoch ended at this step."""

    def end(self, status: str, metrics: dict[str, float], files: list[Path]) -> None:
        """The run ended as FINISHED, FAILED or KILLED, with these metrics and artifacts."""


class Tracker:
    """A logger whose failures are one warning and no more."""

    def __init__(self, logger: Logger) -> None:
        self._logger, self._started = logger, False

    def start(self, run: RunDir, resume: bool) -> None:
        """A run begins, or it goes on after the last line of its metrics.jsonl."""
        self._started = True
        lines = run.metrics() if resume else []
        step = lines[-1].get("step", 0) if lines else 0
        params = dict(_flat(run.config()))
        with self._warning():
            known = run.info().get("tracking") or {}
            facts = self._logger.start(run, params, step, known)
            if facts and facts != known:
                run.update_info(tracking=facts)

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch ended with this line of metrics.jsonl."""
        with self._warning():
            self._logger.epoch(line["step"], _finite({name: value for name, value in line.items() if name != "step"}))

    def end(self, run: RunDir) -> None:
        """The run ended as its run.json says."""
        if not self._started:
            return
        with self._warning():
            info = run.info()
            files = [file for file in (run.config_file, run.info_file, run.best) if file.is_file()]
            self._logger.end(ENDS.get(info["status"], "KILLED"), _finite(info.get("metrics") or {}), files)

    @contextlib.contextmanager
    def _warning(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a tracking library raises
            what = in_line(" ".join(f"{type(error).__name__}: {error}".split())[:200])
            print(
                f"warning: logger {type(self._logger).__name__} failed ({what}); training goes on without it, "
                "metrics.jsonl has everything",
                file=sys.stderr,
            )
            self._logger = Logger()


@contextlib.contextmanager
def tracked(logger: Logger, run: RunDir) -> Iterator[Tracker]:
    """Yields a tracker that is still to be started; on leaving, the tracker is told how the run ended."""
    tracker = Tracker(logger)
    try:
        yield tracker
    finally:
        tracker.end(run)


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Wraps the import of a package of the extra `name`. Raises: ConfigError, which says how to install it."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"logger={name} needs a package that is not installed ({error.name or error}); pip install 'inncli[{name}]'"
        ) from error


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif key != "_partial_":
            yield f"{prefix}{key}", value


def _finite(metrics: dict[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }
