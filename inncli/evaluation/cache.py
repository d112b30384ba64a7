"""The cache of evaluations: `<run>/evaluations/<key>.json`.

    Question(run, request) --cached--> Answer, if the same was asked before
                           --measure, keep--> Answer

The key is a hash of all that the numbers depend on, so that a file answers for what it says or is not found. Nothing
here imports torch: what was found before is read at once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from inncli._version import __version__
from inncli.evaluation.request import EvaluationRequest
from inncli.io.atomic import file_sha256
from inncli.metrics.verdicts import Verdict
from inncli.runs.run_dir import RunDir
from inncli.runs.snapshot import RunSnapshot, identity

VERSION = 6  # of what is measured and how: raised, all that was kept is measured anew


@dataclass
class Evaluation:
    """What was found out about a run.

    Attributes:
        metrics: number by name. se: standard errors of those that are means.
        settings: what the numbers depend on.
        verdicts: the answer to each question that could be asked.
        observations: what was found at each y, where draws were compared with exact ones.
        details: what pictures need of a metric, by its name: curves, histograms; JSON-ready.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    se: dict[str, float] = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    observations: list[dict] = field(default_factory=list)
    details: dict = field(default_factory=dict)

    def add(self, name: str, values: np.ndarray) -> None:
        """The mean of independent values, with its standard error where there are two."""
        self.metrics[name] = float(np.mean(values))
        if len(values) > 1:
            self.se[name] = float(np.std(values, ddof=1) / np.sqrt(len(values)))

    @classmethod
    def from_dict(cls, words: dict) -> Evaluation:
        """The inverse of `asdict`, after a trip through JSON."""
        verdicts = {name: Verdict(**verdict) for name, verdict in words["verdicts"].items()}
        found = cls(**{**words, "verdicts": verdicts})
        if not found._is_ours():
            raise TypeError("no evaluation of inn's")
        return found

    def _is_ours(self) -> bool:
        """Whether the parts are of their types: the file may be a stranger's."""
        number = (int, float, type(None))
        numbers = [*self.metrics.values(), *self.se.values()]
        return (
            all(isinstance(value, number) for value in numbers)
            and isinstance(self.settings.get("held_out"), int)
            and isinstance(self.details, dict)
            and all(type(verdict.ok) is bool and isinstance(verdict.text, str) for verdict in self.verdicts.values())
            and isinstance(self.observations, list)
            and all(map(_is_observation, self.observations))
        )


def _is_observation(entry: object) -> bool:
    number = (int, float, type(None))
    if not isinstance(entry, dict):
        return False
    y = entry.get("y")  # None of a density
    if y is not None and not (isinstance(y, list) and all(isinstance(v, number) for v in y)):
        return False
    told = entry.get("familiarity", {"distance": 0.0, "percentile": 0.0, "familiar": True})
    return (
        isinstance(told, dict)
        and {"distance", "percentile", "familiar"} <= told.keys()
        and all(isinstance(v, number) for v in (*told.values(), entry.get("c2st")))
    )


@dataclass(frozen=True)
class Answer:
    """What an evaluation found, and how it came about.

    Attributes:
        evaluation: the numbers, as they are read from the cache.
        cached: whether an earlier call had found them.
        made: when they were written to the cache; None if they were not.
        not_kept: why they could not be written, in words; None if they were.
    """

    evaluation: Evaluation
    cached: bool
    made: str | None = None
    not_kept: str | None = None


class Question:
    """One request of one run, with the keys under which the cache knows it; each is computed at most once.

    Make it before the run is opened: the numbers are kept only if the run's files are still the same afterwards.
    """

    def __init__(self, run: RunDir, request: EvaluationRequest) -> None:
        self.run = RunSnapshot.of(run)
        self.request = request

    @functools.cached_property
    def key(self) -> str:
        """Names the evaluation. Raises: OSError if the run has no checkpoint."""
        return key(self.run, self.request, self._file[0])

    @functools.cached_property
    def base(self) -> str:
        """Names the part that says how well the run is calibrated, which other requests share."""
        return key(self.run, self.request.calibration, self._file[0])

    def settle(self) -> None:
        """Hashes what the key stands for, before the task's file is loaded."""
        _ = self.key

    def is_current(self) -> bool:
        """Whether the files that the key stands for are still those that were hashed."""
        return self.run.is_current() and self._file[1] == self._file_identity()

    @functools.cached_property
    def _file(self) -> tuple[str | None, tuple[int, ...] | None]:
        """SHA-256 and identity of the file that the run's task names; None if it names none or the file is gone."""
        before = self._file_identity()
        file = self.run.config()["task"].get("file")
        return (file_sha256(Path(file)) if file and Path(file).is_file() else None), before

    def _file_identity(self) -> tuple[int, ...] | None:
        file = self.run.config()["task"].get("file")
        return identity(Path(file)) if file else None


def key(run: RunDir, request: EvaluationRequest, file_hash: str | None) -> str:
    """Names an evaluation: a hash of the weights, the config, the user's file and what was asked."""
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
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def cached(question: Question) -> Answer | None:
    """What an earlier evaluation found; None if none was asked the same, or what is there can't be read."""
    if not question.run.best.is_file():
        return None
    entry = question.run.read_evaluation(question.key)
    try:
        return None if entry is None else Answer(Evaluation.from_dict(entry["evaluation"]), True, entry["made"])
    except (KeyError, TypeError, AttributeError):  # not ours: it is measured anew
        return None


def cached_calibration(question: Question) -> Answer | None:
    """An earlier evaluation that says how well the run is calibrated, whatever its samples, y and refine: they have no
    part in that.
    """
    run = question.run
    if not run.best.is_file():
        return None
    for path in sorted((run.path / "evaluations").glob("*.json")):
        entry = run.read_evaluation(path.stem)
        with contextlib.suppress(KeyError, TypeError, AttributeError):  # not ours
            if entry is None or entry.get("base") != question.base:
                continue
            if "calibration" in entry["evaluation"]["details"]:
                return Answer(Evaluation.from_dict(entry["evaluation"]), True, entry.get("made"))
    return None


def keep(question: Question, found: Evaluation) -> Answer:
    """Writes what was found, whole or not at all; answers with it as it will be read.

    It is only returned if the run can't be written to, as a colleague's can't, or if a file that the key stands for
    was replaced meanwhile: then nobody knows which of the two the numbers are about.
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
    return Answer(Evaluation.from_dict(written["evaluation"]), False, made)
