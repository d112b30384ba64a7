"""When a run is judged by cross-validation: a small table has too few held-out rows to tell anything.

Nothing here imports torch, so that cached numbers are read at once.
"""

from __future__ import annotations

from typing import Any

from inncli.errors import RequestError
from inncli.runs.run_dir import RunDir

FOLDS = 5
HELD_OUT, ROWS = 200, 2_000  # fewer of both make a table small
SECONDS = 120.0  # that all nets may take, by what the run itself took


def folds_for(run: RunDir, asked: int | None) -> int:
    """How many nets judge a run; 0 is the run itself at the held-out rows alone.

    Args:
        run: the run.
        asked: by the user; None takes `FOLDS` for a small table whose training was short.

    Raises: RequestError for 1.
    """
    if asked is not None:
        if asked == 1:
            raise RequestError("`folds=1`: one net has no rows that it has not seen; ask for at least 2, or 0", "folds")
        return asked
    info, task = run.info(), run.config()["task"]
    data = info.get("data") or {}
    if data.get("sha256") is None or task.get("n_train") is not None or info.get("status") != "done":
        return 0
    rows, seconds, fraction = (
        number(value) for value in (data.get("pairs"), info.get("seconds"), task.get("test_fraction", 0.1))
    )
    if rows is None or seconds is None or fraction is None or not 0 < fraction < 1:
        return 0
    small = rows / (1 - fraction) < ROWS and rows * fraction / (1 - fraction) < HELD_OUT
    return FOLDS if small and FOLDS * seconds <= SECONDS else 0


def number(value: Any) -> float | None:
    """A number of run.json, which may be a stranger's; None for anything else."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
