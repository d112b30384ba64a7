"""Rows that were measured: nothing is simulated, some rows are set aside for testing.

Contents: `base.Rows`, what such tasks share; `table.Table`, the user's own file, with `roles`, which tells its x from
its y, `validity`, which finds its whole rows, and `notes`, what is said of it; two data sets of scikit-learn.
May import `tasks.base` and the rooms below `tasks`.
"""
