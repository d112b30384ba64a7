"""Metrics, one a file: functions of arrays that know neither runs nor models.

Contents: the functions of each file. `verdicts` and `diagnosis_words` put numbers into words.
May import `data`, `io`, `numerics` and the ground; not `transforms`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.metrics import registry, verdicts

__all__ = ["registry", "verdicts"]
__getattr__ = on_demand(__name__, __all__)
