"""Opening a trained run: from its own saved config and best checkpoint to a `TrainedModel`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from inncli import runtime
from inncli.config import registry
from inncli.config.trust import NOTHING, Trust
from inncli.errors import RunError
from inncli.inference.trained_model import TrainedModel
from inncli.models.base import Model
from inncli.runs.registry import name_of
from inncli.runs.run_dir import RunDir
from inncli.training import verify
from inncli.training.checkpoint import check_fit, check_values, load_checkpoint, shapes_of, under
from inncli.training.size_guard import no_larger_than
from inncli.variables import Variables


def open_run(run: RunDir, device: str | None = None, config_dir: str | Path | None = None) -> TrainedModel:
    """Opens a trained run from its own saved config and best checkpoint.

    Torch is set to the run's own number of CPU threads: sums over another number of threads round differently, and
    small nets are slower with more.

    Args:
        run: the run directory.
        device: where to compute; None chooses as `device=auto` does.
        config_dir: the user's config folder, where the run was trained with one.

    Raises: RunError if nothing was trained yet; CheckpointError if a file is damaged or not inn's.
    """
    trust = Trust.of(config_dir)
    if not run.check_own().best.is_file():
        raise RunError(
            f"run {run.id} has no checkpoint (status {run.state()}); finish it with `inn resume {name_of(run)}`"
        )
    declared = verify.declared(run, run.best)
    assert declared is not None  # it raises where there is no checkpoint
    shapes = under("model", declared)
    tensors, meta = load_checkpoint(run.best)
    where = runtime.resolve_device(device or "auto")
    x, y = verify.variables(run.best, meta)
    verify.check_training_statistics(run.best, meta.get("seen"), y)
    config = registry.check(meta["config"], trust)
    runtime.set_threads(config["threads"])
    model = build_model(config, x, y, where, no_larger_than(shapes), trust)
    check_fit(run.best, shapes, shapes_of(model.state_dict()), optional=model.came_later)
    weights = under("model", tensors)
    check_values(
        run.best, weights, model.state_dict(), [name for name, p in model.named_parameters() if p.requires_grad]
    )
    model.load_state_dict(weights)
    return TrainedModel(model.eval(), meta, run.id, where, trust, verify.relations(run.best, meta))


def build_model(
    config: dict[str, Any],
    x: Variables,
    y: Variables | None,
    device: torch.device,
    bound: AbstractContextManager[None],
    trust: Trust = NOTHING,
) -> Model:
    """The model of a config with its first weights, which follow from the seed.

    Args:
        config: checked.
        x: the columns of x.
        y: the columns of y; None for a density p(x).
        device: where its weights are put.
        bound: entered while the model is built, see `no_larger_than`.
        trust: what may be imported.
    """
    torch.manual_seed(runtime.stream_seed(config["seed"], "weights"))
    before = torch.get_default_dtype()
    torch.set_default_dtype(runtime.resolve_dtype(config["dtype"]))
    try:
        with bound:
            return registry.make(config["model"], Model, trust, x=x, y=y).to(device)
    finally:
        torch.set_default_dtype(before)
