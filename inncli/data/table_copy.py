"""A copy of the rows of a user's table, kept with the run that was trained on them: such a run needs the table no more.

An .npz of plain arrays: x (n, Dx), y (n, Dy) where there is one, and the facts as JSON: the columns of x and y, and of
which file these are the rows. The same rows give the same bytes, so that the jobs of a sweep share one copy.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inncli.data.pairs import Pairs
from inncli.errors import CheckpointError
from inncli.io.npz import read_npz
from inncli.io.permissions import closed
from inncli.io.untrusted import parse_json
from inncli.variables import Variables

FACTS: dict[str, type | tuple[type, ...]] = {
    "x": dict,
    "y": (dict, type(None)),
    "read_rows": int,
    "dropped": int,
    "file": str,
    "sha256": str,
}


@dataclass(frozen=True)
class TableCopy:
    """The rows of a table as a model sees them.

    Args:
        pairs: all valid rows, those for testing included; codes in the columns with labels.
        x: the columns of x.
        y: the columns of y; None for a density p(x).
        read_rows: rows of the table.
        dropped: how many of them were not valid.
        file: where the table was.
        sha256: its checksum.

    Raises: ValueError if the pairs don't fit the columns.
    """

    pairs: Pairs
    x: Variables
    y: Variables | None
    read_rows: int
    dropped: int
    file: str
    sha256: str

    def __post_init__(self) -> None:
        for letter, part, known in (("x", self.pairs.x, self.x), ("y", self.pairs.y, self.y)):
            if (None if part is None else part.shape[1]) != (None if known is None else known.dim):
                raise ValueError(f"its {letter} does not fit its columns")
            if part is None or known is None:
                continue
            if not np.isfinite(part).all():
                raise ValueError("it holds a value that is not finite")
            for labels, column in zip(known.labels, part.T, strict=True):
                if labels is not None and not np.isin(column, np.arange(len(labels))).all():
                    raise ValueError("it holds a code without a label")

    def to_bytes(self) -> bytes:
        """The file's bytes, which follow from the rows and facts alone."""
        facts = {
            "x": self.x.to_dict(),
            "y": None if self.y is None else self.y.to_dict(),
            "read_rows": self.read_rows,
            "dropped": self.dropped,
            "file": self.file,
            "sha256": self.sha256,
        }
        arrays = {"x": self.pairs.x} if self.pairs.y is None else {"x": self.pairs.x, "y": self.pairs.y}
        written = io.BytesIO()
        arrays["facts"] = np.array(json.dumps(facts, sort_keys=True))
        np.savez(written, **arrays)  # type: ignore[arg-type]  # the stub gives `**arrays` to `allow_pickle` too
        return written.getvalue()


def read(path: Path) -> tuple[Pairs, dict[str, Any]]:
    """The pairs of a copy, and its facts as they are written: the caller checks what they say of the columns.

    Raises: CheckpointError if the file is damaged or none of inn's.
    """
    try:
        arrays = read_npz(path)
        facts = parse_json(str(arrays["facts"]))
        if not isinstance(facts, dict) or not all(isinstance(facts.get(key), kind) for key, kind in FACTS.items()):
            raise ValueError("it does not say what its rows are")
        return Pairs(arrays["x"], arrays.get("y")), facts
    except PermissionError:
        raise closed(path) from None
    except (OSError, ValueError, KeyError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, why: object) -> CheckpointError:
    """The error for a copy that can't be used."""
    return CheckpointError(
        f"{path} is not a whole copy of a table ({' '.join(str(why).split())[:200]}); restore it, or give the table "
        "itself with `table='FILE'`",
        "table",
    )
