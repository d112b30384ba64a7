"""Small problems with exact posteriors, on which one sees what a model does.

Contents: one task a file, named by its yaml in conf/task.
May import `tasks.base`, `tasks.sampling` and the rooms below `tasks`.
"""
