"""Trains a run, and resumes one.

config --build_setup--> Setup --task--> pairs --new_model--> a model --Trainer.fit--> run directory
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from inncli import runtime
from inncli.config import registry
from inncli.config.trust import NOTHING, Trust
from inncli.errors import (
    InnError,
    Interrupted,
)
from inncli.experiments.endings import cause_kept, mark_end
from inncli.experiments.setup import (
    Setup,
    SplitData,
    build_setup,
    keep_pairs,
    new_model,
    new_pairs,
    saved_pairs,
    split_pairs,
    trainer_data,
)
from inncli.inference.resimulated import resimulated
from inncli.inference.run_task import changed_simulator, make_task
from inncli.io.paths import user_path
from inncli.loggers.base import Tracker, tracked
from inncli.models.base import Model
from inncli.runs import provenance
from inncli.runs.registry import name_of
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending, data_checksum
from inncli.training import distributed, verify
from inncli.training.checkpoint import read_header, under
from inncli.training.few_rows import kept_words
from inncli.training.group import Group
from inncli.training.progress_bar import show_progress
from inncli.training.size_guard import no_larger_than
from inncli.training.state import Progress

Prune = Callable[[RunDir], Ending | None]  # a reason to stop the run here, or None
Note = Callable[[str], None]  # says a line to the user


# ---- training --------------------------------------------------------------------------------------
def train(
    config: dict[str, Any],
    path: Path | None,
    overrides: list[str],
    prune: Prune | None = None,
    trust: Trust = NOTHING,
    note: Note | None = None,
    like: RunDir | None = None,
) -> dict[str, Any]:
    """Trains what `config` says into the new run directory `path`; returns the final metrics.

    What can be wrong with the request is found before the directory is claimed: the task is built, its pairs are drawn
    or read, and the model is built first. With several devices each has a process of its own; the first process writes
    the directory.

    Args:
        config: checked.
        path: the new run directory; None in a process of torchrun's that is not the first.
        overrides: what made the config.
        prune: called after each epoch; a reason ends the training as a signal does, with a checkpoint.
        trust: config folders, and the user's file that may be run.
        note: called with each line that the task has for the user; a module-level function.
        like: a run of the same task, from whose copy of a table the rows are taken; None reads the table itself.

    Raises: RunError if the directory is taken; ConfigError or TrainingError for what fails.
    """
    # Checked before the pairs are drawn, which may take hours, and again when it is claimed.
    with cause_kept(RunDir(path).check_new()) if path else contextlib.nullcontext():
        metrics = distributed.run(config["device"], _train, config, path, overrides, prune, trust, note, like)
    return metrics or {}  # a process that follows has none


def _train(
    group: Group,
    config: dict[str, Any],
    path: Path | None,
    overrides: list[str],
    prune: Prune | None = None,
    trust: Trust = NOTHING,
    note: Note | None = None,
    like: RunDir | None = None,
) -> dict[str, Any] | None:
    setup = build_setup(config, group, trust, None if like is None else lambda: make_task(like, config, trust))
    pairs = new_pairs(setup)
    data = split_pairs(setup, pairs)
    model = new_model(setup, data)
    if not group.first:
        _follow(RunDir(group.same(None)), setup, data, model, resume=False)
        return None
    assert path is not None  # only a process that follows is given none
    if note is not None:
        for line in [*setup.task.notes, *model.remarks()]:
            note(line)
    run = RunDir.create(
        path,
        with_absolute_file(config),
        overrides,
        task=config["names"]["task"],
        model=config["names"]["model"],
        seed=config["seed"],
        device=",".join(group.names),
        dtype=config["dtype"],
        threads=setup.threads,
        # At once: a run that names a table without its checksum could have any table of the user's opened.
        **({"data": facts} if (facts := setup.task.fingerprint()) is not None else {}),
    )
    with tracked(setup.logger, run) as tracker:
        try:
            group.same(run.path)
            keep_pairs(run, setup.task, pairs)
            return _fit(run, setup, data, model, tracker, resume=False, prune=prune)
        except BaseException as error:
            mark_end(run, error)
            raise


def resume(run: RunDir, trust: Trust = NOTHING, prune: Prune | None = None) -> dict[str, Any]:
    """Continues a stopped run to the weights that it would have had, bit for bit.

    It trains on the devices that it had. If this machine lacks one, it trains on what `device=auto` chooses, and then
    not bit for bit.

    Args:
        run: the run.
        trust: config folders, and the simulator file that may be run: a run directory is untrusted.
        prune: as in `train`.

    Returns: the final metrics.
    Raises: RunError if the run is finished, or its pairs or table have changed; UserFileRefused if it runs a file that
        `trust` does not hold; CheckpointError if a file is damaged or not inn's.
    """
    names = (run.check_own().refuse_done().get("device") or "auto").split(",")
    with cause_kept(run):
        devices = names if runtime.is_here(names) else "auto"
        metrics = distributed.run(devices, _resume, run, trust, prune)
    return metrics or {}


def _resume(group: Group, run: RunDir, trust: Trust = NOTHING, prune: Prune | None = None) -> dict[str, Any] | None:
    info = run.refuse_done()
    config = run.config()
    config = registry.check(config if info.get("threads") is None else {**config, "threads": info["threads"]}, trust)
    setup = build_setup(config, group, trust, lambda: make_task(run, config, trust))
    shapes = verify.declared(run, run.last, needed=False)  # finds what is wrong before anything is written
    if shapes is not None:  # a run goes on with the columns that it began with
        setup = replace(setup, relations=verify.relations(run.last, read_header(run.last)[1]))
    pairs = saved_pairs(setup, run, info)
    data = split_pairs(setup, pairs)
    declared = partial(no_larger_than, None if shapes is None else under("model", shapes))
    columns = None if shapes is None else verify.variables(run.last, read_header(run.last)[1])
    model = new_model(setup, data, declared, columns)
    if shapes is not None:
        verify.check_resumable(run, model, setup.objective)
    group.each(None)  # in every process
    if not group.first:
        _follow(run, setup, data, model, resume=group.same(None))
        return None
    run.reopen(device=",".join(group.names))
    with tracked(setup.logger, run) as tracker:
        try:
            # Read again, now that no other process trains here: one may have trained since.
            meta = None
            if run.last.is_file():
                verify.declared(run, run.last)
                meta = verify.check_resumable(run, model, setup.objective)
            if not group.same(meta is not None):
                keep_pairs(run, setup.task, pairs)
            run.cut_metrics(meta["training"]["epoch"] if meta else 0)
            return _fit(
                run,
                setup,
                data,
                model,
                tracker,
                resume=meta is not None,
                seconds_before=info.get("seconds") or 0.0,
                prune=prune,
            )
        except BaseException as error:
            mark_end(run, error)
            raise


def with_absolute_file(config: dict[str, Any]) -> dict[str, Any]:
    """The config with the task's file as an absolute path, so that the run can be resumed from anywhere."""
    task = config["task"]
    return {**config, "task": {**task, "file": str(user_path(task["file"]).absolute())}} if "file" in task else config


