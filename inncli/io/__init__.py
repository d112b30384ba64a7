"""Files: written whole or not at all, and read with suspicion.

Contents: `atomic.atomic_write`; `tables` and `streams` for results, in memory or block by block; `npz.read_npz`;
`untrusted` for JSON and YAML; `jsonl` for metrics.jsonl; `digits.shown` for how many digits a number has.
`worker_path` is for the processes that inn starts, `torchrun` for those that start inn.
May import the ground alone.
"""
