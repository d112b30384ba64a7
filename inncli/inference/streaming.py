"""Writes a model's draws to a file part by part, so that they need not fit in memory.

parts --> the file, whole or not at all
      --> the summary that is printed
      --> the resimulation errors
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from inncli.inference import sample_set
from inncli.inference.posterior_files import FORMATS, SUFFIXES
from inncli.inference.posterior_set import PosteriorSet
from inncli.inference.sample_set import SampleSet
from inncli.inference.sampling import sample_blocks
from inncli.inference.summary import PosteriorSummary, SampleSummary
from inncli.inference.trained_model import TrainedModel
from inncli.io.capacity import check_disk
from inncli.io.tables import check_suffix
from inncli.metrics.resimulation import resimulation_error, squared_errors

Draws = TypeVar("Draws", PosteriorSet, SampleSet)
LEAST = {".npz": 8, ".nc": 8, ".parquet": 1, ".csv": 2}  # bytes of a number in a file; few values pack well
Observe = Callable[[np.ndarray], np.ndarray]


def write_posterior(
    parts: Iterable[tuple[int, int, PosteriorSet]],
    y: np.ndarray,
    n: int,
    path: Path,
    *,
    observe: Observe | None = None,
    on_progress: Callable[[str], None] = lambda text: None,
) -> tuple[PosteriorSummary, list[dict[str, Any]] | None]:
    """Writes n draws at each row of y to `path`; returns their summary, and the resimulation error of each row.

    Args:
        parts: the draws as `TrainedModel.posterior_blocks` yields them, or the one part of a whole set.
        y: the observations, (n_obs, Dy).
        n: draws at each.
        path: the file; its suffix chooses the format.
        observe: the task's s(x); None leaves the errors out.
        on_progress: called with a line of progress.

    Raises: RequestError for an unknown suffix, or if so many draws don't fit onto the disk.
    """
    form = FORMATS[check_suffix(path, SUFFIXES)]
    summary, errors = PosteriorSummary(n), None if observe is None else _ResimulationErrors(observe, len(y))
    _write(
        parts,
        path,
        len(y),
        n,
        write=lambda whole: form.write(path, whole),
        stream=lambda first: form.stream(path, first, y, n),
        takers=[summary.add] if errors is None else [summary.add, errors.add],
        on_progress=on_progress,
    )
    return summary, None if errors is None else errors.entries()


def write_sample(
    trained: TrainedModel,
    ys: np.ndarray | None,
    n: int,
    seed: int,
    path: Path,
    on_progress: Callable[[str], None] = lambda text: None,
) -> dict[str, dict[str, float]]:
    """Writes n draws without an observation to `path`; returns a summary of each column of numbers.

    Args:
        trained: the run.
        ys: the training ys from which y is drawn, (n_ys, Dy); None for a density p(x).
        n: draws in all.
        seed: of the draws.
        path: the file; its suffix chooses the format.
        on_progress: called with a line of progress.

    Raises: RequestError for an unknown suffix, or if so many draws don't fit onto the disk.
    """
    summary = SampleSummary(n)
    _write(
        sample_blocks(trained, ys, n, seed),
        path,
        1,
        n,
        write=lambda whole: whole.save(path),
        stream=lambda first: sample_set.stream(path, first, n),
        takers=[summary.add],
        on_progress=on_progress,
    )
    return summary.columns


def _write(
    parts: Iterable[tuple[int, int, Draws]],
    path: Path,
    n_obs: int,
    n: int,
    *,
    write: Callable[[Draws], object],
    stream: Callable[[Draws], AbstractContextManager[Callable[[int, int, Draws], None]]],
    takers: Iterable[Callable[[int, int, Draws], None]],
    on_progress: Callable[[str], None],
) -> None:
    """Gives each part to the takers and to the file.

    A set that comes in one part is written at the end; each part of a larger one is written at once.

    Args:
        parts: the number of the first observation, that of the first draw, and the part.
        path: the file.
        n_obs: observations.
        n: draws at each.
        write: writes a whole set.
        stream: gives add(obs, draw, part), from the first part.
        takers: called with each part.
        on_progress: called with a line of progress.

    Raises: RequestError if so many draws don't fit onto the disk.
    """
    total = n_obs * n
    report = _progress(total, on_progress)
    whole = add = None
    with contextlib.ExitStack() as stack:
        for obs, draw, part in parts:
            if add is None:
                each = n_obs * part.x.shape[-1] * LEAST[path.suffix.lower()]
                check_disk(path, n, each, "draws" if n_obs == 1 else f"draws at each of {n_obs:,} ys", "`n`", ("n",))
            for take in takers:
                take(obs, draw, part)
            made = part.x[..., 0].size
            if made == total:
                whole = part
                continue
            add = add or stack.enter_context(stream(part))
            add(obs, draw, part)
            report(made)
        if add is not None:
            report(0, "writing the file")
    if whole is not None:
        write(whole)


class _ResimulationErrors:
    """The resimulation error at each y, from the parts of a set.

    A search also has the error of the draws that converged: only those are solutions.
    """

    def __init__(self, observe: Observe, n_obs: int) -> None:
        self._observe = observe
        self._squares, self._counts = np.zeros(n_obs), np.zeros(n_obs, dtype=int)
        self._converged: list[float | None] = []

    def add(self, obs: int, draw: int, part: PosteriorSet) -> None:
        for k in range(part.n_obs):
            errors = squared_errors(self._observe, part.x[k], part.y[k])
            self._squares[obs + k] += errors.sum()
            self._counts[obs + k] += len(errors)
        for x, y, converged in zip(part.x, part.y, part.extra.get("converged", ()), strict=False):  # a flow has none
            found = x[converged > 0]
            self._converged.append(resimulation_error(self._observe, found, y) if len(found) else None)

    def entries(self) -> list[dict[str, Any]]:
        """A dict for each observation."""
        mean = np.where(self._counts > 0, self._squares / np.maximum(self._counts, 1), np.nan)
        entries: list[dict[str, Any]] = [{"resimulation_error": float(error)} for error in np.sqrt(mean)]
        for entry, error in zip(entries, self._converged, strict=False):  # a flow has none
            entry["resimulation_error_converged"] = error
        return entries


def _progress(total: int, on_progress: Callable[[str], None]) -> Callable[..., None]:
    """Gives report(n), which tells `on_progress` that n more draws are made, with the time that is left or `note`."""
    done, begun = 0, time.monotonic()

    def report(n: int, note: str = "") -> None:
        nonlocal done
        done += n
        left = (time.monotonic() - begun) * (total - done) / max(done, 1)
        bar = "━" * round(24 * done / total)
        on_progress(f"{bar:<24} {done:,} of {total:,} draws  {note or f'{left // 60:.0f}:{left % 60:02.0f} left'}")

    return report
