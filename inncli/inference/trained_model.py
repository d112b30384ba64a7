"""A trained run as an object: what notebooks hold and what the commands call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from inncli.config.trust import NOTHING, Trust
from inncli.data.relations import Relations
from inncli.errors import ConvergenceError, RunError, ShapeError
from inncli.inference.posterior_set import BYTES, PosteriorSet
from inncli.io.capacity import check_memory
from inncli.metrics.out_of_distribution import familiarity, unfamiliar
from inncli.models.base import Model
from inncli.runtime import generator
from inncli.variables import Variables

BLOCK = 100_000  # draws that are made together; a larger set is drawn, written and summarised block by block
CHUNK = 8192  # rows of a call to the model: memory is bounded, and the working set stays in the cache


class TrainedModel:
    """A trained model with its names, in NumPy and in the user's own units.

    Attributes:
        x: the columns of x.
        y: the columns of y; None for a density p(x).
        id: the run's id.
        meta: what its checkpoint says of the run.
        has_density: whether `log_prob` answers.
        trust: the config folders that it was opened with.
        relations: of columns of x that follow from the others. The model has the others alone; draws are completed.
    """

    def __init__(
        self,
        model: Model,
        meta: dict[str, Any],
        id: str,
        device: torch.device,
        trust: Trust = NOTHING,
        relations: Relations | None = None,
    ) -> None:
        self.model, self.meta, self.id, self.device = model, meta, id, device
        self.trust = trust
        self.relations = relations
        self.x: Variables = model.x if relations is None else relations.columns
        self.y: Variables | None = model.y
        self.has_density = model.has_density

    def __repr__(self) -> str:
        given = f" | {', '.join(self.y.names)}" if self.y else ""
        return f"<run {self.id}: p({', '.join(self.x.names)}{given})>"

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Column names of x and of y."""
        return {"x": self.x.names, "y": self.y.names if self.y else ()}

    def sample(self, y: ArrayLike | None = None, n: int = 1000, seed: int = 0, start: int = 0) -> np.ndarray:
        """N draws of x for each row of y; (n_obs, n, Dx), float64. Without y, n_obs is 1.

        Args:
            y: observations, (n_obs, Dy), a single row or number; None for a density p(x).
            n: draws for each row.
            seed: of the draws.
            start: the number of the first draw in a set that is drawn in blocks; each block has its own random stream.

        Raises: ShapeError if y does not fit the run; RequestError if the draws don't fit into memory.
        """
        rows = self._rows(y)
        self.check_fits(1 if rows is None else len(rows), n)
        key = (seed, "sample", start) if start else (seed, "sample")
        noise = generator(self.device, *key)
        with torch.no_grad():
            x = self.model.sample(rows, n, noise).double().cpu().numpy()
        return self._completed(x, rows, noise)

    def check_fits(self, n_obs: int, n: int) -> None:
        """Raises RequestError if n draws at each of n_obs ys don't fit into memory."""
        numbers = self.x.dim + (self.y.dim if self.y else 0) + 1
        what = "draws" if n_obs == 1 else f"draws at each of {n_obs:,} ys"
        check_memory(n, n_obs * numbers * BYTES, what, "`n`", ("n",))

    def log_prob(self, x: ArrayLike, y: ArrayLike | None = None) -> np.ndarray:
        """Log p(x | y) of each row, (n,), in the user's units.

        Args:
            x: points, (n, Dx).
            y: observations, (n, Dy), or one row for all points; None for a density p(x).

        Raises: RunError if the model has no density; ShapeError if x or y does not fit the run.
        """
        if not self.has_density:
            raise RunError(f"run {self.id}: {type(self.model).__name__} has no density; {self.model.without_density}")
        points = np.atleast_2d(_numbers("x", x, self.x))
        if points.shape[1] != self.x.dim:
            raise ShapeError(
                f"x has {points.shape[1]} columns, run {self.id} was trained on {self.x.dim} "
                f"({', '.join(self.x.names)})"
            )
        rows = self._rows(y)
        if rows is not None and len(rows) not in (1, len(points)):
            raise ShapeError(f"expected 1 or {len(points)} rows of y, got {len(rows)}")
        if rows is not None:
            rows = rows.expand(len(points), -1)
        out = []
        with torch.no_grad():
            for start in range(0, len(points), CHUNK):
                part = slice(start, start + CHUNK)
                out.append(self.model.log_prob(self.free_rows(points[part]), None if rows is None else rows[part]))
        found = torch.cat(out).double().cpu().numpy() if out else np.zeros(0)
        if self.relations is not None:
            found[self.relations.broken(points) | self.relations.outside(points)] = -np.inf
        return found

    def posterior(
        self, y: ArrayLike | None, n: int = 1000, seed: int = 0, starts: ArrayLike | None = None
    ) -> PosteriorSet:
        """The posterior set of all rows of y.

        Args:
            y: observations, (n_obs, Dy), a single row or number.
            n: draws for each row.
            seed: of the draws.
            starts: x to search from, (m, Dx), if the model is a search; None: draws of its own.

        Raises: RunError if the run has no y, or its model takes no starts; ShapeError if y does not fit the run.
        """
        rows = self._rows(y)
        if rows is None:
            raise RunError(f"run {self.id} has no y to invert; draw from it with `inn sample`")
        if starts is not None and not self.model.is_search:
            raise RunError(
                f"run {self.id}: {type(self.model).__name__} draws from its latent and takes no starts; leave them out"
            )
        points = None
        if starts is not None:
            points = self.free_rows(np.asarray(starts, dtype=np.float64))
        return self._posterior(rows, n, seed, generator(self.device, seed, "sample"), points)

    def posterior_blocks(self, y: ArrayLike | None, n: int, seed: int = 0) -> Iterator[tuple[int, int, PosteriorSet]]:
        """The posterior set of all rows of y in parts of at most 100,000 draws.

        Each part has a random generator of its own; the first is that of `posterior`. So a draw depends on the seed,
        its observation and its number; beyond 100,000 draws it does not depend on how many there are. The draws of a
        search are one part, since they are sorted together.

        Args:
            y: observations, (n_obs, Dy), a single row or number.
            n: draws for each row.
            seed: of the draws.

        Yields: the number of the part's first observation, that of its first draw, and the part.
        Raises: RunError if the run has no y; ShapeError if y does not fit the run.
        """
        rows = self._rows(y)
        if rows is None or self.model.is_search:
            yield 0, 0, self.posterior(y, n, seed)
            return
        together = max(BLOCK // n, 1)  # observations
        for obs in range(0, len(rows), together):
            for draw in range(0, n, BLOCK):
                key = (seed, "sample") if obs == draw == 0 else (seed, "sample", obs, draw)
                # Each block is drawn whole: the last draws of a generator depend on how many it makes.
                part = self._posterior(
                    rows[obs : obs + together], min(n, BLOCK), seed, generator(self.device, *key), None
                )
                yield obs, draw, part if n - draw >= part.n_draws else part.first(n - draw)

    def in_blocks(self, n_obs: int, n: int) -> bool:
        """Whether so many draws are more than one block, of a model that draws independently."""
        return n_obs * n > BLOCK and not self.model.is_search

    def _posterior(
        self, rows: torch.Tensor, n: int, seed: int, noise: torch.Generator, starts: torch.Tensor | None
    ) -> PosteriorSet:
        assert self.y is not None  # the rows are of y
        self.check_fits(len(rows), n)
        with torch.no_grad():
            drawn, numbers = self.model.posterior(rows, n, noise, starts)
        x = self._completed(drawn.double().cpu().numpy(), rows, noise)
        extra = {name: value.double().cpu().numpy() for name, value in numbers.items()}
        flat = x.reshape(-1, self.x.dim)
        y_obs = rows.cpu().numpy()
        log_prob = np.full(x.shape[:2], np.nan)
        if self.has_density:
            log_prob = self.log_prob(flat, np.repeat(y_obs, n, axis=0)).reshape(x.shape[:2])
        meta = {
            "run": self.id,
            "model": self.meta["config"]["names"].get("model"),
            "seed": seed,
            "versions": self.meta["versions"],
        }
        circles = zip(self.x.names, self.x.circles, strict=True)
        periodic = {name: list(on) for name, on in circles if on is not None}
        meta |= {"periodic": periodic} if periodic else {}
        return PosteriorSet(x, log_prob, y_obs, self.x.names, self.y.names, self.y.labels, meta, extra)

    def latent(self, x: ArrayLike, y: ArrayLike | None = None, seed: int = 0) -> np.ndarray:
        """The latent z of each pair, (n, Dz).

        Args:
            x: points, (n, Dx).
            y: the observation of each, (n, Dy); None for a density p(x).
            seed: of the noise that some models add.

        Raises: RunError if the model has no latent; ShapeError if x or y does not fit the run.
        """
        if not self.model.has_latent:
            raise RunError(
                f"run {self.id}: {type(self.model).__name__} has no latent space; pick a run of a flow or an INN"
            )
        points = np.atleast_2d(_numbers("x", x, self.x))
        rows = self._rows(y)
        if points.shape[1] != self.x.dim or (rows is not None and len(rows) != len(points)):
            raise ShapeError(
                f"expected (n, {self.x.dim}) of x and as many rows of y, got {points.shape} and "
                f"{None if rows is None else len(rows)}"
            )
        x_rows = self.free_rows(points)
        with torch.no_grad():
            z = self.model.latent(x_rows, rows, generator(self.device, seed, "latent"))
        return z.double().cpu().numpy()

    def free_rows(self, x: np.ndarray) -> torch.Tensor:
        """Rows of x as the model takes them, without the columns that follow from others. Shape: (n, Dx)."""
        return torch.as_tensor(x if self.relations is None else self.relations.take(x), device=self.device)

    def _completed(self, x: np.ndarray, rows: torch.Tensor | None, noise: torch.Generator) -> np.ndarray:
        """Draws with all columns; a draw whose computed column lies beyond its bounds is drawn again, but of a search.

        Shape: x (n_obs, n, free columns), rows (n_obs, Dy), out (n_obs, n, Dx).
        Raises: ConvergenceError if no draws lie within them.
        """
        if self.relations is None:
            return x
        x = self.relations.complete(x)
        outside = np.zeros(x.shape[:2], dtype=bool) if self.model.is_search else self.relations.outside(x)
        for _ in range(1000):
            if not outside.any():
                return x
            obs = np.flatnonzero(outside.any(1))
            with torch.no_grad():
                again = self.model.sample(None if rows is None else rows[obs], int(outside.sum(1).max()), noise)
            for i, drawn in zip(obs, self.relations.complete(again.double().cpu().numpy()), strict=True):
                drawn = drawn[~self.relations.outside(drawn)]
                places = np.flatnonzero(outside[i])[: len(drawn)]
                x[i, places] = drawn[: len(places)]
                outside[i, places] = False
        raise ConvergenceError(
            f"{int(outside.sum())} of {outside.size} draws lay beyond {', '.join(self.relations.describe())} "
            "1,000 times over; train with task.relations=false"
        )

    def unfamiliar(self, y: ArrayLike) -> list[str]:
        """One line for each row of y that is unlike the training ys."""
        statistics = self.meta.get("seen")
        if not statistics or self.y is None:
            return []
        return unfamiliar(statistics, self._checked(y, self.y).cpu().numpy(), self.y)

    def familiarity(self, y: ArrayLike) -> list[dict[str, Any]] | None:
        """The out-of-distribution score of each row of y, see `metrics.out_of_distribution.familiarity`.

        Its distance to the training ys, the percentile of that distance among theirs, and whether it is familiar. None
        if the run has no such distances.
        """
        statistics = self.meta.get("seen")
        if not statistics or self.y is None:
            return None
        return familiarity(statistics, self._checked(y, self.y).cpu().numpy())

    def diagnostics(self, n: int = 1000, seed: int = 0) -> dict[str, float]:
        """Numbers on the model's own health, `invertibility_error` for one, at n draws given the centre of training."""
        y = self._typical_y()
        x = self.sample(None if y is None else y.cpu().numpy(), n, seed).reshape(-1, self.x.dim)
        rows = self.free_rows(x)
        return self.model.diagnostics(rows, None if y is None else y.expand(len(rows), -1))

    @property
    def y_sd(self) -> dict[str, float]:
        """An estimate of the sd of each column of the training ys: that of a uniform distribution over their range."""
        statistics = self.meta.get("seen")
        if not statistics or self.y is None:
            return {}
        ranges = zip(self.y.names, statistics["low"], statistics["high"], strict=True)
        return {name: (high - low) / 12**0.5 for name, low, high in ranges}

    def _typical_y(self) -> torch.Tensor | None:
        if self.y is None:
            return None
        statistics = self.meta["seen"]
        row = np.array(statistics["low"], dtype=np.float64)
        if statistics["columns"]:
            row[statistics["columns"]] = statistics["centre"]
        return torch.as_tensor(row[None], device=self.device)

    def _rows(self, y: ArrayLike | None) -> torch.Tensor | None:
        """Y as a checked tensor (n_obs, Dy); None for a density p(x)."""
        if self.y is None:
            if y is not None:
                raise ShapeError(f"run {self.id} models p({', '.join(self.x.names)}) and takes no y; leave y out")
            return None
        return self._checked(y, self.y)

    def _checked(self, y: ArrayLike | None, variables: Variables) -> torch.Tensor:
        """Y as a tensor (n_obs, Dy); a single row or number may come without its brackets."""
        if y is None:
            raise ShapeError(f"run {self.id} models x given y ({', '.join(variables.names)}); pass a y")
        rows = _numbers("y", y, variables)
        rows = rows.reshape(1, -1) if rows.ndim < 2 else rows
        if rows.ndim != 2 or rows.shape[1] != variables.dim:
            raise ShapeError(
                f"y has shape {rows.shape}, run {self.id} was trained on {variables.dim} "
                f"({', '.join(variables.names)}); pass (n_obs, {variables.dim})"
            )
        if not np.isfinite(rows).all():
            raise ShapeError(
                f"y has a value that is not finite: {rows[~np.isfinite(rows).all(1)][0].tolist()}; pass numbers"
            )
        for i, labels in enumerate(variables.labels):
            if labels is not None and not np.isin(rows[:, i], np.arange(len(labels))).all():
                raise ShapeError(
                    f"y column {variables.names[i]} takes the codes 0 to {len(labels) - 1} "
                    f"of its labels {', '.join(labels)}, got {rows[0, i]:g}"
                )
        return torch.as_tensor(rows, device=self.device)


def _numbers(letter: str, value: ArrayLike, variables: Variables) -> np.ndarray:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ShapeError(
            f"{letter}: expected rows of numbers ({', '.join(variables.names)}), got a {type(value).__name__}; "
            "pass an array of them in that order, a label as its code"
        ) from None
