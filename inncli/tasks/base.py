"""What every inverse problem offers: a prior over x, a simulator of y, and pairs drawn from both.

The convention everywhere: y = s(x) + noise. `simulate` gives y, `observe` gives s(x). Rows come first, columns last;
all arrays are NumPy float64, in the user's units. Whatever is random takes a `numpy.random.Generator`
or a seed, and the same seed gives the same pairs on any number of workers.

A task declares facts (`x`, `y`, `noise_sd`, ...) and writes methods. What a task can do (`can_simulate`,
`has_reference`, ...) follows from the methods that it overrides (`inncli.tasks.ability`).
A method that is not overridden raises a ConfigError of one line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from inncli.data.pairs import Pairs, draw_blocks
from inncli.data.relations import Relations
from inncli.data.stream import StreamedPairs
from inncli.data.table_copy import TableCopy
from inncli.errors import ConfigError, DataError
from inncli.io.capacity import check_memory
from inncli.tasks.ability import Ability, overrides
from inncli.types import PositiveInt
from inncli.variables import Variables

# Streams of one seed. They never share a generator, so test pairs are never training pairs.
TRAIN, FRESH, TEST, SPLIT, SUBSET, TRIAL = range(1, 7)
NAMED = 20  # constant columns in a message; of a long y hundreds may be
COPIES = 3  # of the pairs that are in memory at once: the blocks, the whole, the model's tensors
DEFAULT_TEST_PAIRS = 1_000
TRIAL_DRAWS, TRIAL_PAIRS = 1_000, 20  # draws of the prior, and simulations, that show a constant column at once


class Task(ABC):
    """One inverse problem.

    A subclass sets `x` and `y` and writes `prior` and `observe` (or `simulate`, where y is not s(x) plus Gaussian
    noise); a density task has `y = None` and writes `prior` alone. For each further ability it overrides a method:

    =================================  ====================  ==================================
    method                             flag                  answer
    =================================  ====================  ==================================
    `observe(x)`                       `can_simulate`        s(x), (n, Dy)
    `reference_posterior(y, n, rng)`   `has_reference`       exact draws of p(x | y), (n, Dx)
    `log_prior(x)`                     `has_log_prior`       exact log p(x), (n,)
    `log_likelihood(y, x)`             `has_log_likelihood`  exact log p(y | x), (n,)
    `log_density(x)`, where y is None  `has_log_density`     exact log p(x), (n,)
    `paths(x)`                         `has_paths`           lines in the plane, (n, points, 2)
    =================================  ====================  ==================================

    Two hooks change how pairs come about: `draw_pairs`, where x and y come out of one draw, and `map_blocks`,
    where worker processes draw. `published_observations` names the ys at which the literature compares methods.

    Args:
        n_train: the whole budget of pairs, validation included; None is the task's own default.
        fresh: draw new pairs each epoch; None does so wherever `n_train` is not given, since new pairs cost a
            built-in task nothing and can't be over-fitted. It can't be given together with `n_train`, since no more
            pairs than that may be drawn.

    Raises: ConfigError if `n_train` and `fresh` are both given, or `n_train` is too small to split.
    """

    # Facts, which a subclass declares.
    x: Variables
    y: Variables | None = None
    noise_sd: np.ndarray | None = None  # (Dy,), where the noise is Gaussian and known
    differentiable: bool = False  # observe() works on torch tensors too
    image_shape: tuple[int, int] | None = None  # (height, width), where x is the pixels of an image, row by row
    path_axes: tuple[str, str] = ("horizontal", "vertical")  # names of the plane in which paths() draws
    is_measured: bool = False  # a fixed set of rows: no new ones can be drawn
    has_data: bool = True  # training pairs are draws of the density sought; False: they only start the model
    constant_y: bool = False  # a column of y may be the same in all training pairs
    default_n_train: int = 10_000
    relations: Relations | None = None  # of columns of x that follow from the others in every row
    notes: tuple[str, ...] = ()  # what the user is told when training starts, one line each

    # Abilities, which follow from what is overridden.
    can_simulate = Ability("observe")
    has_reference = Ability("reference_posterior")
    has_log_prior = Ability("log_prior")
    has_log_likelihood = Ability("log_likelihood")
    has_log_density = Ability("log_density")
    has_paths = Ability("paths")

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for ability in [entry for entry in vars(Task).values() if isinstance(entry, Ability)]:
            ability.within(cls)

    def __init__(self, n_train: PositiveInt | None = None, fresh: bool | None = None) -> None:
        if fresh and n_train is not None:
            raise ConfigError(
                f"task.fresh=true draws new pairs each epoch, task.n_train={n_train} fixes them; pass only one"
            )
        if n_train is not None and n_train < 2:
            raise ConfigError(f"task.n_train must be at least 2 (validation comes out of it), got {n_train}")
        self.n_train = n_train
        self.fresh = n_train is None if fresh is None else fresh
        self.dropped = 0  # rows of a table left out for a missing value
        self.failed = 0  # simulations that came back as NaN, in the draw last made

    @property
    def budget(self) -> int:
        """Pairs that `training_pairs` draws, validation included."""
        return self.default_n_train if self.n_train is None else self.n_train

    @property
    def noisy(self) -> bool:
        """Whether y is more than s(x): Gaussian noise, or a `simulate` of the task's own."""
        if self.noise_sd is None:
            return overrides(self, Task, "simulate")
        return bool(np.any(self.noise_sd > 0))

    @abstractmethod
    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N draws of x ~ p(x). Shape: (n, Dx)."""

    def observe(self, x: np.ndarray) -> np.ndarray:
        """s(x), without noise. Shape: x (n, Dx), y (n, Dy)."""
        raise ConfigError(f"task {self.name} can't compute y from x")

    def simulate(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """s(x) plus noise; a row of NaN is a failed simulation. Shape: x (n, Dx), y (n, Dy)."""
        y = self.observe(x)
        return y if self.noise_sd is None else y + self.noise_sd * rng.standard_normal(y.shape)

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """N exact draws of p(x | y). Shape: y (Dy,), out (n, Dx)."""
        raise ConfigError(f"task {self.name} has no reference posterior")

    def published_observations(self) -> np.ndarray | None:
        """The ys at which the literature compares methods, (n_obs, Dy); None where there are none."""
        return None

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        """Exact log p(x), where y is what is observed. Shape: x (n, Dx), out (n,). Units: nats."""
        raise ConfigError(f"task {self.name} has no closed-form prior")

    def log_likelihood(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Exact log p(y | x) row by row. Shape: y (n, Dy), x (n, Dx), out (n,). Units: nats."""
        raise ConfigError(f"task {self.name} has no closed-form likelihood")

    def paths(self, x: np.ndarray) -> np.ndarray:
        """Each x as a line in the plane that `path_axes` names, for pictures: an arm, a trajectory.

        Shape: x (n, Dx), out (n, points, 2).
        """
        raise ConfigError(f"task {self.name} has no paths to draw")

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Exact log p(x) of a task without y. Shape: x (n, Dx), out (n,). Units: nats."""
        raise ConfigError(f"task {self.name} has no closed-form density")

    def draw_pairs(self, n: int, rng: np.random.Generator) -> Pairs:
        """N pairs of one block: `prior`, then `simulate`. Override it where x and y come out of one draw.

        Shape: x (n, Dx), y (n, Dy) or None. A row of y with a NaN is a failed simulation.
        """
        x = self.prior(n, rng)
        return Pairs(x, None if self.y is None else self.simulate(x, rng))

    def map_blocks(
        self, draw: Callable[[int, np.random.Generator], Pairs], *arguments: Iterable[Any]
    ) -> Iterable[Pairs]:
        """`map(draw, sizes, generators)`, in order. Override it where worker processes draw."""
        return map(draw, *arguments)

    def training_pairs(self, seed: int) -> Pairs | StreamedPairs:
        """The whole budget of pairs, the same for the same seed, without failed simulations.

        A table that is too large for the memory gives pairs that stay on disk.

        Raises: DataError if all simulations failed, or a column of x or (but for `constant_y`) of y is the same in
            all of them; as soon as that shows in a few draws of the prior, or in the first of several blocks of pairs.
        """
        self._check_prior(seed)
        pairs = self._successes(self._draw_blocks(self.budget, (seed, TRAIN), self._check_block))
        self._check_block(pairs)
        return pairs

    def columns_of(self, pairs: Pairs) -> tuple[Variables, Variables | None]:
        """What is known of the columns of x and y once there are training pairs; by default what was known before."""
        return self.x, self.y

    def _check_prior(self, seed: int) -> None:
        """Raises DataError if a column of x never changes; it names the columns of y that seem to be so, too."""
        rng = np.random.default_rng([seed, TRIAL])
        x = self.prior(min(self.budget, TRIAL_DRAWS), rng)
        if len(x) > 1 and (x == x[0]).all(0).any():
            y = self._successes(self.draw_pairs(min(self.budget, TRIAL_PAIRS), rng)).y
            check_spread(self.x, x, None if self.constant_y else self.y, y)

    def _check_block(self, pairs: Pairs) -> None:
        """Raises DataError if a column is the same in all pairs that did not fail."""
        good = pairs if pairs.y is None else pairs.take(np.isfinite(pairs.y).all(axis=1))
        if len(good) > 1:
            check_spread(self.x, good.x, None if self.constant_y else self.y, good.y)

    def fresh_pairs(self, seed: int, epoch: int) -> Pairs:
        """As many new pairs, for one epoch, from a random stream of their own."""
        return self._successes(self._draw_blocks(self.budget, (seed, FRESH, epoch)))

    def test_pairs(self, seed: int, n: int | None = None) -> Pairs:
        """N held-out pairs, never among this seed's training pairs; None is 1,000 or, for a table, all."""
        return self._successes(self._draw_blocks(DEFAULT_TEST_PAIRS if n is None else n, (seed, TEST)))

    def groups(self, pairs: Pairs) -> np.ndarray | None:
        """Ids of rows that must stay on one side of a split, (n,) int; None where rows are independent."""
        return None

    def rows_to_keep(self) -> TableCopy | None:
        """The rows of a table that a run keeps, so that it needs the table no more; None where it keeps none."""
        return None

    def fingerprint(self) -> dict[str, str] | None:
        """The file of measured data, {"file", "sha256"}; None for a simulator."""
        return None

    @property
    def simulator_sha256(self) -> str | None:
        """Checksum of the user's file that simulates; None where there is none."""
        return None

    @property
    def name(self) -> str:
        """The class's name as the command line writes it, e.g. eight_gaussians."""
        name = type(self).__name__
        return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))

    def describe(self) -> list[str]:
        """Short facts for `inn show`, one a line."""
        lines = ["x: " + ", ".join(self.x.names)]
        if self.y is None:
            lines.append("no y: the density p(x)")
        else:
            lines.append("y: " + ", ".join(self.y.names))
        if self.noise_sd is not None:
            lines.append("noise sd: " + ", ".join(f"{sd:g}" for sd in self.noise_sd))
        return lines + self.x.notes

    def _draw_blocks(self, n: int, key: tuple[int, ...], check_first: Callable[[Pairs], None] | None = None) -> Pairs:
        numbers = self.x.dim + (0 if self.y is None else self.y.dim)
        check_memory(n, 8 * COPIES * numbers, "pairs", "task.n_train")
        return draw_blocks(self.draw_pairs, n, key, self.map_blocks, check_first)

    def _successes(self, pairs: Pairs) -> Pairs:
        if pairs.y is None:
            return pairs
        good = np.isfinite(pairs.y).all(axis=1)
        self.failed = int(len(good) - good.sum())
        if not good.any():
            raise DataError(f"all {len(good):,} simulations failed (a NaN in y); check the simulator")
        return pairs if good.all() else pairs.take(good)


