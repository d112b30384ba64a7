"""`inn`: which causes x could have produced this y, how likely each is, and how far to trust it.

From a notebook:

    >>> import inncli
    >>> run = inncli.load()                       # the latest finished run
    >>> x = run.sample([[0.3]], 1000)             # (1, 1000, Dx)
    >>> run.log_prob(x[0], y)                     # in the user's units
"""

# ruff: noqa: E402 the import path is set first
from __future__ import annotations

import os
import sys

# `python -m inncli` puts the working folder first on the import path, and that may be a stranger's: a torch.py there
# would be run. The folder stays if this very package lies in it.
if (
    sys.argv[:1] == ["-m"]
    and not getattr(sys.flags, "safe_path", False)
    and os.path.abspath(sys.path[0]) != os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
):
    del sys.path[0]

from pathlib import Path

from inncli import inference, runs
from inncli._version import __version__

__all__ = ["__version__", "load"]


def load(
    run: str | Path | None = None, device: str | None = None, config_dir: str | Path | None = None
) -> inference.trained_model.TrainedModel:
    """Opens a trained run.

    Args:
        run: a run directory, a run id or a unique prefix; None for the latest finished run.
        device: "cpu", "cuda", ...; None for the one that suits this machine.
        config_dir: your own config folder, if the run was trained with one.

    Returns: a `TrainedModel` with `sample(y, n)`, `log_prob(x, y)` and `names`; the commands use the same.
    Raises: RunError if there is no such run; CheckpointError if its files are damaged.
    """
    found = runs.registry.find_run(None if run is None else str(run))
    return inference.opening.open_run(found, device=device, config_dir=config_dir)
