"""One training loop for any model and any objective, and the checkpoints that it writes.

Contents: `trainer.Trainer`, `state.Data` and `state.Progress`; `checkpoint` reads and writes, `verify` says whether
what was read can be believed. Each other file is one help of the loop: devices, precision, schedule, signals.
May import `objectives`, `models`, `tasks` and the rooms below them.
"""
