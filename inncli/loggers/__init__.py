"""Other places where params, metrics and artifacts of a run are kept, beside its directory.

Contents: `base.Logger` is the contract, `base.tracked` what a training calls. One file a logger, named by the yamls of
conf/logger; its library is an extra of the package and is imported when the logger is chosen.
May import `runs`, `io` and the ground; not `transforms`, not `metrics`.
"""
