"""Run directories and sweeps on disk. No numpy and no torch, so that `inn runs` is quick.

Contents: `run_dir.RunDir`, `sweep_dir.SweepDir`, `registry.find_run` and `registry.list_runs`. `run_info` is what
run.json may hold, `liveness` and `locks` tell whether its process lives, `provenance` where it came from.
May import `io` and the ground; not `data`, not `nn`.
"""
