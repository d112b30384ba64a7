"""Runs compared, as JSON and as lines of a figure.

    names --find--> runs --read--> Entry each --problems--> Problem, Group: one config, several seeds --> JSON, figure

`entries` finds and reads the runs, `groups` puts them together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from inncli.config.trust import python_files
from inncli.errors import RunError
from inncli.evaluation.cache import Question, cached
from inncli.evaluation.entries import Entry
from inncli.evaluation.folds import folds_for
from inncli.evaluation.groups import Group, Problem, same_text
from inncli.evaluation.request import EvaluationRequest


def asked_of(entry: Entry, request: EvaluationRequest) -> EvaluationRequest:
    """The request for one run of a comparison: `resimulate` only if the run has a simulator file of the user's."""
    own_file = any(python_files([value for key, value in entry.config.items() if key.startswith("task.")]))
    return replace(request, resimulate=request.resimulate and own_file)


def questions(entries: list[Entry], request: EvaluationRequest) -> list[Question]:
    """What is asked of each run, the same of all: numbers on other rows can't be compared.

    By cross-validation, if each run of a small table has been judged so; else each at its held-out rows alone.
    """
    plain = [Question(entry.run, asked_of(entry, request)) for entry in entries]
    crossed = [
        Question(question.run, replace(question.request, folds=folds_for(question.run, None))) for question in plain
    ]
    return crossed if all(cached(question) for question in crossed if question.request.folds) else plain


# ---- as JSON ---------------------------------------------------------------------------------------------------------
def as_dict(found: list[Problem], left_out: list[dict[str, Any]]) -> dict[str, Any]:
    """The comparison, JSON-ready: `{"runs": [...], "groups": [...], "failed": [...]}`.

    Args:
        found: the runs, grouped.
        left_out: a dict for each run that can't be compared.
    """
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
                summary, answers = group.mean_sd(name), group.answers(name)
                if summary:
                    metrics[name] = {"mean": summary[0], "sd": summary[1], "n": len(group.values(name))}
                if answers:
                    verdicts[name] = {"yes": answers[True], "of": answers.total(), "cant_tell": answers[None]}
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


# ---- as lines of a figure --------------------------------------------------------------------------------------------
def lines(
    problem: Problem, x: str | None = None
) -> tuple[str | None, list[tuple[dict[str, Any], list[tuple[float | str, Group]]]]]:
    """The setting on the axis of a figure, and a line for each combination of the other settings.

    If no number differs, the setting is None and each group is a line of its own with one point.

    Args:
        problem: the groups of one task.
        x: the setting; None takes the only number that differs.

    Returns: the setting, and for each line its other settings and its points: value of the setting, group.
    Raises: RunError if several numbers differ and none is chosen, or `x` does not differ.
    """
    keys = list(dict.fromkeys(key for group in problem.groups for key in group.config))
    numbers = [key for key in keys if all(_is_number(group.config.get(key)) for group in problem.groups)]
    if x is not None and x not in numbers:
        raise RunError(
            f"`x`: {x!r} is no number that differs between these runs; "
            + (f"there are {', '.join(numbers)}" if numbers else "none does"),
            "x",
        )
    if x is None and len(numbers) > 1:
        raise RunError(f"`plot`: {', '.join(numbers)} differ; choose one with `x={numbers[0]!r}`", "plot", "x")
    key = x or (numbers[0] if numbers else None)
    if key is None:
        return None, [(group.config, [("", group)]) for group in problem.groups]
    found: dict[str, tuple[dict[str, Any], list[tuple[float, Group]]]] = {}
    for group in problem.groups:
        rest = {name: value for name, value in group.config.items() if name != key}
        found.setdefault(same_text(rest), (rest, []))[1].append((group.config[key], group))
    ordered = sorted(found.values(), key=lambda line: same_text(line[0]))
    return key, [(rest, [*sorted(points, key=lambda point: point[0])]) for rest, points in ordered]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
