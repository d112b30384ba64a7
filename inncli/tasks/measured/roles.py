"""Which columns of a table are x and which are y."""

from __future__ import annotations

from collections import Counter
from typing import Any

from inncli.data.chunks import Blocks
from inncli.data.tables import RawTable
from inncli.errors import ConfigError, DataError, did_you_mean

Source = RawTable | Blocks  # a table in memory, or on disk


def as_words(names: str | int | list[str | int] | None) -> list[str] | None:
    """Names of columns as a list of text: a year in a header is a number to a config."""
    if names is None:
        return None
    return [str(names)] if isinstance(names, (str, int)) else [str(name) for name in names]


def roles_of(
    raw: Source, x: list[str] | None, y: list[str] | None, n_y: int | None
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Any]]:
    """Names of x, names of y, and every column by its name: values (n,), or the handle of a column on disk.

    Args:
        raw: the table.
        x: names of the columns of x; None is all but those of y.
        y: names of the columns of y; None leaves them to the file, or to `n_y`.
        n_y: how many columns at the end are y, where the table has no names; None is 1.

    Raises: ConfigError or DataError for a name or a number that does not fit the table.
    """
    names, roles = raw.names, raw.roles
    if n_y is not None and names is not None:
        raise ConfigError(f"task.n_y is for a CSV without a header, {raw.path.name} names its columns; pass task.y")
    if names is None:
        last = (1 if y is None else len(y)) if n_y is None else n_y
        if last >= len(raw.columns):
            raise ConfigError(
                f"{raw.path.name} has no header and {len(raw.columns)} columns, {last} of them y: none is left for x"
            )
        first = len(raw.columns) - last
        roles = tuple(f"x{i + 1}" for i in range(first)), tuple(f"y{i + 1}" for i in range(last))
        names = roles[0] + roles[1]
    by_name = dict(zip(names, raw.columns, strict=True))
    if y is not None:
        y_names = _known(raw, "y", y, names)
    elif roles is not None:
        y_names = roles[1]
    else:
        raise ConfigError(
            f"task.y must name the columns of y, e.g. 'task.y=[{names[-1]}]', or be [] for a density of x; "
            f"{raw.path.name} has {', '.join(names)}"
        )
    rest = tuple(name for name in (roles[0] if roles and y is None else names) if name not in y_names)
    x_names = rest if x is None else _known(raw, "x", x, names)
    both = [name for name in x_names if name in y_names]
    if both:
        raise ConfigError(f"column {both[0]!r} is in task.x and in task.y; leave it in one of them")
    if not x_names:
        raise ConfigError(f"task.x must name at least one column of {raw.path.name}: {', '.join(names)}")
    return x_names, y_names, by_name


def _known(raw: Source, letter: str, asked: list[str], names: tuple[str, ...]) -> tuple[str, ...]:
    for name, count in Counter(asked).items():
        if name not in names:
            raise DataError(
                f"{raw.path.name} has no column {name!r} (task.{letter}){did_you_mean(name, names)}; "
                f"it has {', '.join(names)}{', without a header of names' if raw.names is None else ''}"
            )
        if count > 1:
            raise ConfigError(f"task.{letter} names column {name!r} {count} times; name it once")
    return tuple(asked)
