"""The runs of a comparison: each with its config flattened, and all that is known of it.

names --find--> runs --read--> an Entry each --add_evaluation--> Entry with metrics and verdicts
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inncli.errors import InnError
from inncli.evaluation.cache import Evaluation
from inncli.runs import sweeps
from inncli.runs.registry import name_of
from inncli.runs.run_dir import RunDir
from inncli.runs.snapshot import RunSnapshot
from inncli.runs.sweep_dir import SweepDir

# Change no result, or are the seed.
NOT_CONFIG = ("seed", "device", "threads", "names", "trainer.checkpoint_seconds", "task.keep_mb")


@dataclass
class Entry:
    """One run: its config flattened, and all that is known of it.

    Attributes:
        run: its directory.
        info: its run.json.
        config: `model` -> the chosen yaml, `model.n_blocks` -> 4, and so on.
        metrics: by name, those of training and, once `add_evaluation` was called, of the evaluation.
        se: their standard errors.
        verdicts: question -> yes or no, None where nobody can tell.
        evaluated: whether `add_evaluation` was called.
        problem: why it can't be compared, one line; None if it can.
    """

    run: RunDir
    info: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    se: dict[str, float] = field(default_factory=dict)
    verdicts: dict[str, bool | None] = field(default_factory=dict)
    evaluated: bool = False
    problem: str | None = None


def find(spec: str, root: Path | None = None) -> tuple[list[RunDir], list[dict[str, Any]]]:
    """The runs that a name means, and the jobs of a sweep that left no run.

    Args:
        spec: of a run or a sweep: a directory, an id, or a prefix that only one has.
        root: the outputs; None is `outputs_root`.

    Raises: RunError if none or several fit.
    """
    found = sweeps.find(spec, root)
    return _jobs(found) if isinstance(found, SweepDir) else ([found], [])


def _jobs(sweep: SweepDir) -> tuple[list[RunDir], list[dict[str, Any]]]:
    jobs = sweep.manifest()["jobs"]
    # The manifest of a search lacks the jobs that still run.
    there = {
        int(path.name): RunDir(path)
        for path in sweep.path.iterdir()
        if path.name.isdigit() and (path / "run.json").is_file()
    }
    lost = [job for job in jobs if job["job"] not in there]
    return [there[number] for number in sorted(there)], lost


def read(run: RunDir) -> Entry:
    """A run with its config and the numbers of its training; if it has none, `problem` says why."""
    run = RunSnapshot.of(run)
    try:
        info, config = run.info(), run.config()
        state = run.state()
        entry = Entry(run, {**info, "status": state}, _flat(config))
    except InnError as error:
        return Entry(run, {"status": "damaged"}, problem=str(error))
    if state != "done":
        entry.problem = info.get("error") or f"status {state}; continue it with `inn resume {name_of(run)}`"
    numbers = {**(info.get("metrics") or {}), "seconds": info.get("seconds"), "parameters": info.get("parameters")}
    for name, value in numbers.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "best_epoch":
            (entry.se if name.endswith("_se") else entry.metrics)[name.removesuffix("_se")] = float(value)
    return entry


def add_evaluation(entry: Entry, found: Evaluation) -> None:
    """Adds the metrics, standard errors and verdicts of an evaluation."""
    for mine, theirs in ((entry.metrics, found.metrics), (entry.se, found.se)):
        mine |= {name: value for name, value in theirs.items() if value is not None}
    entry.verdicts |= {question: verdict.ok for question, verdict in found.verdicts.items()}
    entry.evaluated = True


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {group: name for group, name in (config.get("names") or {}).items()} if not prefix else {}
    for key, value in config.items():
        name = prefix + key
        if name in NOT_CONFIG or key == "_partial_":
            continue
        if isinstance(value, dict):
            found |= _flat(value, f"{name}.")
        else:
            found[name] = value
    return found
