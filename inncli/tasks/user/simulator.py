"""The user's own simulator: a Python file with a prior and a simulate function."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

from inncli.config.trust import Trust, gate
from inncli.data.names import plain_name
from inncli.data.pairs import Pairs
from inncli.errors import ConfigError, DataError
from inncli.io.worker_life import begin
from inncli.io.worker_path import safe_path, spawning
from inncli.numerics import circle
from inncli.tasks.base import Task
from inncli.tasks.user import facts
from inncli.tasks.user.module import UserFile
from inncli.types import PositiveInt
from inncli.variables import Variables

_TRIAL_PRIOR = 100  # so many that two independent draws of a discrete prior never coincide
_TRIAL_SIMULATIONS = 2


class Simulator(Task):
    """x ~ prior(n, rng), y = simulate(x, rng), both from a file that the user names.

    The file is run when the task is built, and each worker runs it again for itself. Building also tries it
    once: `prior` for 100 draws, `simulate` for 2, each twice with equal generators, which must give equal
    results.

    Optional in the file: `x_names`, `y_names`; `x_bounds`, a list of (low, high) with None for open; `x_periodic`, name
    to (low, high) of an unknown on a circle, where these two are one point; `x_steps`, name to the step between the
    values of a discrete unknown, 0 where it is continuous (None: found in the training pairs, see `columns_of`);
    `observe(x)`, y without its noise, for the resimulation error (where it lacks, `simulate` is called with a
    fixed seed); `log_prior(x)`, `log_likelihood(y, x)`, `reference_posterior(y, n, rng)`; `differentiable = True`
    where `observe` (or a `simulate` without noise) works on torch tensors too, for `inn invert --refine`.

    Args:
        file: path of the .py file.
        workers: processes that draw pairs. The pairs are the same for any number of them.
        n_train: see `Task`.
        fresh: must be false.

    Raises: DataError, one line, for whatever the file does wrong; ConfigError for `fresh`.
    """

    y: Variables

    def __init__(
        self, file: str, workers: PositiveInt = 1, n_train: PositiveInt | None = None, fresh: bool = False
    ) -> None:
        if fresh:
            # Resuming would have to run the file again, and a run directory must never make code run.
            raise ConfigError(
                "task.fresh=true is for the built-in tasks; pairs of a simulator file are drawn once and kept, "
                "raise task.n_train instead"
            )
        super().__init__(n_train, fresh)
        self.workers = workers
        self._file = UserFile(file)
        x, y = self._trial()
        x_names = self._names("x_names", "x", x.shape[1])
        y_names = self._names("y_names", "y", y.shape[1])
        shared = sorted(set(x_names) & set(y_names))
        if shared:
            raise DataError(f"{self._file.path.name}: {shared[0]!r} is in x_names and in y_names; rename one")
        self.x = facts.x_variables(self._file, x_names)
        self._steps = facts.steps(self._file, x_names)
        self.y = Variables(y_names)
        self._check_inside(x)
        # The class overrides the methods, but the file need not define the functions.
        self.has_reference = self._file.has("reference_posterior")
        self.has_log_prior = self._file.has("log_prior")
        self.has_log_likelihood = self._file.has("log_likelihood")
        self.differentiable = self._file.fact("differentiable") or False
        if not isinstance(self.differentiable, bool):
            raise DataError(
                f"{self._file.path.name}: differentiable must be True or False, got {self.differentiable!r}"
            )

    @property
    def simulator_sha256(self) -> str:
        """Checksum of the file as it was when it was run."""
        return self._file.sha256

    @functools.cached_property
    def noisy(self) -> bool:
        """Whether two generators give different ys for 8 xs, or `observe` and `simulate` do."""
        x = self.prior(8, np.random.default_rng(0))
        one, two = (self.simulate(x, np.random.default_rng(seed)) for seed in (1, 2))
        if not np.array_equal(one, two, equal_nan=True):
            return True
        close = 1e-9 * np.nanmax(np.abs(one), initial=0.0)  # the same formula may be rounded in two ways
        return not np.allclose(one, self.observe(x), rtol=0, atol=close, equal_nan=True)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N draws of x; the upper end of a circle becomes its lower one. Shape: (n, Dx).

        Raises: DataError if one is not finite, or outside `x_bounds` or `x_periodic`.
        """
        x = self._file.call("prior", n, rng, shape=(n, self.x.dim))
        self._check_finite(x)
        self._check_inside(x)
        return self._turned(x)

    def columns_of(self, pairs: Pairs) -> tuple[Variables, Variables | None]:
        """Adds to the columns of x what their draws show, see `facts.found_in`."""
        return facts.found_in(self.x, self._steps, pairs.x), self.y

    def simulate(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Y of each x; a row with a NaN or an infinite value is a failed simulation. Shape: x (n, Dx), y (n, Dy)."""
        # A copy, so that a simulator that works in place can't change the x of the pair
        y = self._file.call("simulate", x.copy(), rng, shape=(len(x), self.y.dim))
        y[~np.isfinite(y).all(axis=1)] = np.nan
        return y

    def observe(self, x: np.ndarray) -> np.ndarray:
        """Calls the file's `observe`, else its `simulate` with a fixed seed, noise included.

        For a torch tensor it returns one, where the file says `differentiable = True`.

        Shape: x (n, Dx), y (n, Dy).
        """
        if not isinstance(x, np.ndarray):
            if self._file.has("observe"):
                return self._file.call_on_tensor("observe", x)
            if self.noisy:
                raise DataError(f"{self._file.path.name}: simulate has noise; define observe(x), y without its noise")
            return self._file.call_on_tensor("simulate", x, np.random.default_rng(0))
        if not self._file.has("observe"):
            return self.simulate(x, np.random.default_rng(0))
        return self._file.call("observe", x.copy(), shape=(len(x), self.y.dim))

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draws of p(x | y) of the file, on a circle turned into its period. Shape: y (Dy,), out (n, Dx).

        Raises: ConfigError if the file has none.
        """
        if not self.has_reference:
            return super().reference_posterior(y, n, rng)
        return self._turned(
            self._file.call(
                "reference_posterior", np.asarray(y, dtype=np.float64).reshape(-1), n, rng, shape=(n, self.x.dim)
            )
        )

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        """Log p(x) of the file. Shape: x (n, Dx), out (n,). Raises: DataError if the file has none."""
        self._need("log_prior")
        return self._file.call("log_prior", x.copy(), shape=(len(x), 0))

    def log_likelihood(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Log p(y | x) of the file. Shape: y (n, Dy), x (n, Dx), out (n,). Raises: DataError if the file has none."""
        self._need("log_likelihood")
        return self._file.call("log_likelihood", y.copy(), x.copy(), shape=(len(x), 0))

    def describe(self) -> list[str]:
        lines = [*super().describe(), f"simulator: {self._file.path}"]
        boxed = [
            f"{name} in [{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"
            for name, (low, high), on in zip(self.x.names, self.x.bounds, self.x.circles, strict=True)
            if (low, high) != (None, None) and on is None
        ]
        if boxed:
            lines.append("bounds: " + ", ".join(boxed))
        if self.failed:
            lines.append(f"failed simulations, left out: {self.failed:,}")
        return lines

    def map_blocks(
        self, draw: Callable[[int, np.random.Generator], Pairs], *arguments: Iterable[Any]
    ) -> Iterator[Pairs]:
        """`map(draw, sizes, generators)`, by `workers` processes, each of which has run the file for itself."""
        lists = [list(argument) for argument in arguments]
        workers = min(self.workers, len(lists[0]))
        if workers == 1:
            yield from map(draw, *lists)
            return
        # spawn, since a fork of a process whose libraries run threads can hang
        with safe_path():  # its locks start a process of their own
            pool = ProcessPoolExecutor(workers, mp_context=spawning(), initializer=begin, initargs=(os.getpid(),))
        with pool:
            try:
                with safe_path():  # the processes start with the first call
                    call = functools.partial(_draw_in_worker, str(self._file.path), self._file.permission)
                    drawn = pool.map(call, *lists)
                yield from drawn
            except BrokenProcessPool as error:
                raise DataError(
                    f"{self._file.path.name} ended a worker process (out of memory, or a crash in compiled code); "
                    "try task.workers=1"
                ) from error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _trial(self) -> tuple[np.ndarray, np.ndarray]:
        """Calls the file's functions a first time, so that their mistakes show here and not in training.

        Returns: draws of the prior, (100, Dx), and the ys of the first two, (2, Dy).
        """
        name = self._file.path.name
        first, again, other = (
            self._file.call("prior", _TRIAL_PRIOR, np.random.default_rng(seed), shape=(_TRIAL_PRIOR, None))
            for seed in (0, 0, 1)
        )
        self._check_finite(first)
        advice = "draw every random number from rng, e.g. rng.normal(size=(n, 2))"
        if not np.array_equal(first, again):
            raise DataError(f"{name}: prior(n, rng) gave two different results for equal rngs; {advice}")
        if np.array_equal(first, other):
            raise DataError(f"{name}: prior(n, rng) gave the same {_TRIAL_PRIOR} rows for two different rngs; {advice}")
        x = first[:_TRIAL_SIMULATIONS]
        one, two = (
            self._file.call("simulate", x.copy(), np.random.default_rng(0), shape=(len(x), None)) for _ in range(2)
        )
        if not np.array_equal(one, two, equal_nan=True):
            raise DataError(f"{name}: simulate(x, rng) gave two different results for equal x and rngs; {advice}")
        return first, one

    def _names(self, fact: str, letter: str, dim: int) -> tuple[str, ...]:
        given = self._file.fact(fact)
        if given is None:
            return Variables.numbered(letter, dim).names
        name = self._file.path.name
        listed = isinstance(given, (list, tuple, np.ndarray))
        if not listed or not all(isinstance(entry, str) and plain_name(entry) for entry in given):
            raise DataError(f"{name}: {fact} must be a list of names, got {given!r}")
        given = [plain_name(entry) for entry in given]
        if len(given) != dim:
            function = {"x": "prior", "y": "simulate"}[letter]
            raise DataError(
                f"{name}: {fact} has {len(given)} names, {function} returned {dim} columns; they must agree"
            )
        if len(set(given)) < dim:
            raise DataError(f"{name}: {fact} must be different names, got {list(given)}")
        return tuple(given)

    def _turned(self, x: np.ndarray) -> np.ndarray:
        """X with each column on a circle turned into [low, high). Shape: (n, Dx)."""
        if not any(self.x.circles):
            return x
        columns = zip(x.T, self.x.circles, strict=True)
        return np.stack([column if on is None else circle.turned(column, on) for column, on in columns], 1)

    def _check_finite(self, x: np.ndarray) -> None:
        bad = ~np.isfinite(x).all(axis=1)
        if bad.any():
            raise DataError(
                f"{self._file.path.name}: prior(n, rng) must return finite numbers, got {bad.sum():,} of "
                f"{len(x):,} rows with NaN or inf"
            )

    def _check_inside(self, x: np.ndarray) -> None:
        known = zip(self.x.names, self.x.bounds, self.x.circles, x.T, strict=True)
        for name, (low, high), on, column in known:
            outside = column[
                (column < (-np.inf if low is None else low)) | (column > (np.inf if high is None else high))
            ]
            if len(outside):
                fact, way = ("x_bounds", "") if on is None else ("x_periodic", ", or return it modulo the period")
                raise DataError(
                    f"{self._file.path.name}: prior drew {name} = {outside[0]:g}, outside its {fact} "
                    f"({low}, {high}); mend one of them{way}"
                )

    def _need(self, function: str) -> None:
        if not self._file.has(function):
            raise DataError(f"{self._file.path.name} defines no {function}; add it to the file")


@functools.lru_cache(maxsize=1)
def _in_worker(file: str, permission: Trust) -> Simulator:
    with gate(permission):
        return Simulator(file)


def _draw_in_worker(file: str, permission: Trust, n: int, rng: np.random.Generator) -> Pairs:
    """One block, in a worker process, which has run the file for itself."""
    return _in_worker(file, permission).draw_pairs(n, rng)
