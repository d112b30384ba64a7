"""Densities in the plane without an observation: the toy data of the flow literature.

Contents: one task a file, named by its yaml in conf/task; `curves`, what most of them are made of.
May import `tasks.base` and the rooms below `tasks`.
"""
