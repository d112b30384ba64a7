"""The contents page of the product: train, resume, open a run, invert, sample.

    config --task--> pairs --model.initialise--> Trainer.fit --> run directory
    run directory --open_run--> Inverter --> posterior set, draws, densities
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from inncli import catalogue, opening, runtime
from inncli import refine as refinement
from inncli.errors import CheckpointError, InnError, Interrupted, LostProcessError, RequestError, RunError, TrainingError
from inncli.inverter import Inverter
from inncli.models.base import Model
from inncli.outputs import name_of
from inncli.parts import Parts, build_model, keep_pairs, kept_pairs, same_table
from inncli.posterior import PosteriorSet
from inncli.run import RunDir
from inncli.tasks.base import SPLIT, Task
from inncli.tasks.data import Pairs, split
from inncli.tasks.stream import StreamedPairs
from inncli.tracking.base import Tracker, tracked
from inncli.training import parallel
from inncli.training.bounds import no_larger_than
from inncli.training.checkpoint import check_fit, check_values, load_checkpoint, shapes_of, under
from inncli.training.parallel import Group
from inncli.training.progress import show_progress
from inncli.training.state import Progress

Prune = Callable[[RunDir], "str | None"]  # a reason to stop the run here, or None


# ---- training --------------------------------------------------------------------------------------
def train(config: dict, path: Path, overrides: list[str], prune: Prune | None = None) -> dict:
    """Trains what `config` says into the new run directory `path`; returns the final metrics.

    Args:
        prune: asked after each epoch; a reason ends the training as a signal does, with a checkpoint.

    Whatever can be wrong with the request is found before the directory is claimed: the task is
    built, its pairs are drawn or read and the model is built first.

    With several devices this is done by a process each, of which the first one has the directory.
    """
    # Looked at before pairs are drawn, which may take hours, and again when it is claimed.
    with _cause_kept(RunDir(path).check_new()) if path else contextlib.nullcontext():
        return parallel.run(config["device"], _train, config, path, overrides, prune)


def _train(group: Group, config: dict, path: Path | None, overrides: list[str],
           prune: Prune | None = None) -> dict | None:
    parts = Parts(config, group)
    pairs = parts.task.training_pairs(config["seed"])
    parts.prepare(pairs)
    model = parts.new_model()
    if not group.first:
        return _follow(RunDir(group.same(None)), parts, model, resume=False)
    run = RunDir.create(
        path, with_absolute_file(config), overrides,
        task=config["names"]["task"], model=config["names"]["model"], seed=config["seed"],
        device=",".join(group.names), dtype=config["dtype"], threads=parts.threads)
    with tracked(parts.logger, run) as tracker:
        try:
            group.same(run.path)
            keep_pairs(run, parts.task, pairs)
            return _fit(run, parts, model, tracker, resume=False, prune=prune)
        except BaseException as error:
            _mark_end(run, error)
            raise


def resume(run: RunDir, resimulate: bool = False, prune: Prune | None = None) -> dict:
    """Continues a stopped run to the weights that it would have had, bit for bit.

    On the devices it had; where this machine lacks one, on what `device=auto` would take, and then not bit for bit.

    Args:
        resimulate: may run the simulator file that the run's config names: a run directory may be a stranger's.

    Raises: RunError if the run is finished, its pairs or table are no longer the same, or it needs `resimulate`;
        CheckpointError if a file is damaged or foreign.
    """
    names = (run.check_own().refuse_done().get("device") or "auto").split(",")
    with _cause_kept(run):
        return parallel.run(names if runtime.is_here(names) else "auto", _resume, run, resimulate, prune)


def _resume(group: Group, run: RunDir, resimulate: bool = False, prune: Prune | None = None) -> dict | None:
    info = run.refuse_done()
    config = run.config()
    config = catalogue.check(config if info.get("threads") is None else {**config, "threads": info["threads"]})
    _ask_to_run(run, config, resimulate)
    shapes = opening.declared(run, run.last, needed=False)  # what is wrong shows before anything is written
    parts = Parts(config, group)
    pairs = parts.saved_pairs(run, info)
    parts.prepare(pairs)
    model = parts.new_model(no_larger_than(None if shapes is None else under("model", shapes)))
    if shapes is not None:
        opening.check_resumable(run, model, parts.objective)
    group.each(None)  # in every process
    if not group.first:
        return _follow(run, parts, model, resume=group.same(None))
    run.reopen(device=",".join(group.names))
    with tracked(parts.logger, run) as tracker:
        try:
            # Again, now that no other process trains here: one may have gone on for a while since.
            meta = None
            if run.last.is_file():
                opening.declared(run, run.last)
                meta = opening.check_resumable(run, model, parts.objective)
            if not group.same(meta is not None):
                keep_pairs(run, parts.task, pairs)
            run.cut_metrics(meta["training"]["epoch"] if meta else 0)
            return _fit(run, parts, model, tracker, resume=meta is not None, seconds_before=info.get("seconds") or 0.0,
                        prune=prune)
        except BaseException as error:
            _mark_end(run, error)
            raise


def with_absolute_file(config: dict) -> dict:
    """The config with the task's file as an absolute path, so that the run can be resumed from anywhere."""
    task = config["task"]
    return {**config, "task": {**task, "file": str(Path(task["file"]).absolute())}} if "file" in task else config


