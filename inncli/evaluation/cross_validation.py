"""A run judged by cross-validation: several nets, each at the rows of the table that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from inncli.data.pairs import Pairs
from inncli.errors import RequestError
from inncli.evaluation.answers import Answers, Net
from inncli.evaluation.cache import Evaluation
from inncli.evaluation.folds import SECONDS, number
from inncli.evaluation.progress import Tell
from inncli.inference.trained_model import TrainedModel
from inncli.metrics import registry
from inncli.runs.run_dir import RunDir
from inncli.tasks.base import Task
from inncli.tasks.measured.base import Rows

PATIENCE = 5.0  # times as long, and it is given up
STEPS: tuple[registry.Step, ...] = ("likelihood", "calibration", "marginal")  # that it answers
# Trains nets: the run, opened; its directory, table, number of nets, seconds at most, progress.
Train = Callable[[TrainedModel, RunDir, Rows, int, "float | None", Tell], tuple[Pairs, list[Net]]]


def cross_validated(
    trained: TrainedModel,
    run: RunDir,
    task: Task | None,
    folds: int,
    steps: Collection[registry.Step] | None,
    train: Train | None,
    on_progress: Tell,
) -> Answers | None:
    """Who answers at all rows of the run's table; None where the run itself is judged.

    Args:
        trained: the run, opened.
        run: its directory.
        task: its task.
        folds: number of nets; 0 is none.
        steps: of the evaluation; None is all.
        train: trains them.
        on_progress: called with what is being done, in words, and the share of this that is done.

    Raises: RequestError for a run that has no table in memory; RunError if training takes far longer than it took.
    """
    if not folds or trained.y is None or (steps is not None and not set(STEPS) & set(steps)):
        return None
    if not isinstance(task, Rows) or not isinstance(task.training_pairs(run.config()["seed"]), Pairs):
        raise RequestError(f"`folds`: run {run.id} has no table that fits the memory; leave it out", "folds")
    if train is None:
        raise RequestError("`folds`: expected `train_folds`, which trains the nets", "folds", "train_folds")
    seconds = number(run.info().get("seconds")) or 0.0
    return Answers(*train(trained, run, task, folds, max(PATIENCE * folds * seconds, SECONDS), on_progress))


def say(found: Evaluation, answers: Answers) -> None:
    """Adds to the verdicts that nets which had not seen the rows were judged, and on how many."""
    found.settings["cross_validation"] = {"nets": len(answers.nets), "rows": len(answers.pairs)}
    for name in ("calibrated", "beats_marginal"):
        if name in found.verdicts:
            verdict = found.verdicts[name]
            found.verdicts[name] = replace(verdict, text=f"{verdict.text}; {answers.words}")
