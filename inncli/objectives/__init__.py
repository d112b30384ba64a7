"""What training minimises, one objective a file; `base.Objective` is the contract.

Contents: `base.Objective` and `base.Batch`. The objectives themselves are named by the yamls of conf/objective.
May import `models`, `tasks` and the rooms below them.
"""