def _follow(run: RunDir, parts: Parts, model: Model, resume: bool) -> None:
    """The part in `_fit` of every process but the first: it takes the same steps, and writes nothing."""
    parts.trainer.fit(model, parts.objective, parts.data(model), seed=parts.seed, last=run.last, best=run.best, meta={},
                      resume=resume, group=parts.group)


def _fit(run: RunDir, parts: Parts, model: Model, tracker: Tracker, resume: bool, seconds_before: float = 0.0,
         prune: Prune | None = None) -> dict:
    tracker.start(run, resume)
    meta = {
        "run": run.id, "config": run.config(), "config_hash": run.config_hash(), "versions": runtime.versions(),
        "x": model.x.to_dict(), "y": model.y.to_dict() if model.y else None,
        "seen": parts.seen(model.y),
    }
    begun = time.monotonic()

    def keep(progress: Progress) -> None:
        run.update_info(steps=progress.step, seconds=seconds_before + time.monotonic() - begun)

    with show_progress(run.id) as shown:
        def on_epoch(line: dict) -> str | None:
            run.append_metrics({**line, "seconds": round(seconds_before + time.monotonic() - begun, 3)})
            tracker.epoch(line)
            shown.epoch(line)
            return prune(run) if prune else None

        def on_plan(progress: Progress, steps_per_epoch: int) -> None:
            run.update_info(planned_steps=progress.planned_steps, steps_per_epoch=steps_per_epoch,
                            parameters=sum(p.numel() for p in model.parameters() if p.requires_grad))
            shown.plan(progress.step, progress.planned_steps, steps_per_epoch)

        try:
            progress = parts.trainer.fit(
                model, parts.objective, parts.data(model), seed=parts.seed, last=run.last, best=run.best, meta=meta,
                resume=resume, group=parts.group, on_plan=on_plan, on_step=shown.step, on_epoch=on_epoch, on_checkpoint=keep)
        except InnError as error:
            run.update_info(seconds=seconds_before + time.monotonic() - begun)
            if isinstance(error, Interrupted):
                raise Interrupted(f"{error}; continue with `inn train --resume {name_of(run)}`", error.reason) from None
            raise
    seconds = seconds_before + time.monotonic() - begun
    with torch.no_grad():
        report = parts.objective.report(model.eval(), runtime.generator(parts.device, parts.seed, "report"))
    metrics = {**_final_metrics(run, progress), **report}
    run.update_info(status="done", steps=progress.step, seconds=seconds, metrics=metrics,
                    epochs=len(run.metrics()))
    return {**metrics, "steps": progress.step, "seconds": round(seconds, 1)}


def _final_metrics(run: RunDir, progress: Progress) -> dict:
    lines = run.metrics()
    metrics = {"best_epoch": progress.best_epoch, "loss": lines[-1]["loss"] if lines else None}
    if progress.start_loss is not None:
        metrics |= {"val_loss": progress.best_loss, "val_loss_untrained": progress.start_loss}
    return metrics


