"""Sweeps: starting one, taking one up again, the part of each job, and the report at the end."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from inncli.cli import console, sweep_table
from inncli.errors import Interrupted, RequestError, RunError, TrainingError

if TYPE_CHECKING:
    from inncli import config
    from inncli.runs.sweep_dir import SweepDir

HARMLESS = (
    "n_jobs",
    "n_trials",
    "partition",
    "account",
    "qos",
    "constraint",
    "gpus_per_node",
    "gpus_per_task",
    "mem_gb",
    "mem_per_gpu",
    "cpus_per_task",
    "nodes",
    "tasks_per_node",
    "array_parallelism",
    "timeout_min",
    "signal_delay_s",
    "max_num_timeout",
    "name",
    "num_cpus",
    "num_gpus",
    "address",
    "n_startup_trials",
    "n_warmup_steps",
    "seed",
)
SUBMITIT = "hydra.launcher.submitit_folder"
CHOSEN = {
    "hydra.sweep.dir": "so that no two sweeps share one; set INN_OUTPUTS to keep them elsewhere",
    "hydra.sweep.subdir": "the number of the job; leave it out",
}


def start(words: list[str], jobs: list[config.Job]) -> None:
    """Trains every job of a request with -m in a new sweep directory."""
    from inncli import config
    from inncli.config import registry
    from inncli.runs.registry import outputs_root, reserve
    from inncli.runs.sweep_dir import SweepDir
    from inncli.tasks.base import Task

    for key, why in CHOSEN.items():
        if names(words, key):
            raise RequestError(f"{key} is chosen by inn, {why}")
    # A missing table or a broken simulator file is found once, before anything is written.
    seen = []
    for planned in jobs:
        if planned.config["task"] not in seen:
            seen.append(planned.config["task"])
            registry.make(planned.config["task"], Task)

    from inncli.experiments import train

    chosen = jobs[0].config["names"]
    sweep = SweepDir(reserve(outputs_root() / "sweeps", chosen["task"], chosen["model"]))
    with sweep.held():
        sweep.start(
            words,
            [
                {"overrides": own_words(planned.overrides), "config": train.with_absolute_file(planned.config)}
                for planned in jobs
                if planned.exact
            ],
        )
        exact = [n for n, planned in enumerate(jobs) if planned.exact]
        try:
            # A recipe among the words may choose the launcher, and the launcher's settings may name others.
            launch = [*(word for word in words if _is_of_the_launch(word)), *_shared(sweep.manifest()["jobs"])]
            _run(sweep, [*launch, *config.jobs(exact)] if exact else words)
        except RequestError:  # the launcher would not take it
            if all(job["status"] == "waiting" for job in sweep.jobs()):
                shutil.rmtree(sweep.path)
            raise


def resume(sweep: SweepDir, words: list[str], resimulate: bool = False) -> None:
    """Runs the jobs of a sweep that are not done, by its own launcher or the one that `words` give.

    Raises: RequestError where they run a simulator file and `resimulate` does not allow it.
    """
    from inncli import config
    from inncli.config import registry
    from inncli.runs.sweep_dir import GOOD

    own = launcher_words(words)
    if sweep.is_search:
        own += [word for word in words if _key(word).startswith("hydra.sweeper.")]
    wrong = [word for word in words if word not in own]
    if wrong:
        raise RequestError(
            f"a sweep is resumed with its own settings; expected words of its launcher, e.g. "
            f"hydra/launcher=joblib or hydra.launcher.n_jobs=2, got {wrong[0]!r}"
        )
    manifest = sweep.check_own().manifest()
    kept = _kept(sweep, manifest, words)
    if not resimulate:
        planned = [config.plan([*kept, *words], multirun=True)[0].config] if sweep.is_search else []
        for entry in [*planned, *sweep.configs()]:
            if registry.runs_a_file(entry):
                raise RequestError(
                    f"the jobs of sweep {sweep.id} run a simulator file, {entry['task'].get('file')}; "
                    "look at it, and add --resimulate to run it"
                )
    with sweep.held():
        alive = [job for job in sweep.jobs() if job["status"] == "running"]
        if alive:
            raise RunError(
                f"{len(alive)} jobs of sweep {sweep.id} are still being trained (the first: job "
                f"{alive[0]['job']}); wait for them, see `inn runs --sweep {sweep.id} --watch`"
            )
        todo = [job["job"] for job in sweep.jobs() if job["status"] not in GOOD]
        if not todo and not sweep.is_search:  # a study knows itself what is left to do
            console.line(f"sweep {sweep.id} is done; nothing is left to run")
            return
        words = [*kept, *words]
        config.plan(words, multirun=True)  # a wrong launcher shows before anything is written
        if any(word.startswith("hydra/launcher=slurm") for word in words) and not names(words, SUBMITIT):
            # submitit unpickles what lies in its folder: never one that was there before, with a name to be guessed.
            words.append(f"{SUBMITIT}='${{hydra.sweep.dir}}/.submitit/{secrets.token_hex(4)}-%j'")
        sweep.restart(todo)
        _run(sweep, words if sweep.is_search else [*words, *config.jobs(todo)])


def _kept(sweep: SweepDir, manifest: dict, words: list[str]) -> list[str]:
    """What a sweep is resumed with of its own words: its launcher's, and all but hydra's where a study goes on.

    Of the others only a recipe, which may have chosen the launcher: they need not mean today what they meant then.

    Raises: RequestError for a word that could run a command: the manifest may be a stranger's.
    """
    own = manifest["overrides"]
    recipe = [word for word in _shared(manifest["jobs"]) if _key(word) == "experiment"]
    kept = [] if names(words, "hydra/launcher") else [*launcher_words(own), *recipe]
    if sweep.is_search:
        kept += [
            word
            for word in own
            if not _is_of_the_launch(word) or _key(word).startswith(("hydra/sweeper", "hydra.sweeper."))
        ]
    kept = [word for word in kept if not names(words, _key(word))]
    for word in kept:
        if _is_of_the_launch(word) and not harmless(word):
            raise RequestError(
                f"sweep {sweep.id} sets {word!r}, which is not taken from a file, since it could run a "
                f"command; give it again, or another launcher: inn resume {sweep.id} hydra/launcher=NAME"
            )
    return kept


def _run(sweep: SweepDir, words: list[str]) -> None:
    """Lets hydra run the jobs of these words, then reports."""
    from inncli import config
    from inncli.cli.train import job as task
    from inncli.runs.sweep_dir import GOOD

    try:
        config.launch(task, words, directory=sweep.path.absolute())
    except (KeyboardInterrupt, Interrupted):
        sweep_table.report(sweep, sweep.finish(interrupted=True))
        raise
    except BaseException:  # the launcher broke down
        jobs = sweep.finish()
        if any(job["status"] != "waiting" for job in jobs):
            sweep_table.report(sweep, jobs)
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            (sweep.path / "multirun.yaml").unlink()  # hydra's own copy; sweep.json and config.yaml say the same
    ended = sweep.finish()
    sweep_table.report(sweep, ended)
    bad = [job for job in ended if job["status"] not in GOOD]
    if bad:
        raise TrainingError(
            f"expected {len(ended)} jobs done, got {len(ended) - len(bad)}, kept under {sweep.path}; "
            f"`inn resume {sweep.id}` runs the others"
        )


# ---- one job -----------------------------------------------------------------------------------------
def job(cfg, place: config.Place) -> float:
    """One job of a sweep, in whatever process its launcher chose: starts it, or continues what is there.

    What it does follows from its directory alone, so that a job may be handed over again at any time: by
    `inn resume`, or by a scheduler that takes it up once more under the same number.
    """
    from inncli import config
    from inncli.config.registry import one_line
    from inncli.launchers import pruning, requeue
    from inncli.runs.sweep_dir import SweepDir

    _end_as_ctrl_c_does(signal.SIGTERM)
    sweep = SweepDir(place.path.parent)
    run = sweep.run(place.number)
    entry = sweep.entry(place.number) if place.planned else {"overrides": place.overrides, "config": None}
    with sweep.attempt(place.number, entry["overrides"]) as record:
        if record is None:
            console.note(f"job {place.number} of sweep {sweep.id} is being trained by another process; left to it")
            return float("nan")
        console.note(f"job {place.number}: {' '.join(entry['overrides'])}")
        try:
            metrics = _trained(
                run,
                lambda: entry["config"] or config.job_config(cfg),
                entry["overrides"],
                pruning.job_pruning(sweep.path),
            )
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


def _end_as_ctrl_c_does(number: signal.Signals) -> None:
    """In a worker process, which has not come through `inncli.cli.app.main`."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(number) == signal.SIG_DFL:
        signal.signal(number, signal.default_int_handler)


