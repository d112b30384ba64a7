"""Inverse problems of the literature, with its constants and with exact draws of the posterior.

Contents: one task a file, named by its yaml in conf/task; `published`, the ys and draws that came with the benchmark of
simulation-based inference.
May import `tasks.base`, `tasks.sampling` and the rooms below `tasks`.
"""