def check_spread(
    x: Variables, x_values: np.ndarray, y: Variables | None, y_values: np.ndarray | None, rows: int | None = None
) -> None:
    """Raises DataError if columns are the same in all rows, since nothing can be learned from them; it names 20.

    Args:
        x: the columns of x.
        x_values: all rows, or their least and largest values, (n, Dx).
        y: the columns of y; None where they may be constant.
        y_values: the same of y, (m, Dy).
        rows: how many there are, where the values are the range alone.
    """
    found = {"x": _constants(x, x_values)}
    if y is not None and y_values is not None:
        found["y"] = _constants(y, y_values)
    said = [f"{letter} {_columns_are(constants)}" for letter, constants in found.items() if constants]
    if said:
        count = sum(map(len, found.values()))
        raise DataError(
            f"{' and '.join(said)} in all {rows or len(x_values):,} rows, so there is nothing to learn from "
            f"{'it; leave it out' if count == 1 else 'them; leave them out'}"
        )


def _constants(variables: Variables, values: np.ndarray) -> dict[str, str]:
    """The columns that are the same in all rows, with their value in words."""
    return {
        name: labels[int(column[0])] if labels else f"{column[0]:g}"
        for name, labels, column in zip(variables.names, variables.labels, values.T, strict=True)
        if len(column) and column.min() == column.max()
    }


def _columns_are(constants: dict[str, str]) -> str:
    if len(constants) == 1:
        ((name, value),) = constants.items()
        return f"column {name!r} is {value}"
    said = [f"{name!r} ({value})" for name, value in constants.items()]
    more = f" and {len(said) - NAMED:,} more" if len(said) > NAMED else ""
    return f"columns {', '.join(said[:NAMED])}{more} are the same"
