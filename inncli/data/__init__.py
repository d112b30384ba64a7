"""Pairs (x, y), and the tables that they are read from. No torch.

Contents: `pairs.Pairs` with `split`, `draw_blocks`, `save_pairs` and `load_pairs`; `tables.read_table` for a table that
fits the memory, of a CSV by `csv_table` (its text: `csv_text`, its cells: `cells`); `chunks`, `scan` and
`stream.StreamedPairs` for one that stays on disk; `layout`, how arrays make a table; `names`, how columns are called;
`columns`, the facts found in a column, `codes` for a missing value, and `suspicions`; `relations` between columns;
`observations`, the values that a user gives for x or y.
May import `io`, `numerics` and the ground; not `runs`, not `nn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # the command line names these; each is imported when it first does
    from inncli.data import observations

__all__ = ["observations"]
__getattr__ = on_demand(__name__, __all__)
