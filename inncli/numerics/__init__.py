"""Numerical methods that know nothing of this project: arrays or tensors in, arrays or tensors out.

Contents: `fixed_point.solve`, `gauss_newton.refine`, `polyak.descend`, `mmd.mmd2` and the tests made of it,
`clusters.distinct`, `iterated_maps` of the line, `grid`.
May import the ground alone.
"""
