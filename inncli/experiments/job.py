"""One training as hydra calls it, in whatever process its launcher chose."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inncli import config
from inncli.config import registry
from inncli.config.trust import Trust
from inncli.errors import Interrupted, RequestError, RunError, TrainingError
from inncli.experiments import train
from inncli.inference.run_table import at_tables
from inncli.inference.run_task import WENT_ON, changed_simulator
from inncli.io import standard_streams
from inncli.io.permissions import is_readable
from inncli.launchers import requeue
from inncli.launchers.pruning import job_pruning
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending
from inncli.runs.sweep_dir import SweepDir
from inncli.training.stop_signals import end_as_ctrl_c_does

NAN = float("nan")  # what a job without a result returns to the sweeper; its run.json says why


@dataclass(frozen=True)
class TrainingJob:
    """What a launcher calls for each job. It is sent to other processes, together with the trust of the command.

    Args:
        trust: the config folders and the user's files that the command of this sweep or run names.
        note: called with a line about the job for the user; a module-level function.
        done: called with the directory of a single run that has ended; a module-level function.
        tables: where the tables of a sweep's jobs lie now, as far as the command says so.
    """

    trust: Trust
    note: Callable[[str], None]
    done: Callable[[Path], None]
    tables: tuple[str, ...] = ()

    def __call__(self, cfg: Any) -> float | None:
        """Trains what `cfg`, hydra's config, says; returns the validation loss.

        A job of a sweep writes its error into its record and raises none, so that the other jobs go on. A single run
        raises its error.
        """
        standard_streams.secure()  # this may be a process that a launcher started
        place = config.job_place(cfg)
        return self._single(cfg, place) if place.number is None else self._of_sweep(cfg, place, place.number)

    def _single(self, cfg: Any, place: config.Place) -> float | None:
        try:
            metrics = train.train(
                config.job_config(cfg, self.trust), place.path, place.overrides, trust=self.trust, note=self.note
            )
            self.done(place.path)
        except Interrupted:
            raise
        except Exception as error:  # any failure leaves its traceback in the run's log
            if isinstance(error, RequestError):
                with contextlib.suppress(OSError):
                    place.path.rmdir()  # only if empty: hydra.run.dir may name a folder of the user's
            elif place.path.is_dir() and not isinstance(error, TrainingError):
                keep_traceback(place.path / "train.log", error)
            raise
        return metrics.get("val_loss")

    def _of_sweep(self, cfg: Any, place: config.Place, number: int) -> float:
        """Starts a job of a sweep, or continues what is there.

        What it does depends on its directory alone, so that a job may be run again at any time: by `inn resume`, or by
        a scheduler under the same number. What it may run depends on this object's trust alone.
        """
        end_as_ctrl_c_does()  # in a worker process, where `inncli.cli.app.main` has not done so
        sweep = SweepDir(place.path.parent)
        run = sweep.run(number)
        entry: dict[str, Any] = {"overrides": place.overrides, "config": None}
        if place.planned:
            entry = sweep.entry(number)
        with sweep.attempt(number, entry["overrides"]) as record:
            if record is None:
                self.note(f"job {number} of sweep {sweep.id} is being trained by another process; left to it")
                return NAN
            self.note(f"job {number}: {' '.join(entry['overrides'])}")
            try:
                metrics = self._trained(
                    run,
                    lambda: entry["config"] or config.job_config(cfg, self.trust),
                    entry["overrides"],
                    job_pruning(sweep.path),
                )
            except (KeyboardInterrupt, Interrupted) as stop:
                if getattr(stop, "reason", None) is Ending.PRUNED:
                    record.end(status="pruned")
                    return NAN
                record.end(status="interrupted")
                requeue.back_to_queue(run, stop)
                if sweep.runs_here:
                    raise config.carry(stop) from None  # Ctrl-C: the whole sweep stops
                return NAN
            except Exception as error:  # any failure of one job is a line of the sweep's report
                record.end(status="failed", error=f"{type(error).__name__}: {registry.one_line(error)}")
                keep_traceback(sweep.log(number), error)
                return NAN
            record.end(status="done")
        value: float = metrics.get("val_loss", NAN)
        return value

    def _trained(
        self, run: RunDir, new_config: Callable[[], dict[str, Any]], overrides: list[str], prune: train.Prune | None
    ) -> dict[str, Any]:
        if not run.info_file.exists():
            config = registry.check(new_config(), self.trust)
            like = self._begun_on(run.path.parent, config)
            return train.train(config, run.path, overrides, prune, self.trust, self.note, like)
        info = run.info()
        if info["status"] == "done":
            metrics: dict[str, Any] = info["metrics"]
            return metrics
        metrics = train.resume(self._at_table(run), self.trust, prune)
        for warning in changed_simulator(run, bool(self.trust.files), WENT_ON):
            self.note(f"warning: {warning}")
        return metrics

    def _at_table(self, run: RunDir) -> RunDir:
        """The run, told which of the tables is its own."""
        for table in self.tables:
            with contextlib.suppress(RunError):  # it belongs to another job
                at_tables([run], [table])
        return run

    def _begun_on(self, sweep: Path, config: dict[str, Any]) -> RunDir | None:
        """A job of the sweep that has begun on the same task, if the table of this one has been moved since."""
        file = config["task"].get("file")
        if not isinstance(file, str) or is_readable(file):
            return None
        begun = (RunDir(path) for path in sorted(sweep.iterdir()) if path.name.isdigit())
        found = (
            run
            for run in begun
            if run.info_file.exists() and registry.check(run.config(), self.trust)["task"] == config["task"]
        )
        return next(map(self._at_table, found), None)


def keep_traceback(log: Path, error: Exception) -> None:
    """Adds the traceback of an error to a run's log; on a full disk it is lost."""
    with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
