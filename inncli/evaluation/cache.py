"""The cache of evaluations: `<run>/evaluations/<key>.json`.

    Question(run, request) --cached--> Answer, if the same was asked before
                           --measure, store--> Answer

The key is a hash of all that the numbers depend on: a file whose weights, config or request are others is not found.
Nothing here imports torch, so that cached numbers are read at once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from inncli._version import __version__
from inncli.evaluation.request import EvaluationRequest
from inncli.inference.run_table import table_sha256
from inncli.io.atomic import file_sha256
from inncli.io.permissions import is_readable
from inncli.metrics.verdicts import Verdict
from inncli.numerics.statistics import mean_and_sd
from inncli.runs.run_dir import RunDir
from inncli.runs.snapshot import RunSnapshot, identity

VERSION = 8  # of what is measured and how; if it is raised, everything is measured anew


@dataclass
class Evaluation:
    """The results of an evaluation.

    Attributes:
        metrics: a number for each metric, by its name.
        se: the standard errors of those that are means.
        settings: what the numbers depend on.
        verdicts: the answer to each question that could be asked.
        observations: a dict for each y at which draws were compared with exact ones.
        details: what figures need, by the name of the metric: curves, histograms; JSON-ready.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    se: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    observations: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    def add(self, name: str, values: np.ndarray) -> None:
        """Adds the mean of independent values, with its standard error if there are at least two.

        Args:
            name: of the metric.
            values: (n,).
        """
        middle, spread = mean_and_sd(values, ddof=min(1, len(values) - 1))
        self.metrics[name] = float(middle)
        if len(values) > 1:
            self.se[name] = float(spread / np.sqrt(len(values)))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Evaluation:
        """The inverse of `asdict`, after a trip through JSON.

        Raises: TypeError or KeyError for what is no evaluation of inn's.
        """
        verdicts = {name: Verdict(**verdict) for name, verdict in fields["verdicts"].items()}
        found = cls(**{**fields, "verdicts": verdicts})
        if not found._is_ours():
            raise TypeError("no evaluation of inn's")
        return found

    def _is_ours(self) -> bool:
        """Whether the parts have their types: the file is untrusted."""
        number = (int, float, type(None))
        numbers = [*self.metrics.values(), *self.se.values()]
        return (
            all(isinstance(value, number) for value in numbers)
            and isinstance(self.settings.get("held_out"), int)
            and isinstance(self.details, dict)
            and all(map(_is_verdict, self.verdicts.values()))
            and isinstance(self.observations, list)
            and all(map(_is_observation, self.observations))
        )


def _is_verdict(verdict: Verdict) -> bool:
    answered = verdict.ok is None or type(verdict.ok) is bool
    return answered and isinstance(verdict.text, str) and isinstance(verdict.rule, str)


def _is_observation(entry: object) -> bool:
    number = (int, float, type(None))
    if not isinstance(entry, dict):
        return False
    y = entry.get("y")  # None for a density p(x)
    if y is not None and not (isinstance(y, list) and all(isinstance(v, number) for v in y)):
        return False
    score = entry.get("familiarity", {"distance": 0.0, "percentile": 0.0, "familiar": True})
    return (
        isinstance(score, dict)
        and {"distance", "percentile", "familiar"} <= score.keys()
        and all(isinstance(v, number) for v in (*score.values(), entry.get("c2st")))
    )


@dataclass(frozen=True)
class Answer:
    """What an evaluation found, and whether it was cached.

    Attributes:
        evaluation: the numbers, as they are read from the cache.
        cached: whether they were in the cache before.
        made: when they were written to the cache; None if they were not.
        not_kept: why they could not be cached, in words; None if they were.
    """

    evaluation: Evaluation
    cached: bool
    made: str | None = None
    not_kept: str | None = None


