"""Many runs beside each other: what differs in their configs, what was found out about each, seeds taken together.

    words --find--> runs --read--> Entry each --group--> Group: one config, several seeds

Runs are compared within one problem: the task and its settings, but for how much data there was. All are measured
on the same held-out pairs where the task can draw them (`pipeline.held_out_pairs`).
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from inncli.config.registry import GROUPS
from inncli.config.trust import python_files
from inncli.errors import InnError, RunError
from inncli.runs import sweeps
from inncli.runs.registry import name_of
from inncli.runs.run_dir import RunDir
from inncli.runs.sweep_dir import SweepDir

# What is to be small for a metric to be good. A metric that is not here has no best.
BADNESS: dict[str, Callable[[float], float]] = {
    **dict.fromkeys(
        (
            "nll",
            "kl",
            "val_loss",
            "loss",
            "c2st",
            "mmd2",
            "mmd2_median",
            "mmd2_worst",
            "err_resim",
            "err_resim_median",
            "err_resim_worst",
            "refined_mmd2",
            "refined_err_resim",
            "resimulation_error",
            "invertibility_error",
            "nonfinite_draws",
            "share_without_density",
            "max_moment_error",
            "seconds",
        ),
        lambda value: value,
    ),
    "ess": lambda value: -value,
    **dict.fromkeys(("follows_y", "z_score"), lambda value: abs(value - 1)),
    "coverage_50": lambda value: abs(value - 0.5),
    "coverage_80": lambda value: abs(value - 0.8),
    "coverage_90": lambda value: abs(value - 0.9),
}
COLUMNS = ("nll", "kl", "c2st", "mmd2", "err_resim", "calibrated", "invertibility_error", "seconds", "parameters")
KRUSE = (
    "mmd2",
    "mmd2_median",
    "mmd2_worst",
    "err_resim",
    "err_resim_median",
    "refined_mmd2",
    "refined_err_resim",
    "calibrated",
    "seconds",
    "parameters",
)
TRAINING = ("val_loss", "seconds", "parameters")  # where nothing was evaluated
BUDGET = ("n_train", "fresh", "workers")  # of a task: how its pairs are drawn, not what they are
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


@dataclass
class Group:
    """Runs of one config, seeds apart. Attributes: config: what sets it apart from the other groups of its task."""

    entries: list[Entry]
    config: dict = field(default_factory=dict)

    def values(self, metric: str) -> list[float]:
        """One number a seed that has it."""
        return [entry.metrics[metric] for entry in self.entries if entry.metrics.get(metric) is not None]

    def mean_sd(self, metric: str) -> tuple[float, float | None] | None:
        """Mean over the seeds, and their sd where there are two."""
        values = self.values(metric)
        if not values:
            return None
        return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None

    def yes(self, question: str) -> tuple[int, int]:
        """How many seeds answer yes, of how many that were asked."""
        asked = [entry.verdicts[question] for entry in self.entries if question in entry.verdicts]
        return sum(asked), len(asked)


@dataclass
class Problem:
    """One task as it was set, and the groups that may be compared on it. Attributes: config: task settings to name it."""

    task: str
    config: dict
    groups: list[Group]

    @property
    def metrics(self) -> list[str]:
        """All that is known of any run, in order of appearance."""
        return list(
            dict.fromkeys(
                name for group in self.groups for entry in group.entries for name in (*entry.metrics, *entry.verdicts)
            )
        )

    @property
    def columns(self) -> list[str]:
        """The few that matter, of what is known."""
        entries = [entry for group in self.groups for entry in group.entries]
        if not any(entry.evaluated for entry in entries):
            wanted = TRAINING
        else:
            kruse = all(entry.config.get("evaluation") == "kruse" for entry in entries)
            wanted = KRUSE if kruse else COLUMNS
        return [name for name in wanted if name in self.metrics]

    def best(self, metric: str) -> list[Group]:
        """The groups with the best mean; none where the metric has no better, or there is nothing to compare."""
        scored = [
            (BADNESS[metric](found[0]), group)
            for group in self.groups
            if metric in BADNESS and (found := group.mean_sd(metric)) and math.isfinite(found[0])
        ]
        return [group for score, group in scored if len(scored) > 1 and score == min(scored, key=lambda s: s[0])[0]]

    def sort(self, metric: str) -> None:
        """Best first; groups without the metric last."""

        def key(group: Group) -> float:
            found = group.mean_sd(metric)
            return math.inf if found is None else BADNESS.get(metric, lambda value: value)(found[0])

        self.groups.sort(key=key)


# ---- which runs --------------------------------------------------------------------------------------
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


# ---- what is known of them ---------------------------------------------------------------------------
def read(run: RunDir) -> Entry:
    """A run with its config and the numbers of its training; `problem` says why it has none."""
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


def add_evaluation(entry: Entry, found) -> None:
    """Joins what an `Evaluation` says."""
    for mine, theirs in ((entry.metrics, found.metrics), (entry.se, found.se)):
        mine |= {name: value for name, value in theirs.items() if value is not None}
    entry.verdicts |= {question: verdict.ok for question, verdict in found.verdicts.items()}
    entry.evaluated = True


def asked_of(entry: Entry, *, seed: int, samples: int | None, resimulate: bool, device: str | None) -> dict:
    """What is asked of a run: the same of all, but that only a run with a simulator file can be told to run it."""
    own_file = any(python_files([value for key, value in entry.config.items() if key.startswith("task.")]))
    return {"seed": seed, "samples": samples, "y": None, "resimulate": resimulate and own_file, "device": device}


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


# ---- what belongs together ---------------------------------------------------------------------------
def problems(entries: Iterable[Entry]) -> list[Problem]:
    """The entries that can be compared, by task, by config."""
    by_task: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.problem is None:
            by_task.setdefault(_key(_setting(entry)), []).append(entry)
    settings = {key: _setting(found[0]) for key, found in by_task.items()}
    made = []
    for key, found in by_task.items():
        task = found[0].config.get("task") or "?"
        alike = [other for other in settings.values() if other.get("task") == found[0].config.get("task")]
        named = {
            name: value for name, value in settings[key].items() if any(other.get(name) != value for other in alike)
        }
        made.append(Problem(task, named, _groups(found)))
    return made


def _setting(entry: Entry) -> dict:
    """The task and its settings, but for the budget: what must agree for runs to be compared."""
    return {
        key: value
        for key, value in entry.config.items()
        if key.partition(".")[0] == "task" and key not in [f"task.{name}" for name in BUDGET]
    }


def _groups(entries: list[Entry]) -> list[Group]:
    names = differences([entry.config for entry in entries])
    by_config: dict[str, list[Entry]] = {}
    for entry in entries:
        by_config.setdefault(_key(entry.config), []).append(entry)
    return [
        Group(found, {name: found[0].config.get(name) for name in names if name in found[0].config})
        for found in by_config.values()
    ]


def differences(configs: list[dict]) -> list[str]:
    """The keys that tell these flat configs apart, in the words of the command line.

    A choice of a group (`model=spline`) stands for all that its yaml says: keys under it differ only where they do
    among runs of that choice. What a model brings with it (its trainer, say) goes without saying.
    """
    found = []
    for group in ("model", *(group for group in GROUPS if group != "model")):
        # Where every model has one choice, the model tells.
        implied = group != "model" and len({(c.get("model"), c.get(group)) for c in configs}) == len(
            {c.get("model") for c in configs}
        )
        if len({c.get(group) for c in configs}) > 1 and not implied:
            found.append(group)
    for key in dict.fromkeys(key for config in configs for key in config if key not in GROUPS):
        group = key.partition(".")[0]
        values: dict[object, set[str]] = {}
        for config in configs:
            choice = config.get(group) if group in GROUPS else None
            values.setdefault((choice, config.get("model") if group == "trainer" else None), set()).add(
                _key(config.get(key))
            )
        if any(len(different) > 1 for different in values.values()):
            found.append(key)
    return found


def _key(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


# ---- as JSON -----------------------------------------------------------------------------------------
def as_dict(found: list[Problem], left_out: list[dict]) -> dict:
    """`{"runs": [one each], "groups": [seeds aggregated], "failed": [...]}`, JSON-ready."""
    runs, groups = [], []
    for problem in found:
        for group in problem.groups:
            runs += [
                {
                    "run": entry.run.id,
                    "path": str(entry.run.path),
                    "task": problem.task,
                    "task_config": problem.config,
                    "model": entry.config.get("model"),
                    "seed": entry.info.get("seed"),
                    "config": group.config,
                    "status": entry.info["status"],
                    "evaluated": entry.evaluated,
                    "metrics": entry.metrics,
                    "se": entry.se,
                    "verdicts": entry.verdicts,
                }
                for entry in group.entries
            ]
            metrics, verdicts = {}, {}
            for name in problem.metrics:
                summary, (yes, asked) = group.mean_sd(name), group.yes(name)
                if summary:
                    metrics[name] = {"mean": summary[0], "sd": summary[1], "n": len(group.values(name))}
                if asked:
                    verdicts[name] = {"yes": yes, "of": asked}
            groups.append(
                {
                    "task": problem.task,
                    "task_config": problem.config,
                    "config": group.config,
                    "model": group.entries[0].config.get("model"),
                    "metrics": metrics,
                    "verdicts": verdicts,
                    "seeds": [entry.info.get("seed") for entry in group.entries],
                    "runs": [entry.run.id for entry in group.entries],
                    "best": [name for name in metrics if group in problem.best(name)],
                }
            )
    return {"runs": runs, "groups": groups, "failed": left_out}


# ---- as lines of a picture ---------------------------------------------------------------------------
def lines(
    problem: Problem, x: str | None = None
) -> tuple[str | None, list[tuple[dict, list[tuple[float | str, Group]]]]]:
    """The setting to draw against, and for each combination of the others its groups along it.

    Without a number that differs the groups stand side by side: the setting is None, and a point's place is its config.

    Raises: RunError if several numbers differ and none is chosen, or `x` does not.
    """
    keys = list(dict.fromkeys(key for group in problem.groups for key in group.config))
    numbers = [key for key in keys if all(_is_number(group.config.get(key)) for group in problem.groups)]
    if x is not None and x not in numbers:
        raise RunError(
            f"--x: {x!r} is no number that differs between these runs; "
            + (f"there are {', '.join(numbers)}" if numbers else "none does")
        )
    if x is None and len(numbers) > 1:
        raise RunError(f"--plot: {', '.join(numbers)} differ; choose one with --x {numbers[0]}")
    key = x or (numbers[0] if numbers else None)
    if key is None:
        return None, [(group.config, [("", group)]) for group in problem.groups]
    found: dict[str, tuple[dict, list]] = {}
    for group in problem.groups:
        rest = {name: value for name, value in group.config.items() if name != key}
        found.setdefault(_key(rest), (rest, []))[1].append((group.config[key], group))
    ordered = sorted(found.values(), key=lambda line: _key(line[0]))
    return key, [(rest, sorted(points, key=lambda point: point[0])) for rest, points in ordered]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
