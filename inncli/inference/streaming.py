"""Posterior sets and samples too large for the memory: drawn, written and summarised block by block.

TrainedModel.posterior_blocks --> file (whole or not at all), StreamedSummary (the summary table), resimulation errors
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from inncli.inference.posterior_set import PosteriorSet
from inncli.inference.sample_set import SampleSet
from inncli.inference.summary import Column, StreamedSummary
from inncli.inference.trained_model import BLOCK, TrainedModel
from inncli.io.streams import npz_writer, table_writer
from inncli.io.tables import to_outside
from inncli.metrics.resimulation import squared_errors

Add = Callable[[int, int, PosteriorSet], None]


def write_posterior(
    trained: TrainedModel,
    y: np.ndarray,
    n: int,
    seed: int,
    path: Path,
    *,
    observe: Callable[[np.ndarray], np.ndarray] | None = None,
    on_progress: Callable[[str], None] = lambda text: None,
) -> tuple[StreamedSummary, list[dict] | None]:
    """Writes n draws at each row of y to `path`; returns their summary, and the resimulation error of each row.

    Args:
        observe: the task's s(x); None leaves the errors out.
        on_progress: is told how far it is.
    """
    digest, squares, counts = StreamedSummary(len(y), n), np.zeros(len(y)), np.zeros(len(y), dtype=int)
    report = _progress(len(y) * n, on_progress)
    with contextlib.ExitStack() as stack:
        add: Add | None = None
        for obs, draw, part in trained.posterior_blocks(y, n, seed):
            if add is None:
                add = stack.enter_context(_writer(path, part, y, n))
            add(obs, draw, part)
            digest.add(part, draw)
            for k in range(part.n_obs if observe else 0):
                errors = squared_errors(observe, part.x[k], part.y[k])
                squares[obs + k] += errors.sum()
                counts[obs + k] += len(errors)
            report(part.n_obs * part.n_draws)
        report(0, "writing the file")
    if observe is None:
        return digest, None
    mean = np.where(counts > 0, squares / np.maximum(counts, 1), np.nan)
    return digest, [{"resimulation_error": float(error)} for error in np.sqrt(mean)]


@contextlib.contextmanager
def _writer(path: Path, first: PosteriorSet, y: np.ndarray, n: int) -> Iterator[Add]:
    """Gives add(obs, draw, part) for the format of the suffix; parts come in order."""
    suffix = path.suffix.lower()
    if suffix == ".nc":
        from inncli.inference import netcdf

        with netcdf.writer(path, first, y, n) as add:
            yield add
    elif suffix == ".npz":
        dim = first.x.shape[2]
        kinds = {
            "x": ((len(y), n, dim), np.float64),
            **dict.fromkeys(("log_prob", *first.extra), ((len(y), n), np.float64)),
        }
        whole = PosteriorSet(
            np.zeros((len(y), 1, dim)), None, y, first.x_names, first.y_names, first.y_labels, first.meta
        )  # of all observations, for what is said of them
        with npz_writer(path, kinds, whole.heading()) as write:
            yield lambda obs, draw, part: write({"x": part.x, "log_prob": part.log_prob, **part.extra})
    else:
        with table_writer(path, first.note()) as write:
            yield lambda obs, draw, part: write(part.columns(obs, draw))


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
        ys: the training ys that y is drawn from; None where the model has none.
    """
    names, labels = ((), ()) if trained.y is None else (trained.y.names, trained.y.labels)
    # As in a smaller set y is text throughout where a column has labels; 24 letters hold any number.
    widest = max((len(label) for entry in labels for label in entry or ()), default=0)
    kind = np.dtype(f"U{max(widest, 24)}") if widest else np.dtype(np.float64)
    report = _progress(n, on_progress)
    columns: dict[str, Column] = {}
    with contextlib.ExitStack() as stack:
        write = None
        for start in range(0, n, BLOCK):
            x, y = sample_block(trained, ys, BLOCK, seed, start)
            part = SampleSet(x[: n - start], None if y is None else y[: n - start], trained.x.names, names, labels)
            arrays = {"x": part.x} if y is None else {"x": part.x, "y": to_outside(part.y, part.y_labels)}
            if write is None:
                kinds = {
                    name: ((n, value.shape[1]), kind if name == "y" else np.float64) for name, value in arrays.items()
                }
                write = stack.enter_context(
                    npz_writer(path, kinds, part.names()) if path.suffix.lower() == ".npz" else table_writer(path, {})
                )
            write(arrays if path.suffix.lower() == ".npz" else part.columns())
            for name, values in part.numbers().items():
                columns.setdefault(name, Column()).add(values)
            report(len(part.x))
        report(0, "writing the file")
    return {name: column.summary() for name, column in columns.items()}


def sample_block(
    trained: TrainedModel, ys: np.ndarray | None, n: int, seed: int, start: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """N draws, numbered from `start`: x (n, Dx) and the training y that each belongs to, or None."""
    if ys is None:
        return trained.sample(None, n, seed, start)[0], None
    y = ys[np.random.default_rng([seed, start] if start else seed).integers(len(ys), size=n)]
    return trained.sample(y, 1, seed, start)[:, 0], y


def _progress(total: int, on_progress: Callable[[str], None]) -> Callable[..., None]:
    """report(n), which says that n more draws are made."""
    done, begun = 0, time.monotonic()

    def report(n: int, words: str = "") -> None:
        nonlocal done
        done += n
        left = (time.monotonic() - begun) * (total - done) / max(done, 1)
        bar = "━" * round(24 * done / total)
        on_progress(f"{bar:<24} {done:,} of {total:,} draws  {words or f'{left // 60:.0f}:{left % 60:02.0f} left'}")

    return report
