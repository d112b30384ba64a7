"""A group of commands whose modules are imported when they are called, so that help and completion are quick."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def new_app(cls: type[TyperGroup] | None = None, **settings: Any) -> typer.Typer:
    """A Typer app in the way of all of ours: no rich in help texts, since it doubles their time."""
    return typer.Typer(cls=cls, rich_markup_mode=None, pretty_exceptions_enable=False, **settings)


class LazyGroup(TyperGroup):
    """Lists its commands from a table; imports a command's module, `package.name`, when the command is called.

    The module holds the command under its own name: a function, or the Typer app of a group.
    """

    package: str
    lines: dict[str, str]  # the first line of each command's help, by name

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, line in self.lines.items():
            self.add_command(TyperCommand(name, help=line, rich_markup_mode=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that these words call, and the words that are left for it."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, None if name is None or listed is None else self.load(name), rest

    def load(self, name: str) -> Any:
        """The command itself, its module imported."""
        found = getattr(importlib.import_module(f"{self.package}.{name}"), name)
        if not isinstance(found, typer.Typer):
            app = new_app(add_completion=False)
            app.command(name)(found)
            found = app
        return typer.main.get_command(found)
