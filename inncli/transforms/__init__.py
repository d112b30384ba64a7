"""Bijections, one a file; `base.Transform` states the convention of them all.

Contents: `base.Transform`; each file's class has the name of its file; `blocks` are what a flow is stacked from.
May import `nn`, `numerics` and the ground; not `models`, not `metrics`.
"""
