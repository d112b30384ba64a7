"""Which columns of a table are x and which are y."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from inncli.data.chunks import Blocks
from inncli.data.names import plain_name
from inncli.data.tables import RawTable
from inncli.errors import ConfigError, DataError, did_you_mean

Source = RawTable | Blocks  # a table in memory, or on disk
Positions = dict[str, int]  # which column of the file each name is


def as_words(names: str | int | Sequence[str | int] | None) -> list[str] | None:
    """Names of columns as a list of text, as `plain_name` spells them: a year in a header is a number to a config."""
    if names is None:
        return None
    return [plain_name(str(name)) for name in ([names] if isinstance(names, (str, int)) else names)]


def roles_of(
    raw: Source, x: list[str] | None, y: list[str] | None, n_y: int | None, x_except: list[str] | None = None
) -> tuple[tuple[str, ...], tuple[str, ...], Positions]:
    """Names of x, names of y, and which column of the file each name is.

    Args:
        raw: the table.
        x: names of the columns of x; None is all but those of y.
        y: names of the columns of y; None leaves them to the file, or to `n_y`.
        n_y: how many columns at the end are y, where the table has no names; None is as many as `x` and `y` name, or 1.
        x_except: names of columns that are left out where `x` is None.

    Raises: ConfigError or DataError for a name or a number that does not fit the table.
    """
    if x is not None and x_except:
        raise ConfigError("task.x names the columns of x, task.x_except those left out of all; pass only one")
    names, roles = raw.names, raw.roles
    if n_y is not None and names is not None:
        raise ConfigError(f"task.n_y is for a CSV without a header, {raw.path.name} names its columns; pass task.y")
    if names is None:
        last = _named_ys([*(x or ()), *(y or ()), *(x_except or ())], y) if n_y is None else n_y
        if last >= len(raw.columns):
            raise ConfigError(
                f"{raw.path.name} has no header and {len(raw.columns)} columns, {last} of them y: none is left for x"
            )
        first = len(raw.columns) - last
        roles = tuple(f"x{i + 1}" for i in range(first)), tuple(f"y{i + 1}" for i in range(last))
        names = roles[0] + roles[1]
    positions = {name: i for i, name in enumerate(names) if name}
    known = tuple(positions)
    if raw.names is None:  # the columns at the end may be counted with the others, too
        positions |= {f"x{i + 1}": i for i in range(len(names))}
    if y is not None:
        y_names = _known(raw, "y", y, known, positions)
    elif roles is not None:
        y_names = roles[1]
    else:
        raise ConfigError(
            f"task.y must name the columns of y, e.g. 'task.y=[{known[-1] if known else 'name'}]', or be [] for a "
            f"density of x; {raw.path.name} has {', '.join(known)}"
        )
    taken = {positions[name] for name in (*y_names, *_known(raw, "x_except", x_except or [], known, positions))}
    all_names = roles[0] if roles and y is None else names
    rest = tuple(name for i, name in enumerate(names) if name in all_names and i not in taken)
    if x is None and "" in rest:
        raise DataError(
            f"column {names.index('') + 1} of {raw.path} has no name; name it in the header, delete it, or name the "
            "columns of x in task.x"
        )
    x_names = rest if x is None else _known(raw, "x", x, known, positions)
    both = [name for name in x_names if positions[name] in {positions[other] for other in y_names}]
    if both:
        raise ConfigError(f"column {both[0]!r} is in task.x and in task.y; leave it in one of them")
    if not x_names:
        raise ConfigError(f"task.x must name at least one column of {raw.path.name}: {', '.join(known)}")
    return x_names, y_names, positions


def _named_ys(asked: list[str], y: list[str] | None) -> int:
    """How many columns at the end of a table without names are y: as many as the names y1, y2, ... in use say, or 1.

    So a name means the same column whatever else is asked for; x1, x2, ... count from the first column.
    """
    numbers = [int(found[1]) for name in asked if (found := re.fullmatch(r"y([1-9]\d{0,3})", name))]
    return max(numbers, default=0 if y == [] else 1)


def _known(raw: Source, key: str, asked: list[str], names: tuple[str, ...], positions: Positions) -> tuple[str, ...]:
    for name in asked:
        if name not in positions:
            raise DataError(
                f"{raw.path.name} has no column {name!r} (task.{key}){did_you_mean(name, names)}; "
                f"it has {', '.join(names)}{', without a header of names' if raw.names is None else ''}"
            )
    counts = Counter(positions[name] for name in asked)
    for name in asked:
        if counts[positions[name]] > 1:
            raise ConfigError(f"task.{key} names column {name!r} {counts[positions[name]]} times; name it once")
    return tuple(asked)
