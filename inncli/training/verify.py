"""What the files of a run must be before they are believed: its checkpoints belong to its config and fit its model.

A checksum says that a file is as it was written; it does not say who wrote it. So a run is opened from small to
large: first the headers, then a model no larger than they declare, then the tensors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from inncli.data.relations import Relations
from inncli.errors import CheckpointError
from inncli.models.base import Model
from inncli.nn.features import FEATURES
from inncli.objectives.base import Objective
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import data_checksum
from inncli.training.checkpoint import (
    Meta,
    Shapes,
    check_fit,
    check_values,
    load_checkpoint,
    prefixed,
    read_header,
    shapes_of,
    under,
)
from inncli.transforms.column_maps import MAPS
from inncli.variables import Variables


def declared(run: RunDir, path: Path, needed: bool = True) -> Shapes | None:
    """The shapes of a checkpoint's tensors; None if it is absent and not needed.

    Raises: CheckpointError if its header is damaged, or it was written under another config or on other data.
    """
    if not needed and not path.is_file():
        return None
    shapes, meta = read_header(path)
    if meta.get("config_hash") != run.config_hash():
        raise CheckpointError(
            f"{path} does not belong to {run.config_file}: its config hash differs; restore the pair or train again"
        )
    if _as_json(meta.get("config")) != _as_json(run.config()):
        raise CheckpointError(
            f"{path} and {run.config_file} say different things of the run; restore the pair or train again"
        )
    if meta.get("data") is not None and meta["data"] != data_checksum(run.info()):  # inn 0.4 did not write it
        raise CheckpointError(
            f"{path} was trained on other data than {run.info_file} names: their checksums differ; "
            "restore the pair or train again"
        )
    return shapes


def _as_json(config: object) -> str:
    return json.dumps(config, sort_keys=True, default=str)


def variables(path: Path, meta: Meta) -> tuple[Variables, Variables | None]:
    """What a checkpoint says of the columns of x and y. Raises: CheckpointError if that is not of its type."""
    try:
        x, y = (None if meta[letter] is None else Variables.from_dict(meta[letter]) for letter in "xy")
        for part in filter(None, (x, y)):
            _check_variables(part)
        if x is None or not x.names:
            raise ValueError("no x")
        return x, y
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} does not say what its columns are ({' '.join(str(error).split())[:100]}); "
            "restore it or train again"
        ) from error


def relations(path: Path, meta: Meta) -> Relations | None:
    """What a checkpoint says of the relations between columns of x; None if it says none.

    Raises: CheckpointError if that is not of its type, or does not fit the model's columns.
    """
    if meta.get("relations") is None:
        return None
    try:
        found = Relations.from_dict(meta["relations"])
        _check_variables(found.columns)
        if found.free_columns.names != tuple(meta["x"]["names"]):
            raise ValueError("other columns than the model's")
        return found
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} does not say how its columns are related ({' '.join(str(error).split())[:100]}); "
            "restore it or train again"
        ) from error


SMALLEST, LARGEST = 1e-200, 1e200  # of a step or a period: one in 1 divides by it


def _check_variables(part: Variables) -> None:
    for name, (low, high), step, heaps, labels, period, map_name, features in zip(
        part.names,
        part.bounds,
        part.steps,
        part.heaps,
        part.labels,
        part.periods,
        part.maps,
        part.features,
        strict=True,
    ):
        numbers = [n for n in (low, high, period) if n is not None] + [step, *heaps]
        if not (
            isinstance(name, str)
            and (not map_name or map_name in MAPS)
            and set(features) <= set(FEATURES)
            and (period is None or low is not None)
            and all(type(n) in (int, float) and n == n for n in numbers)
            and all(np.isfinite(float(heap)) for heap in heaps)
            and (step == 0 or SMALLEST < step < LARGEST)
            and (period is None or SMALLEST < period < LARGEST)
            and (labels is None or all(isinstance(label, str) for label in labels))
        ):
            raise ValueError(f"column {name!r}: expected a name, numbers and labels")
        if low is not None and high is not None and low > high:
            raise ValueError(f"column {name!r}: expected low <= high, got {low}, {high}")
    if type(part.components) is not int or part.components < 0 or type(part.sees_all) is not bool:
        raise ValueError("expected a number of components, and whether all features are seen")
    if any(part.maps) and not all(part.maps):
        raise ValueError("expected a map for each column, or for none")
    if len(set(part.names)) != len(part.names):
        raise ValueError("a name stands twice")


def check_training_statistics(path: Path, seen: Any, y: Variables | None) -> None:
    """What a checkpoint says of the training ys fits the columns of y: ranges, kept ys and their distances are numbers.

    Raises: CheckpointError otherwise.
    """
    if seen is None or y is None:
        return
    numeric = [i for i, labels in enumerate(y.labels) if labels is None]
    d = len(numeric)
    shapes: dict[str, list[tuple[int, ...]]] = {
        "low": [(y.dim,)],
        "high": [(y.dim,)],
        "centre": [(d,)],
        "median": [(d,)],
        "axes": [(d,), (d, d)],
    }
    try:
        found = {name: np.array(seen[name], dtype=np.float64) for name in (*shapes, "reference") if name in seen}
        if "calibration" in seen:
            found |= {name: np.array(seen["calibration"][name], dtype=np.float64) for name in ("rank", "distance")}
        fits = [bool(np.isfinite(values).all()) for values in found.values()]
        fits += [found[name].shape in known for name, known in shapes.items() if name in found]
        fits += [seen.get("columns", numeric) == numeric, bool((found["low"] <= found["high"]).all())]
        fits += [
            found["high"][i] < len(labels) and found["low"][i] >= 0
            for i, labels in enumerate(y.labels)
            if labels is not None
        ]
        if "reference" in found:
            fits += [
                "axes" in found and "median" in found,
                found["reference"].ndim == 2,
                found["reference"].shape[1] == y.dim,
                type(seen["calibration"]["n"]) is int,
                0 < seen["calibration"]["n"] < 2**63,
                found["rank"].ndim == 1,
                found["rank"].shape == found["distance"].shape,
                len(found["rank"]) > 0,
            ]
        if not all(fits):
            raise ValueError("its numbers don't fit its columns")
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise CheckpointError(
            f"{path} does not say what its training saw ({' '.join(str(error).split())[:100]}); "
            "restore it or train again"
        ) from error


def check_resumable(run: RunDir, model: Model, objective: Objective) -> Meta:
    """The JSON part of `last`, which holds all that training goes on from, and nothing else.

    Raises: CheckpointError if it is damaged or lacks anything.
    """
    path = run.last
    tensors, meta = load_checkpoint(path)
    state = model.state_dict()
    weights = shapes_of(state)
    trained = {name: tuple(p.shape) for name, p in model.named_parameters() if p.requires_grad}
    found = shapes_of(tensors)
    moments = under("optimizer", found)
    check_fit(
        path,
        {name: shape for name, shape in found.items() if not name.startswith("optimizer.")},
        {
            **prefixed("model", weights),
            **prefixed("averaged", trained),
            **prefixed("best", weights),
            **prefixed("objective", shapes_of(objective.state_dict())),
        },
        optional={f"{prefix}.{name}" for prefix in ("model", "best") for name in model.came_later},
    )
    for name, shape in moments.items():
        parameter, _, key = name.rpartition(".")
        if (
            parameter not in trained
            or shape not in ((), trained[parameter])
            or key not in ("step", "exp_avg", "exp_avg_sq")
        ):
            raise CheckpointError(f"{path} does not fit its model (optimizer.{name} is no part of it); train again")
    for prefix in ("model", "averaged", "best"):
        check_values(path, under(prefix, tensors), state, trained)
    _check_progress(path, meta.get("training"))
    return meta


def _are_numbers(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(v, float) for v in values)


def _check_progress(path: Path, state: object) -> None:
    counts, losses = ("step", "planned_steps", "best_epoch", "epoch"), ("best_loss", "start_loss")
    fits = (
        isinstance(state, dict)
        and all(type(state.get(name)) is int and 0 <= state[name] < 2**63 for name in counts)
        and all(name in state and isinstance(state[name], (float, int, type(None))) for name in losses)
        and isinstance(state.get("sums"), dict)
        and all(isinstance(v, (float, int)) for v in state["sums"].values())
        and state["step"] <= state["planned_steps"]
        and _are_numbers(state.get("start_parts", []))
    )
    if not fits:
        raise CheckpointError(f"{path} does not say where its training stands; restore it or train again")
