"""Pairs (x, y), and the tables that they are read from. No torch.

Contents: `pairs.Pairs` with `split`, `draw_blocks`, `save_pairs` and `load_pairs`; `tables.read_table` for a table that
fits the memory; `chunks`, `scan` and `stream.StreamedPairs` for one that stays on disk; `layout`, how arrays make a
table; `columns`, the facts found in a column; `observations`, the values that a user gives for x or y.
May import `io`, `numerics` and the ground; not `runs`, not `nn`.
"""
