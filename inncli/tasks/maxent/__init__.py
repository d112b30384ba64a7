"""Maximum entropy under given moments: a support, statistics and their means, no data.

Contents: `base.MaxentTask`, the contract; one task a file, named by its yaml in conf/task.
May import `tasks.base`, `tasks.sampling` and the rooms below `tasks`.
"""
