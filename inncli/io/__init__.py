"""Files: written whole or not at all, and read with suspicion.

Contents: `atomic.atomic_write`; `tables` and `streams` for results, in memory or block by block; `npz.read_npz`;
`untrusted` and `untrusted_yaml` for what others may have written; `jsonl` for metrics.jsonl; `digits.shown` for how
many digits a number has. `worker_path` is for the processes that inn starts, `torchrun` for those that start inn.
May import the ground alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.rooms import on_demand

if TYPE_CHECKING:  # imported where it is first named, see `inncli.rooms`
    from inncli.io import untrusted_yaml

__all__ = ["untrusted_yaml"]
__getattr__ = on_demand(__name__, __all__)
