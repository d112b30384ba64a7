"""Options that several commands share, and the checks that need no model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from inncli.cli import completion
from inncli.errors import RequestError
from inncli.io.paths import user_path

RunOption = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="RUN",
        autocompletion=completion.runs,
        show_default="the latest finished run",
        help="Run directory, run id or a unique prefix of it.",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME", show_default="auto", help="Where to compute: auto, cpu, cuda, cuda:1, mps."
    ),
]
ConfigDirOption = Annotated[
    str | None,
    typer.Option(
        "--config-dir",
        metavar="DIR",
        help="Your own config folder (DIR/model/mine.yaml); its classes may then be built.",
    ),
]
TableOption = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        metavar="FILE",
        help="The table that the run was trained on, where it has been moved and the run keeps no copy.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Seed of the draws.")]
SamplesOption = Annotated[int, typer.Option("--samples", "-n", min=1, metavar="N", help="Number of draws.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
OutOption = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        show_default="in the run directory",
        help="Where to write; the suffix is the format.",
    ),
]


def checked_out(out: str | None, suffixes: Sequence[str]) -> Path | None:
    """The path of `--out`, checked before anything is computed; None where none was given.

    Where it is a link, what it leads to is written.

    Raises: RequestError for a folder, an unknown suffix, a pipe or a device, or a place that can't be written to.
    """
    if out is None:
        return None
    path = user_path(out)
    if path.is_dir():
        raise RequestError(
            f"--out: expected a file name, got the folder {out}; add a name, e.g. {path / ('result' + suffixes[0])}"
        )
    if path.suffix.lower() not in suffixes:
        raise RequestError(
            f"--out: expected a name that ends in one of {' '.join(suffixes)}, got {out!r}; change its suffix"
        )
    if path.is_symlink():
        suffix, path = path.suffix.lower(), Path(os.path.realpath(path))
        if path.suffix.lower() != suffix or path.is_symlink():  # a circle stays a link
            raise RequestError(
                f"--out: expected a link to a file that ends in {suffix}, got {out}, which leads to {path}; name a file"
            )
    if path.exists() and not path.is_file():
        raise RequestError(f"--out: expected a file, got {out}, which is a pipe or a device; name a file")
    if (above := _closed(path)) is not None:
        raise RequestError(f"--out: {above} can't be written to; name a file elsewhere")
    return path


def in_run(path: Path) -> Path:
    """This path, in a run directory, where no `--out` was given; checked before anything is computed.

    Raises: RequestError if it can't be written to: the run may be a colleague's.
    """
    if (above := _closed(path)) is not None:
        raise RequestError(f"{above} can't be written to; name a file elsewhere with --out")
    return path


def _closed(path: Path) -> Path | None:
    """What is in the way of writing `path`: the nearest folder above it that is there, if it is closed."""
    above = next(parent for parent in path.absolute().parents if parent.exists())
    return None if above.is_dir() and os.access(above, os.W_OK | os.X_OK) else above
