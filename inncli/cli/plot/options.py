"""Options that several figures share."""

from __future__ import annotations

from typing import Annotated

import typer

YOption = Annotated[
    str | None, typer.Option("--y", metavar="VALUES", help="The observation, e.g. 0.3 or name=3,other=4.")
]
ResimulateOption = Annotated[bool, typer.Option("--resimulate", help="Run your own simulator file again.")]
