"""Nets inside the transforms and models, and what they share.

Contents: `mlp.MLP`, `made.MADE`, `lipschitz.LipschitzNet`, `features.Features`, `components.Components`,
`embedding.Embedding`; `sharding.row_wise` shares the
rows of a batch out between processes, `autocast.subnet` marks what may be rounded, `losses` are those of a regression.
May import `numerics` and the ground; not `data`, not `runs`.
"""