class Question:
    """A request for an evaluation of one run, with its keys in the cache; each key is computed at most once.

    Make it before the run is opened: the numbers are cached only if the run's files are still the same afterwards.
    """

    def __init__(self, run: RunDir, request: EvaluationRequest) -> None:
        self.run = RunSnapshot.of(run)
        self.request = request

    @functools.cached_property
    def key(self) -> str:
        """Names the evaluation. Raises: OSError if the run has no checkpoint."""
        return key(self.run, self.request, self._file[0])

    @functools.cached_property
    def whole(self) -> str:
        """Names the evaluation of all steps, whichever were asked for."""
        return key(self.run, self.request.whole, self._file[0])

    @functools.cached_property
    def base(self) -> str:
        """Names the calibration of the run, which other requests share."""
        return key(self.run, self.request.calibration, self._file[0])

    def settle(self) -> None:
        """Computes the key: call it before the task's file is loaded."""
        _ = self.key

    def is_current(self) -> bool:
        """Whether the files that the key depends on are still those that were hashed."""
        return self.run.is_current() and self._file[1] == self._file_identity()

    @functools.cached_property
    def _file(self) -> tuple[str | None, tuple[int, ...] | None]:
        """SHA-256 and identity of the file that the run's task names; None if it names none or the file is gone."""
        before = self._file_identity()
        file = self.run.config()["task"].get("file")
        elsewhere = table_sha256(self.run)  # of the same table, so that what was cached is found
        return elsewhere or (file_sha256(Path(file)) if file and is_readable(file) else None), before

    def _file_identity(self) -> tuple[int, ...] | None:
        file = self.run.config()["task"].get("file")
        return identity(Path(file)) if file else None


def key(run: RunDir, request: EvaluationRequest, file_hash: str | None) -> str:
    """Names an evaluation: a hash of the weights, the config, the user's file and the request.

    Args:
        run: the run.
        request: what is asked.
        file_hash: of the file that the run's task names; None if it names none.
    """
    facts = {
        "version": VERSION,
        "inn": __version__,
        "weights": run.weights_hash(),
        "config": run.config_hash(),
        "file": file_hash,
        "seed": request.seed,
        "samples": request.samples,
        "y": request.y,
        "resimulate": request.resimulate,
        "refine": request.refine,
        "device": request.device,
        "steps": request.steps,
        "folds": request.folds,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def cached(question: Question) -> Answer | None:
    """The answer in the cache, where a whole evaluation answers for a part; None if there is none that can be read."""
    if not question.run.best.is_file():
        return None
    for name in dict.fromkeys((question.whole, question.key)):
        entry = question.run.read_evaluation(name)
        with contextlib.suppress(KeyError, TypeError, AttributeError):  # not inn's: it is measured anew
            if entry is not None:
                return Answer(Evaluation.from_dict(entry["evaluation"]), True, entry["made"])
    return None


def cached_calibration(question: Question) -> Answer | None:
    """An earlier evaluation of the run's calibration, which does not depend on the request's samples, y and refine."""
    run = question.run
    if not run.best.is_file():
        return None
    for path in sorted((run.path / "evaluations").glob("*.json")):
        entry = run.read_evaluation(path.stem)
        with contextlib.suppress(KeyError, TypeError, AttributeError):  # not inn's
            if entry is None or entry.get("base") != question.base:
                continue
            if "calibration" in entry["evaluation"]["details"]:
                return Answer(Evaluation.from_dict(entry["evaluation"]), True, entry.get("made"))
    return None


def store(question: Question, found: Evaluation) -> Answer:
    """Writes an evaluation to the cache, whole or not at all, and answers with it as it will be read.

    It is not written if the run directory can't be written to, as a colleague's, or if a file that the key depends on
    has been replaced meanwhile: the numbers may be about either of the two files.
    """
    run = question.run
    if not question.is_current():
        return Answer(found, False, not_kept=f"the files of run {run.id} changed meanwhile")
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")
    try:
        run.write_evaluation(question.key, {"made": made, "base": question.base, "evaluation": asdict(found)})
    except OSError:
        return Answer(found, False, not_kept=f"{run.path} can't be written to")
    written = run.read_evaluation(question.key)
    if written is None:  # removed meanwhile
        return Answer(found, False, not_kept=f"{run.path} can't be written to")
    return Answer(Evaluation.from_dict(written["evaluation"]), False, made)
