"""What was found out about a run, and how it is kept: `<run>/evaluations/<key>.json`.

The key is a hash of all that the numbers depend on, so that a file answers for what it says or is not found. Nothing
here imports torch: what was found before is read at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from inncli._version import __version__
from inncli.io.atomic import file_sha256
from inncli.metrics.verdicts import Verdict
from inncli.runs.run_dir import RunDir

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


def key(
    run: RunDir,
    *,
    seed: int = 0,
    samples: int | None = None,
    y: np.ndarray | None = None,
    resimulate: bool = False,
    refine: bool = False,
    device: str | None = None,
) -> str:
    """Names an evaluation: a hash of the weights, the config, the user's file and what was asked."""
    file = run.config()["task"].get("file")
    facts = {
        "version": VERSION,
        "inn": __version__,
        "weights": file_sha256(run.best),
        "config": run.config_hash(),
        "file": file_sha256(Path(file)) if file and Path(file).is_file() else None,
        "seed": seed,
        "samples": samples,
        "y": None if y is None else np.asarray(y, dtype=np.float64).tolist(),
        "resimulate": resimulate,
        "refine": refine,
        "device": device,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def kept(run: RunDir, **asked) -> tuple[Evaluation, str] | None:
    """What an earlier evaluation found, and when it was made; None if none was asked the same.

    Args:
        asked: as in `key`.
    """
    if not run.best.is_file():
        return None
    entry = run.read_evaluation(key(run, **asked))
    try:
        return None if entry is None else (Evaluation.from_dict(entry["evaluation"]), entry["made"])
    except (KeyError, TypeError, AttributeError):  # not ours: it is measured anew
        return None


def kept_calibration(
    run: RunDir, *, seed: int = 0, resimulate: bool = False, device: str | None = None
) -> Evaluation | None:
    """An earlier evaluation that says how well the run is calibrated: whatever its samples, y and refine, which have no
    part in that.
    """
    if not run.best.is_file():
        return None
    base = key(run, seed=seed, resimulate=resimulate, device=device)
    for path in sorted((run.path / "evaluations").glob("*.json")):
        entry = run.read_evaluation(path.stem)
        with contextlib.suppress(KeyError, TypeError, AttributeError):  # not ours
            if entry is not None and entry.get("base") == base and "calibration" in entry["evaluation"]["details"]:
                return Evaluation.from_dict(entry["evaluation"])
    return None


def keep(run: RunDir, found: Evaluation, **asked) -> Evaluation:
    """Writes what was found, whole or not at all; returns it as it will be read.

    Of a run that can't be written to, say a colleague's, it is only returned.
    """
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")
    base = key(run, **{name: asked[name] for name in ("seed", "resimulate", "device") if name in asked})
    try:
        run.write_evaluation(key(run, **asked), {"made": made, "base": base, "evaluation": asdict(found)})
    except OSError:
        return found
    return kept(run, **asked)[0]
