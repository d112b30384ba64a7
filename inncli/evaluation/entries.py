"""One run as it stands in a comparison: its config flattened, and all that is known of it.

words --find--> runs --read--> Entry each --add_evaluation--> Entry with metrics and verdicts
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from inncli.errors import InnError
from inncli.evaluation.cache import Evaluation
from inncli.runs import sweeps
from inncli.runs.registry import name_of
from inncli.runs.run_dir import RunDir
from inncli.runs.snapshot import RunSnapshot
from inncli.runs.sweep_dir import SweepDir

NOT_CONFIG = ("seed", "device", "threads", "names", "trainer.checkpoint_seconds")  # change no result, or are the seed


@dataclass
class Entry:
    """One run: its config flattened, and all that is known of it.

    Attributes:
        config: `model` -> the chosen yaml, `model.n_blocks` -> 4, and so on.
        verdicts: question -> yes or no.
        problem: why it can't be compared, one line; None where it can.
    """

    run: RunDir
    info: dict
    config: dict = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    se: dict[str, float] = field(default_factory=dict)
    verdicts: dict[str, bool] = field(default_factory=dict)
    evaluated: bool = False
    problem: str | None = None


def find(spec: str, root: Path | None = None) -> tuple[list[RunDir], list[dict]]:
    """The runs that one word means, a run or a whole sweep; and the sweep's jobs that left no run.

    A directory, an id, or a prefix that only one run or sweep has.

    Raises: RunError if none or several fit.
    """
    found = sweeps.find(spec, root)
    return _jobs(found.path) if isinstance(found, SweepDir) else ([found], [])


def _jobs(folder: Path) -> tuple[list[RunDir], list[dict]]:
    jobs = SweepDir(folder).manifest()["jobs"]
    # A job still running is not in the manifest of a sweeper that picks as it goes.
    there = {
        int(path.name): RunDir(path)
        for path in folder.iterdir()
        if path.name.isdigit() and (path / "run.json").is_file()
    }
    lost = [job for job in jobs if job["job"] not in there]
    return [there[number] for number in sorted(there)], lost


def read(run: RunDir) -> Entry:
    """A run with its config and the numbers of its training; `problem` says why it has none."""
    run = RunSnapshot.of(run)
    try:
        info, config = run.info(), run.config()
        state = run.state()
        entry = Entry(run, {**info, "status": state}, _flat(config))
    except InnError as error:
        return Entry(run, {"status": "damaged"}, problem=str(error))
    if state != "done":
        entry.problem = info.get("error") or f"status {state}; continue it with `inn train --resume {name_of(run)}`"
    numbers = {**(info.get("metrics") or {}), "seconds": info.get("seconds"), "parameters": info.get("parameters")}
    for name, value in numbers.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "best_epoch":
            (entry.se if name.endswith("_se") else entry.metrics)[name.removesuffix("_se")] = float(value)
    return entry


def add_evaluation(entry: Entry, found: Evaluation) -> None:
    """Joins what an evaluation says."""
    for mine, theirs in ((entry.metrics, found.metrics), (entry.se, found.se)):
        mine |= {name: value for name, value in theirs.items() if value is not None}
    entry.verdicts |= {question: verdict.ok for question, verdict in found.verdicts.items()}
    entry.evaluated = True


def _flat(config: dict, prefix: str = "") -> dict:
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