def _trained(run, new_config: Callable[[], dict], words: list[str], prune: Callable | None) -> dict:
    from inncli.config import registry
    from inncli.experiments import train
    from inncli.inference.run_task import WENT_ON, changed_simulator

    if not run.info_file.exists():
        return train.train(registry.check(new_config()), run.path, words, prune)
    info = run.info()
    if info["status"] == "done":
        return info["metrics"]
    # Its user started this sweep, so that its simulator file may run.
    metrics = train.resume(run, resimulate=True, prune=prune)
    for warning in changed_simulator(run, True, WENT_ON):
        console.note(f"warning: {warning}")
    return metrics


# ---- words -------------------------------------------------------------------------------------------
def names(words: list[str], key: str) -> bool:
    """Whether one of the words sets this key."""
    return any(_key(word) == key for word in words)


def launcher_words(words: list[str]) -> list[str]:
    """Those that choose and set the launcher."""
    return [word for word in words if _key(word) == "hydra/launcher" or _key(word).startswith("hydra.launcher.")]


def sweep_words(words: list[str]) -> list[str]:
    """Those that choose and set what a sweep alone has: a launcher, a sweeper, where its jobs go."""
    return [
        word
        for word in words
        if re.match(r"hydra/(launcher|sweeper)$|hydra\.(launcher|sweeper|sweep)(\.|$)", _key(word))
    ]


def harmless(word: str) -> bool:
    """Whether a word of hydra's may be taken from a manifest, which may be a stranger's: plain values of plain keys."""
    key, _, value = word.partition("=")
    plain = re.fullmatch(r"[\w.:+-]*", value) is not None
    if _key(word) in ("hydra/launcher", "hydra/sweeper") or value == "null":
        return plain
    return plain and not key.startswith("~") and _key(word).rpartition(".")[2] in HARMLESS


def own_words(words: list[str]) -> list[str]:
    """Those that say what is trained, and not how hydra runs it."""
    return [word for word in words if not _key(word).startswith(("hydra.", "hydra/"))]


def _shared(jobs: list[dict]) -> list[str]:
    """The words of what is trained that every job has."""
    return (
        [word for word in own_words(jobs[0]["overrides"]) if all(word in job["overrides"] for job in jobs)]
        if jobs
        else []
    )


def _is_of_the_launch(word: str) -> bool:
    """Whether it is hydra's own and not a part of what is trained: the space of a sweep may stand in its sweeper."""
    return _key(word).startswith(("hydra.", "hydra/")) and not _key(word).startswith("hydra.sweeper.params")


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")
