"""Who answers at held-out rows: one net that has seen none of them, or of several nets the one that has not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inncli.data.pairs import Pairs
from inncli.inference.trained_model import TrainedModel
from inncli.types import Float, Int

Net = tuple[TrainedModel, Int[np.ndarray, " rows"]]  # a net, and the numbers of the rows at which it answers


class Answers:
    """Draws and densities at held-out rows, each by a net that has not seen the row.

    Args:
        pairs: held-out pairs.
        nets: of one configuration, and the rows of each; every row has one.
        training_x: the xs that the only net was trained on, (n, Dx); None if they are not known. Of several nets each
            was trained on the rows of the others.
    """

    def __init__(self, pairs: Pairs, nets: Sequence[Net], training_x: np.ndarray | None = None) -> None:
        self.pairs, self.nets, self._training_x = pairs, nets, training_x
        self.first: TrainedModel = nets[0][0]
        self._net = np.zeros(len(pairs), dtype=int)
        for k, (_, rows) in enumerate(nets):
            self._net[rows] = k

    @classmethod
    def of_one(cls, trained: TrainedModel, pairs: Pairs, training_x: np.ndarray | None = None) -> Answers:
        """Those of one net, to which all pairs are new."""
        return cls(pairs, [(trained, np.arange(len(pairs)))], training_x)

    @property
    def cross_validated(self) -> bool:
        """Whether several nets answer."""
        return len(self.nets) > 1

    @property
    def words(self) -> str:
        """What a verdict says of it; empty for one net."""
        return f"cross-validated, {len(self.nets)} nets on {len(self.pairs):,} rows" if self.cross_validated else ""

    def first_rows(self, n: int) -> Answers:
        """The same at the first n rows."""
        nets = [(trained, rows[rows < n]) for trained, rows in self.nets]
        return Answers(self.pairs.take(slice(n)), nets, self._training_x)

    def sample(self, rows: Int[np.ndarray, " m"], n: int, seed: int) -> Float[np.ndarray, "m n dim"]:
        """N draws at the y of each row, (m, n, Dx)."""
        assert self.pairs.y is not None  # the caller asks
        out = np.empty((len(rows), n, self.first.x.dim))
        for k, mine in self._each(rows):
            out[mine] = self.nets[k][0].sample(self.pairs.y[rows[mine]], n, seed)
        return out

    def log_prob(
        self, rows: Int[np.ndarray, " m"], x: Float[np.ndarray, "m dim"], y: np.ndarray | None
    ) -> Float[np.ndarray, " m"]:
        """Log density of each x at its y, (m,), by the net of its row."""
        out = np.empty(len(rows))
        for k, mine in self._each(rows):
            out[mine] = self.nets[k][0].log_prob(x[mine], None if y is None else y[mine])
        return out

    def training_xs(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """For each net the rows at which it answers, and the xs that it was trained on, where they are known."""
        if not self.cross_validated:
            return [(self.nets[0][1], self._training_x)]
        return [(rows, np.delete(self.pairs.x, rows, axis=0)) for _, rows in self.nets]

    def _each(self, rows: np.ndarray) -> list[tuple[int, np.ndarray]]:
        net = self._net[rows]
        return [(int(k), np.flatnonzero(net == k)) for k in np.unique(net)]
