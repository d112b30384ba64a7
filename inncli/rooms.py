"""Rooms whose modules are imported when they are first named.

The command line names what it needs at the top of each file, `from inncli import inference`, and writes
`inference.opening.open_run(...)` where it needs it. A room by itself costs nothing; its module, with torch or
matplotlib behind it, is imported at that line. So help texts and wrong requests answer at once, and no import hides
in a function.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from types import ModuleType


def on_demand(room: str, modules: Collection[str]) -> Callable[[str], ModuleType]:
    """The `__getattr__` of a room: imports a module of it when it is first named.

    Args:
        room: `__name__` of the room.
        modules: names of its modules; its `__all__`.
    """

    def module(name: str) -> ModuleType:
        if name not in modules:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return importlib.import_module(f"{room}.{name}")

    return module
