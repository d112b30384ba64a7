"""What a trained model is worth: numbers on held-out pairs, their standard errors, verdicts, and runs compared.

Contents: `evaluate` for one run, `compare` for many, `settings.EvaluationSettings`, the config group `evaluation`.
`calibration` and `reference` measure for `evaluate`, `cache` keeps what was found in the run directory.
May import `inference`, `training` and the rooms below them; not `experiments`, not `plots`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.evaluation import cache, compare, entries, evaluate, groups, request

__all__ = ["cache", "compare", "entries", "evaluate", "groups", "request"]
__getattr__ = on_demand(__name__, __all__)
