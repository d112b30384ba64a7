"""The classifier two-sample test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import joblib
import numpy as np
import torch

from inncli.numerics.classifiers import fitted_log_odds
from inncli.numerics.statistics import mean_and_sd
from inncli.types import Real

FOLDS = 5
CLASSIFIER = "scikit-learn MLP, 2 hidden layers of 10 * Dx, 5-fold"
FAR = 1e4  # sds: of rows that lie further out, float32 would lose the others' digits
UNITS = 300  # in a layer, over all nets that learn together: their arrays stay in the cache
VALUES = 10**7  # in the rows of all of these nets, of which there are some copies


def c2st(
    x: Real[np.ndarray, "n dim"], reference: Real[np.ndarray, "m dim"], seed: int = 1, folds: int = FOLDS
) -> float:
    """Accuracy with which a classifier tells draws from reference draws: .5 perfect, 1 useless.

    The published classifier: scikit-learn's MLP with two hidden layers of 10 * Dx, ReLU, Adam, at
    most 1,000 iterations, 5-fold cross-validated accuracy; both sides z-scored by the reference.

    Shape: x (n, Dx), reference (m, Dx); .5 is perfect where n = m.
    Reference: Lopez-Paz and Oquab 2017, arXiv:1610.06545; settings of Lueckmann et al. 2021,
        Benchmarking simulation-based inference, arXiv:2101.04653.
    """
    return c2st_scores([(x, reference)], seed, folds)[0]


def c2st_scores(
    compared: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int = 1,
    folds: int = FOLDS,
    cores: int | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
    on_log_odds: Callable[[int, np.ndarray], None] = lambda pair, log_odds: None,
) -> list[float]:
    """`c2st` of each pair (x, reference); the nets of all folds of all pairs learn together, in batches.

    A batch computes on one thread, and what it holds doesn't depend on `cores`: nor do the numbers.

    Args:
        compared: pairs of (x, reference), both (rows, Dx).
        seed: of the classifiers and of the split into folds.
        folds: parts of the rows; each is judged by a classifier that learned on the others.
        cores: threads; None takes as many as there are cores.
        on_progress: called with the share of the work that is done, a guess.
        on_log_odds: called with the number of each pair and the log odds that a row is a draw, of the reference and x
            in this order, (rows,), by the classifier which has not seen it.
    """
    pairs = [_Pair.of(x, reference, folds, seed) for x, reference in compared]
    by_shape: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for k, pair in enumerate(pairs):
        for fold, test in enumerate(pair.folds):
            by_shape.setdefault((*pair.rows.shape, len(test)), []).append((k, fold))
    batches = [batch for (n, dim, _), nets in by_shape.items() for batch in _batches(nets, folds, n, dim)]
    found = np.empty((len(pairs), folds))
    by_row = [np.empty(len(pair.rows)) for pair in pairs]
    done, lock, stop = [0.0] * len(batches), threading.Lock(), threading.Event()

    def fit(i: int) -> None:
        def progress(share: float) -> None:
            if stop.is_set():
                raise InterruptedError
            with lock:
                done[i] = share * len(batches[i])
                on_progress(sum(done) / found.size)

        for (k, fold), log_odds in zip(batches[i], _log_odds(pairs, batches[i], seed, progress), strict=True):
            judged = np.sort(pairs[k].folds[fold])
            found[k, fold] = np.mean((log_odds > 0) == (pairs[k].sides[judged] > 0))
            by_row[k][judged] = log_odds

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(cores or joblib.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                for future in as_completed([pool.submit(fit, i) for i in range(len(batches))]):
                    future.result()
            finally:  # an error or Ctrl-C ends the others with their epoch
                stop.set()
    finally:
        torch.set_num_threads(threads)
    for k, log_odds in enumerate(by_row):
        on_log_odds(k, log_odds)
    return found.mean(1).tolist()


@dataclass(frozen=True)
class _Pair:
    """One comparison: rows in sds of the reference, (n, Dx), 1 for each that is a draw, the rows of each fold."""

    rows: np.ndarray
    sides: np.ndarray
    folds: list[np.ndarray]

    @classmethod
    def of(cls, x: np.ndarray, reference: np.ndarray, folds: int, seed: int) -> _Pair:
        mean, sd = mean_and_sd(reference, ddof=1)
        rows = (np.concatenate([reference, x]) - mean) / np.where(sd > 0, sd, 1.0)
        # as KFold(shuffle=True) of scikit-learn splits them
        order = np.random.RandomState(seed).permutation(len(rows))
        return cls(rows, np.repeat([0.0, 1.0], [len(reference), len(x)]), np.array_split(order, folds))


def _batches(nets: list[tuple[int, int]], folds: int, n: int, dim: int) -> list[list[tuple[int, int]]]:
    """Nets that learn together: as many as have `UNITS` in a layer, or those of one pair; fewer where rows are many."""
    most = min(max(UNITS // (10 * dim), folds), max(VALUES // (n * dim), 1))
    parts = -(-len(nets) // most)
    return [[nets[i] for i in part] for part in np.array_split(np.arange(len(nets)), parts)]


def _log_odds(
    pairs: list[_Pair], nets: list[tuple[int, int]], seed: int, on_progress: Callable[[float], None]
) -> np.ndarray:
    """What each net (pair, fold) says of its fold, (nets, rows); it learned on the pair's other rows."""
    train, train_sides, test = [], [], []
    for k, fold in nets:
        pair, judged = pairs[k], np.sort(pairs[k].folds[fold])
        learned = np.delete(np.arange(len(pair.rows)), judged)
        train.append(pair.rows[learned].T)
        train_sides.append(pair.sides[learned])
        test.append(pair.rows[judged].T)
    far = max(np.abs(pairs[k].rows).max() for k, _ in nets) > FAR
    dtype = torch.float64 if far else torch.float32
    learn, sides, judge = (torch.as_tensor(np.stack(part), dtype=dtype) for part in (train, train_sides, test))
    return fitted_log_odds(learn, sides, judge, 10 * learn.shape[1], seed, on_progress)