def _mark_end(run: RunDir, error: BaseException) -> None:
    stopped = isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit))
    try:
        run.update_info(status="interrupted" if stopped else "failed",
                        error=None if stopped else f"{type(error).__name__}: {error}".splitlines()[0])
    except (OSError, CheckpointError):
        run.release()  # the disk is full or the directory gone: the first error is the one to tell


@contextlib.contextmanager
def _cause_kept(run: RunDir) -> Iterator[None]:
    """What ended several processes stands in run.json, also where the first of them only saw that another was gone."""
    try:
        yield
    except TrainingError as error:
        with contextlib.suppress(OSError, CheckpointError):
            if str(run.info().get("error")).startswith(LostProcessError.__name__):
                run.update_info(error=f"{type(error).__name__}: {error}")
        raise


# ---- finished runs ---------------------------------------------------------------------------------
def open_run(run: RunDir, device: str | None = None, config_dir: str | Path | None = None) -> Inverter:
    """Opens a trained run from its own saved config and best checkpoint.

    Torch is set to the run's own number of CPU threads: a sum split over more rounds differently, and small
    nets are slower on more.

    Args:
        device: where to compute; None takes what `device=auto` would.
        config_dir: the user's config folder, where the run was trained with one.

    Raises: RunError if nothing was trained yet; CheckpointError if a file is damaged or foreign.
    """
    catalogue.trust(config_dir)
    if not run.check_own().best.is_file():
        raise RunError(f"run {run.id} has no checkpoint (status {run.state()}); "
                       f"finish it with `inn train --resume {name_of(run)}`")
    shapes = under("model", opening.declared(run, run.best))
    tensors, meta = load_checkpoint(run.best)
    where = runtime.resolve_device(device or "auto")
    x, y = opening.variables(run.best, meta)
    opening.check_seen(run.best, meta.get("seen"), y)
    config = catalogue.check(meta["config"])
    runtime.set_threads(config["threads"])
    model = build_model(config, x, y, where, no_larger_than(shapes))
    check_fit(run.best, shapes, shapes_of(model.state_dict()))
    weights = under("model", tensors)
    check_values(run.best, weights, model.state_dict(), [name for name, p in model.named_parameters() if p.requires_grad])
    model.load_state_dict(weights)
    return Inverter(model.eval(), meta, run.id, where)


def task_of(run: RunDir, resimulate: bool = False) -> Task:
    """The run's task, built again from its saved config: reads its table, or runs its simulator file if told to.

    Raises: RequestError if it would run a file without `resimulate`.
    """
    config = catalogue.check(run.config())
    _ask_to_run(run, config, resimulate)
    return catalogue.make(config["task"], Task)


def _ask_to_run(run: RunDir, config: dict, resimulate: bool) -> None:
    """A run directory that came from someone else must not run a file because it names one."""
    if catalogue.runs_a_file(config) and not resimulate:
        raise RequestError(f"the task of run {run.id} is a simulator file, {config['task'].get('file')}; look at it, and "
                           "add --resimulate to run it")


def built_in_task_of(run: RunDir) -> Task | None:
    """The run's task if it needs no file of the user's, else None."""
    return None if "file" in run.config()["task"] else task_of(run)


def training_ys(run: RunDir) -> np.ndarray | None:
    """The ys a run was trained on, (n, Dy), at most 50,000 of a table on disk; None for a density.

    Raises: RunError if they came from a table that is no longer the same.
    """
    if run.pairs.is_file():
        return kept_pairs(run, run.info()).y
    task = task_of(run)
    same_table(run, run.info(), task.fingerprint())
    pairs = task.training_pairs(run.config()["seed"])
    return (pairs.split(0.0)[0] if isinstance(pairs, StreamedPairs) else pairs).y  # of a table on disk some of them