def _follow(run: RunDir, setup: Setup, data: SplitData, model: Model, resume: bool) -> None:
    """What every process but the first does of `_fit`: it takes the same steps, and writes nothing."""
    setup.trainer.fit(
        model,
        setup.objective,
        trainer_data(setup, data, model),
        seed=setup.seed,
        last=run.last,
        best=run.best,
        meta={},
        resume=resume,
        group=setup.group,
    )


def _fit(
    run: RunDir,
    setup: Setup,
    data: SplitData,
    model: Model,
    tracker: Tracker,
    resume: bool,
    seconds_before: float = 0.0,
    prune: Prune | None = None,
) -> dict[str, Any]:
    tracker.start(run, resume)
    meta = {
        "run": run.id,
        "config": run.config(),
        "config_hash": run.config_hash(),
        "versions": provenance.versions(),
        "x": model.x.to_dict(),
        "y": model.y.to_dict() if model.y else None,
        "seen": data.y_statistics(model.y),
        "data": data_checksum(run.info()),
    }
    if setup.relations is not None:
        meta["relations"] = setup.relations.to_dict()
    begun = time.monotonic()

    def keep(progress: Progress) -> None:
        run.update_info(steps=progress.step, seconds=seconds_before + time.monotonic() - begun)

    with show_progress(run.id) as shown:

        def on_epoch(line: dict[str, Any]) -> Ending | None:
            run.append_metrics({**line, "seconds": round(seconds_before + time.monotonic() - begun, 3)})
            tracker.epoch(line)
            shown.epoch(line)
            return prune(run) if prune else None

        def on_plan(progress: Progress, steps_per_epoch: int) -> None:
            run.update_info(
                planned_steps=progress.planned_steps,
                steps_per_epoch=steps_per_epoch,
                parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
            )
            shown.plan(progress.step, progress.planned_steps, steps_per_epoch)

        try:
            progress = setup.trainer.fit(
                model,
                setup.objective,
                trainer_data(setup, data, model),
                seed=setup.seed,
                last=run.last,
                best=run.best,
                meta=meta,
                resume=resume,
                group=setup.group,
                on_plan=on_plan,
                on_step=shown.step,
                on_epoch=on_epoch,
                on_checkpoint=keep,
            )
        except InnError as error:
            run.update_info(seconds=seconds_before + time.monotonic() - begun)
            if isinstance(error, Interrupted):
                raise Interrupted(f"{error}; continue with `inn resume {name_of(run)}`", error.reason) from None
            raise
    seconds = seconds_before + time.monotonic() - begun
    with torch.no_grad():
        report = setup.objective.report(model.eval(), runtime.generator(setup.device, setup.seed, "report"))
    metrics = {**_final_metrics(run, progress), **report}
    lines = run.metrics()
    # An infinite loss is a null in that file.
    losses = [math.inf if line["val_loss"] is None else line["val_loss"] for line in lines if "val_loss" in line]
    changed = changed_simulator(run, resimulate=True)
    run.end(
        Ending.FINISHED,
        steps=progress.step,
        seconds=seconds,
        metrics=metrics,
        epochs=len(lines),
        kept=kept_words(model, progress.best_epoch, losses, progress.start_loss),
        resimulation=None
        if changed
        else resimulated(setup.task, model, *data.validation, len(data.pairs) + len(data.validation[0]), setup.seed),
    )
    return {**metrics, "steps": progress.step, "seconds": round(seconds, 1)}


def _final_metrics(run: RunDir, progress: Progress) -> dict[str, Any]:
    lines = run.metrics()
    metrics = {"best_epoch": progress.best_epoch, "loss": lines[-1]["loss"] if lines else None}
    if lines and "val_loss" in lines[-1]:
        metrics["val_loss_last"] = lines[-1]["val_loss"]
    if progress.start_loss is not None:
        metrics |= {"val_loss": progress.best_loss, "val_loss_untrained": progress.start_loss}
    return metrics
