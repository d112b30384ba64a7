"""Which runs are compared: a `Problem` for each task, in it a `Group` for each config, in that a run for each seed.

Runs are compared within one problem: a task and its settings, whatever the amount of data. If the task can draw pairs,
all runs are measured on the same held-out ones (`run_task.held_out_pairs`).
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from inncli.config.registry import GROUPS
from inncli.evaluation.entries import Entry
from inncli.metrics import registry

BUDGET = ("n_train", "fresh", "workers")  # of a task: how its pairs are drawn, not what they are


@dataclass
class Group:
    """Runs of one config that differ in their seeds.

    Attributes:
        entries: the runs.
        config: the settings that differ between the groups of its task.
    """

    entries: list[Entry]
    config: dict[str, Any] = field(default_factory=dict)

    def values(self, metric: str) -> list[float]:
        """The metric of each seed that has it."""
        return [entry.metrics[metric] for entry in self.entries if entry.metrics.get(metric) is not None]

    def mean_sd(self, metric: str) -> tuple[float, float | None] | None:
        """The mean over the seeds, and their sd if there are at least two; None without values."""
        values = self.values(metric)
        if not values:
            return None
        return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None

    def answers(self, question: str) -> Counter[bool | None]:
        """How many seeds answer a question with yes, no and None, where nobody can tell."""
        return Counter(entry.verdicts[question] for entry in self.entries if question in entry.verdicts)


@dataclass
class Problem:
    """A task with its settings, and the groups that are compared on it.

    Attributes:
        task: the name of its yaml.
        config: the settings that differ from those of the other problems of the task.
        groups: one for each config.
    """

    task: str
    config: dict[str, Any]
    groups: list[Group]

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics and verdicts of any run, in order of appearance."""
        return list(
            dict.fromkeys(
                name for group in self.groups for entry in group.entries for name in (*entry.metrics, *entry.verdicts)
            )
        )

    @property
    def columns(self) -> list[str]:
        """The metrics and verdicts that a table shows."""
        entries = [entry for group in self.groups for entry in group.entries]
        if not any(entry.evaluated for entry in entries):
            wanted = registry.columns("training")
        else:
            kruse = all(entry.config.get("evaluation") == "kruse" for entry in entries)
            wanted = registry.columns("kruse" if kruse else "compare")
        return [name for name in wanted if name in self.metrics]

    def best(self, metric: str) -> list[Group]:
        """The groups with the best mean; none if the metric has no better, or there is only one group."""
        scored = [
            (registry.find(metric).badness(found[0]), group)
            for group in self.groups
            if registry.find(metric).has_best and (found := group.mean_sd(metric)) and math.isfinite(found[0])
        ]
        return [group for score, group in scored if len(scored) > 1 and score == min(scored, key=lambda s: s[0])[0]]

    def sort(self, metric: str) -> None:
        """Sorts the groups by a metric, best first; those without it come last."""

        def key(group: Group) -> float:
            found = group.mean_sd(metric)
            return math.inf if found is None else registry.find(metric).badness(found[0])

        self.groups.sort(key=key)


def problems(entries: Iterable[Entry]) -> list[Problem]:
    """The entries that can be compared, grouped by task and by config."""
    by_task: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.problem is None:
            by_task.setdefault(same_text(_setting(entry)), []).append(entry)
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


def _setting(entry: Entry) -> dict[str, Any]:
    """The task and its settings without BUDGET: what must agree for runs to be compared."""
    return {
        key: value
        for key, value in entry.config.items()
        if key.partition(".")[0] == "task" and key not in [f"task.{name}" for name in BUDGET]
    }


def _groups(entries: list[Entry]) -> list[Group]:
    names = differences([entry.config for entry in entries])
    by_config: dict[str, list[Entry]] = {}
    for entry in entries:
        by_config.setdefault(same_text(entry.config), []).append(entry)
    return [
        Group(found, {name: found[0].config.get(name) for name in names if name in found[0].config})
        for found in by_config.values()
    ]


def differences(configs: list[dict[str, Any]]) -> list[str]:
    """The keys in which these flat configs differ, as the command line names them.

    A choice of a group (`model=spline`) stands for all that its yaml says: a key below it counts only if it differs
    among runs of that choice. A choice that follows from the model (its trainer, say) is left out.
    """
    found = []
    for group in ("model", *(group for group in GROUPS if group != "model")):
        # If each model has one choice, the model says it.
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
                same_text(config.get(key))
            )
        if any(len(different) > 1 for different in values.values()):
            found.append(key)
    return found


def same_text(value: object) -> str:
    """A text that is the same for equal settings only."""
    return json.dumps(value, sort_keys=True, default=str)