def sample(inverter: Inverter, run: RunDir, n: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """n draws without an observation: x ~ p(x), or y from the training ys and x given each y.

    Shape: x (n, Dx); y (n, Dy) or None.
    """
    if inverter.y is None:
        return inverter.sample(None, n, seed)[0], None
    ys = training_ys(run)
    y = ys[np.random.default_rng(seed).integers(len(ys), size=n)]
    return inverter.sample(y, 1, seed)[:, 0], y


def starts_from(source: Inverter, inverter: Inverter, y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n draws of another run at each row of y, for `inverter` to search from. Shape: (n_obs, n, Dx).

    Raises: RunError if `inverter` is no search, or the runs don't share their columns of x and of y.
    """
    if not inverter.model.takes_starts:
        raise RunError(f"--starts: run {inverter.id} ({type(inverter.model).__name__}) draws from its latent and takes "
                       "no starts; leave it out, or search with a run of model=adjoint")
    for letter in "xy":
        mine, other = inverter.names[letter], source.names[letter]
        if mine != other:
            raise RunError(f"--starts: run {source.id} has {letter} = ({', '.join(other)}), run {inverter.id} has "
                           f"({', '.join(mine)}); take a run of the same task")
    if source.y.labels != inverter.y.labels:
        raise RunError(f"--starts: runs {source.id} and {inverter.id} know different labels of y; take runs of one table")
    return source.sample(y, n, seed)


def task_to_refine(run: RunDir, resimulate: bool, ignore_noise: bool) -> Task:
    """The task whose y = s(x) draws can be moved onto.

    Raises: RequestError, one line, if it can't be called, can't be differentiated, or has noise.
    """
    config = run.config()
    if "file" in config["task"] and config["names"].get("task") != "table" and not resimulate:
        raise RequestError(f"--refine runs the simulator of run {run.id}, which is your own file; add --resimulate to "
                           "say so")
    task = task_of(run, resimulate)
    if not task.can_simulate:
        raise RequestError(f"--refine moves draws onto a simulator's y, and the task of run {run.id} ({task.name}) has "
                           "none; leave it out")
    if not task.differentiable:
        raise RequestError(f"--refine needs a simulator that torch can differentiate, and task {task.name} of run "
                           f"{run.id} does not say that it is one (differentiable = True); leave --refine out")
    if task.noisy and not ignore_noise:
        raise RequestError(f"--refine: y of task {task.name} has noise, so that draws moved onto y = s(x) would be too "
                           "narrow a posterior; leave it out, or add --ignore-noise")
    return task


def refine(run: RunDir, task: Task, posterior: PosteriorSet) -> tuple[PosteriorSet, list[dict]]:
    """The set with each draw moved onto the task's own y = s(x), without densities, and what that did a y.

    Further numbers a draw (`extra`) stay those of the draw before; `moved` and `refined` come on top.
    """
    move = refiner(run, task)
    done = [move(x, y) for x, y in zip(posterior.x, posterior.y)]
    reports = [part.report() for part in done]
    extra = {**posterior.extra, "refined": np.stack([part.converged for part in done]),
             "moved": np.stack([part.moved for part in done])}
    meta = {**posterior.meta, "refined": reports}
    return replace(posterior, x=np.stack([part.x for part in done]), log_prob=None, meta=meta, extra=extra), reports


def refiner(run: RunDir, task: Task) -> Callable[[np.ndarray, np.ndarray], refinement.Refined]:
    """What moves the draws (n, Dx) of one y (Dy,) onto the task's own y = s(x), in the units of the run's pairs."""
    pairs = kept_pairs(run, run.info())
    bounds = np.array([[-np.inf if low is None else low, np.inf if high is None else high]
                       for low, high in task.x.bounds]).T
    fixed = np.array(task.x.steps) > 0
    return lambda x, y: refinement.refine(task.observe, x, y, pairs.x.std(0), pairs.y.std(0), bounds, fixed)


def held_out_pairs(run: RunDir, task: Task | None, seed: int) -> tuple[Pairs, str]:
    """Pairs that the run was not trained on, and in words where they come from.

    New ones of a simulator, by `seed`, so that runs of different seeds are compared on the same pairs; the test
    rows of a table; without a task the run's validation rows, which had no part in training but chose its best epoch.

    Raises: RunError if the table is no longer the same.
    """
    config = run.config()
    if task is None:
        rng = np.random.default_rng([config["seed"], SPLIT])
        return split(kept_pairs(run, run.info()), config["trainer"]["val_fraction"], rng)[1], "validation rows"
    if not task.is_measured:
        return task.test_pairs(seed), "new pairs"
    same_table(run, run.info(), task.fingerprint())
    # By the seed of the split: another would hand out rows that this run was trained on.
    return task.test_pairs(config["seed"]), "test rows of the table"
