"""Two transcripts compared, line by line, and the differences that the changelog announces."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import NamedTuple

import trees

ANNOUNCED = Path(__file__).with_name("announced.md")


class Announced(NamedTuple):
    """A difference that is meant: in the commands that match, lines that match may differ."""

    reason: str
    command: str
    lines: list[str]


def announced(file: Path) -> list[Announced]:
    """The entries of announced.md: a heading with the reason, then `command:` and `line:` patterns."""
    found = []
    for section in re.split(r"^## ", file.read_text("utf-8"), flags=re.M)[1:]:
        reason, _, body = section.partition("\n")
        patterns = re.findall(r"^(command|line): `(.*)`$", body, re.M)
        commands = [pattern for kind, pattern in patterns if kind == "command"]
        lines = [pattern for kind, pattern in patterns if kind == "line"]
        if not commands or not lines:
            raise SystemExit(f"{file.name}: {reason!r} needs a command: and a line: pattern")
        found += [Announced(reason.strip(), command, lines) for command in commands]
    return found


def report(first: list[trees.Record], second: list[trees.Record]) -> bool:
    """Prints each command that differs, and counts. Returns whether any difference was not announced."""
    entries, meant, unmeant = announced(ANNOUNCED), 0, 0
    for before, after in zip(first, second, strict=True):
        changes = list(difflib.unified_diff(_lines(before), _lines(after), "base", "here", n=1, lineterm=""))
        if not changes:
            continue
        changed = [line[1:] for line in changes[2:] if line[0] in "+-"]
        reasons = [_reason(before.command, line, entries) for line in changed]
        if None in reasons:
            unmeant += 1
            print(f"\nDIFFERS {before.part}: {before.command}", *changes[2:], sep="\n  ")
        else:
            meant += 1
            print(f"\nannounced {before.part}: {before.command}", *sorted(set(reasons)), sep="\n  ")
    print(f"\n{len(first)} commands, {unmeant} differ, {meant} as announced", flush=True)
    return unmeant > 0


def _reason(command: str, line: str, entries: list[Announced]) -> str | None:
    return next(
        (
            entry.reason
            for entry in entries
            if re.search(entry.command, command) and any(re.search(pattern, line) for pattern in entry.lines)
        ),
        None,
    )


def _lines(record: trees.Record) -> list[str]:
    found = [f"exit {record.code}"]
    found += [f"out| {line}" for line in record.out.split("\n")]
    found += [f"err| {line}" for line in record.err.split("\n")]
    for name, content in record.files.items():
        head, *more = content.split("\n")
        found += [f"file {name}| {line}" for line in (head, *more)]
    return found
