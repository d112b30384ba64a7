"""Is the outside the same? One transcript of `inn` on an older commit, one on this tree, and what differs.

    make same-outside BASE=2f8df4d                             all parts
    python benchmarks/same_outside --base 2f8df4d --only wrong,help
    python benchmarks/same_outside --control                   a broken copy of this tree must be noticed

Both trees run the same commands in folders of their own: every command of the base's README with a short budget, wrong
requests, help texts, JSON, trainings and the base's fixture runs. Exit code, stdout, stderr and the files written must
agree but for times, ids and temporary paths; weights and posterior sets must agree to the bit. Differences that the
changelog announces are listed in `announced.md`; any other makes the exit code 1.

Only the command line and the files of run directories are used, so that the code inside may move.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import arrays
import commands
import differences
import fixtures
import trees
import wrong

PARTS = ("help", "readme", "right", "wrong", "weights", "fixtures")
PREPARED = {"readme": commands.prepare, "right": fixtures.copy, "wrong": wrong.prepare, "fixtures": fixtures.copy}
ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".figures" / "same_outside"


def cases(part: str, base: Path) -> list[trees.Case]:
    """The commands of a part, in order; what they depend on is read from the base alone."""
    if part == "wrong":
        return wrong.cases()
    if part == "control":
        return wrong.control() + arrays.control()
    where = {"weights": arrays, "fixtures": fixtures}.get(part, commands)
    return getattr(where, part)(base)


def record(tree: trees.Tree, base: Path, parts: list[str]) -> list[trees.Record]:
    """Runs all parts with one tree."""
    records = []
    for part in parts:
        place = tree.place(part)
        if part in PREPARED:
            PREPARED[part](base, place)
        done = []
        for case in cases(part, base):
            done.append(tree.run(case))
            keep(tree, part, done)  # after each, so that what was seen outlives a tool that is stopped
        used, codes = sum(one.cpu for one in done), Counter(one.code for one in done)
        ended = ", ".join(f"{count} with exit {code}" for code, count in sorted(codes.items()))
        print(f"   {tree.name}: {part:<9} {len(done):>3} commands, {ended}, {used:.0f} CPU-s", flush=True)
        records += done
    return records


def keep(tree: trees.Tree, part: str, records: list[trees.Record]) -> None:
    """Keeps the transcript of a part, with the time of each command."""
    KEPT.mkdir(parents=True, exist_ok=True)
    words = json.dumps([one._asdict() for one in records], indent=1, ensure_ascii=False)
    (KEPT / f"{part}_{tree.name}.json").write_text(words + "\n", encoding="utf-8")


def side_by_side(base: Path, pair: list[trees.Tree], parts: list[str]) -> tuple[bool, bool]:
    """Runs both trees at once and prints what differs. Returns whether unannounced words and whether arrays differ."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:  # a process each, for its own CPU seconds
        first, second = pool.map(functools.partial(record, base=base, parts=parts), pair)
    for tree, records in zip(pair, (first, second), strict=True):
        print(
            f"{tree.name}: {len(records)} commands, {sum(one.cpu for one in records):.0f} CPU-s, "
            f"{sum(one.seconds for one in records):.0f} s"
        )
    failed = [one for one in first if one.part in ("weights", "fixtures") and one.code]
    if failed:
        raise SystemExit(
            f"{failed[0].command} failed on {pair[0].name}, so that nothing can be compared: {failed[0].err}"
        )
    words = differences.report(first, second)
    numbers = [arrays.report(*pair, part) for part in parts if part in ("weights", "fixtures", "control")]
    return words, any(numbers)


def control(work: Path) -> int:
    """One word of an error message and one seed of the weights are changed in a copy: both must be noticed."""
    whole, broken = trees.copy(ROOT, work, "here"), trees.copy(ROOT, work, "ctrl")
    trees.break_words(broken.code)
    trees.break_weights(broken.code)
    words, numbers = side_by_side(whole.code, [whole, broken], ["control"])
    print(
        f"control: the changed message was {'noticed' if words else 'MISSED'}, "
        f"the changed weights were {'noticed' if numbers else 'MISSED'}"
    )
    return 0 if words and numbers else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="2f8df4d", help="the commit to compare with")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--control", action="store_true", help="show that differences are noticed")
    asked = parser.parse_args()
    parts = asked.only.split(",")
    if set(parts) - set(PARTS):
        parser.error(f"--only: there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="same-outside-") as folder:
        work = Path(folder).resolve()
        if asked.control:
            return control(work)
        base = trees.archive(ROOT, asked.base, work, "base")
        differ = side_by_side(base.code, [base, trees.copy(ROOT, work, "here")], parts)
    return 1 if any(differ) else 0


if __name__ == "__main__":
    sys.exit(main())
