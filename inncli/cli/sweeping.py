"""Sweeps: starting one, taking one up again, the part of each job, and the report at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING

from inncli.cli import output
from inncli.errors import Interrupted, RequestError, RunError, TrainingError

if TYPE_CHECKING:
    from inncli import config
    from inncli.sweep import SweepDir

CHOSEN = {"hydra.sweep.dir": "so that no two sweeps share one; set INN_OUTPUTS to keep them elsewhere",
          "hydra.sweep.subdir": "the number of the job; leave it out"}


def start(words: list[str], jobs: list[config.Job]) -> None:
    """Trains every job of a request with -m in a new sweep directory."""
    from inncli import catalogue
    from inncli.run import outputs_root, reserve
    from inncli.sweep import SweepDir

    for key, why in CHOSEN.items():
        if names(words, key):
            raise RequestError(f"{key} is chosen by inn, {why}")
    # A missing table or a broken simulator file is found once, before anything is written.
    seen = []
    for planned in jobs:
        if planned.config["task"] not in seen:
            seen.append(planned.config["task"])
            catalogue.instantiate(planned.config["task"])()

    from inncli import pipeline

    chosen = jobs[0].config["names"]
    sweep = SweepDir(reserve(outputs_root() / "sweeps", chosen["task"], chosen["model"]))
    with sweep.held():
        sweep.start(words, [{"overrides": own_words(planned.overrides), "config": pipeline.with_absolute_file(planned.config)}
                            for planned in jobs if planned.exact])
        _run(sweep, words, launcher_words(words))


def resume(sweep: SweepDir, words: list[str]) -> None:
    """Runs the jobs of a sweep that are not done, by its own launcher or the one that `words` give."""
    own = launcher_words(words)
    if sweep.is_search:
        own += [word for word in words if _key(word).startswith("hydra.sweeper.")]
    wrong = [word for word in words if word not in own]
    if wrong:
        raise RequestError(f"a sweep is resumed with its own settings; expected words of its launcher, e.g. "
                           f"hydra/launcher=joblib or hydra.launcher.n_jobs=2, got {wrong[0]!r}")
    manifest = sweep.manifest()
    kept = [] if names(words, "hydra/launcher") else launcher_words(manifest["overrides"])
    with sweep.held():
        alive = [job for job in sweep.jobs() if job["status"] == "running"]
        if alive:
            raise RunError(f"{len(alive)} jobs of sweep {sweep.id} are still being trained (the first: job "
                           f"{alive[0]['job']}); wait for them, see `inn runs --sweep {sweep.id} --watch`")
        todo = sweep.restart()
        if sweep.is_search:  # the study knows what is left to do
            before = [word for word in manifest["overrides"] if word not in launcher_words(manifest["overrides"])]
            return _run(sweep, [*before, *kept, *words], [])
        if not todo:
            sweep.finish()
            output.note(f"sweep {sweep.id} is done; nothing is left to run")
        _run(sweep, None, [*kept, *words], todo)


def _run(sweep: SweepDir, words: list[str] | None, launcher: list[str], todo: list[int] | None = None) -> None:
    """Hands the jobs to hydra until each had its turn, then reports.

    Args:
        words: the sweep's own, None to run the jobs `todo` by the manifest.
        launcher: the words that choose and set the launcher.
    """
    try:
        if words is not None:
            broken = _launched(sweep, words)
        else:
            broken = bool(todo) and _launched(sweep, [*launcher, *_again(todo)])
        while broken:
            # A killed worker takes its pool down: the jobs that had no turn yet get a new pool.
            waiting = [job["job"] for job in sweep.jobs() if job["status"] == "waiting"]
            broken = bool(waiting) and _launched(sweep, [*launcher, *_again(waiting)])
    except (KeyboardInterrupt, Interrupted):
        report(sweep, sweep.finish(interrupted=True))
        raise
    from inncli.sweep import GOOD

    ended = sweep.finish()
    report(sweep, ended)
    bad = [job for job in ended if job["status"] not in GOOD]
    if bad:
        raise TrainingError(f"{len(bad)} of {len(ended)} jobs are not done; the others are kept under {sweep.path}; "
                            f"`inn resume {sweep.id}` runs what is not done")


def _launched(sweep: SweepDir, words: list[str]) -> bool:
    """Lets hydra run the jobs; whether its workers died under them."""
    from inncli import config
    from inncli.cli.train import job as task

    try:
        config.launch(task, words, directory=sweep.path.absolute(), multirun=True)
    except BrokenExecutor as error:
        output.note(f"a worker was killed ({type(error).__name__}): the jobs that wait go on in a new pool")
        return True
    finally:
        with contextlib.suppress(FileNotFoundError):
            (sweep.path / "multirun.yaml").unlink()  # hydra's own copy; sweep.json and config.yaml say the same
    return False


def _again(numbers: list[int]) -> list[str]:
    from inncli import config

    return config.again(numbers)


# ---- one job -----------------------------------------------------------------------------------------
def job(cfg, place: config.Place) -> float:
    """One job of a sweep, in whatever process its launcher chose: starts it, or continues what is there.

    What it does follows from its directory alone, so that a job may be handed over again at any time: by
    `inn resume`, or by a scheduler that takes it up once more under the same number.
    """
    from inncli import config, requeue
    from inncli.catalogue import one_line
    from inncli.sweep import SweepDir

    sweep = SweepDir(place.path.parent)
    run = sweep.run(place.number)
    entry = sweep.entry(place.number) if place.planned else {"overrides": place.overrides, "config": None}
    with sweep.attempt(place.number, entry["overrides"]) as record:
        if record is None:
            output.note(f"job {place.number} of sweep {sweep.id} is being trained by another process; left to it")
            return float("nan")
        try:
            metrics = _trained(run, lambda: entry["config"] or config.job_config(cfg), entry["overrides"],
                               config.job_pruning(sweep.path))
        except (KeyboardInterrupt, Interrupted) as stop:
            if getattr(stop, "reason", None) == "pruned":
                run.update_info(pruned=True)
                record.end(status="pruned")
                return float("nan")
            record.end(status="interrupted")
            requeue.back_to_queue(run, stop)
            if sweep.runs_here:
                raise config.carry(stop) from None  # Ctrl-C: the whole sweep stops
            return float("nan")
        except Exception as error:  # any failure of one job is a line of the sweep's report
            record.end(status="failed", error=f"{type(error).__name__}: {one_line(error)}")
            with contextlib.suppress(OSError):
                from inncli.cli.train import keep_traceback

                keep_traceback(sweep.log(place.number), error)
            return float("nan")
        record.end(status="done")
    return metrics.get("val_loss", float("nan"))


def _trained(run, new_config: Callable[[], dict], words: list[str], prune: Callable | None) -> dict:
    from inncli import catalogue, pipeline

    if not run.info_file.exists():
        return pipeline.train(catalogue.check(new_config()), run.path, words, prune)
    info = run.info()
    return info["metrics"] if info["status"] == "done" else pipeline.resume(run, prune)


# ---- words -------------------------------------------------------------------------------------------
def names(words: list[str], key: str) -> bool:
    """Whether one of the words sets this key."""
    return any(_key(word) == key for word in words)


def launcher_words(words: list[str]) -> list[str]:
    """Those that choose and set the launcher."""
    return [word for word in words if _key(word) == "hydra/launcher" or _key(word).startswith("hydra.launcher.")]


def own_words(words: list[str]) -> list[str]:
    """Those that say what is trained, and not how hydra runs it."""
    return [word for word in words if not _key(word).startswith(("hydra.", "hydra/"))]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


# ---- report ------------------------------------------------------------------------------------------
def report(sweep: SweepDir, jobs: list[dict]) -> None:
    """Prints the table of a sweep that has ended, and every failure with its first line and its traceback."""
    table(jobs)
    done, pruned = (sum(job["status"] == state for job in jobs) for state in ("done", "pruned"))
    output.line(f"\nsweep {sweep.id}: {done} of {len(jobs)} jobs done" + (f", {pruned} pruned" if pruned else ""))
    if sweep.best_config.is_file():
        output.line(f"best config: {sweep.best_config}; train it with `inn train --config-dir {sweep.path} experiment=best`")
    output.line(f"next: inn compare {sweep.id}" if done + pruned == len(jobs) else f"next: inn resume {sweep.id}")
    for job in jobs:
        if job["status"] in ("failed", "killed"):
            verb = "failed: " if job["status"] == "failed" else "was "
            traced = f" (traceback: {job['traceback']})" if job["traceback"] else ""
            output.note(f"job {job['job']} ({' '.join(job['overrides'])}) {verb}{job['error']}{traced}")


def table(jobs: list[dict]) -> None:
    """Prints one row a job: number, the words in which the jobs differ, state, validation loss, steps, time."""
    output.table(HEADERS, rows(jobs))


HEADERS = ("job", "overrides", "state", "val loss", "steps", "time")


def rows(jobs: list[dict]) -> list[tuple]:
    """The cells of the table."""
    from inncli.cli.runs import duration, steps

    shared = set.intersection(*(set(job["overrides"]) for job in jobs)) if len(jobs) > 1 else set()
    return [(job["job"], " ".join(word for word in job["overrides"] if word not in shared) or None, job["status"],
             job["metrics"].get("val_loss"), steps(job), duration(job["seconds"])) for job in jobs]
