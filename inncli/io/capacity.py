"""How much fits into memory and onto a disk, asked before anything is made of a size that a user has named."""

from __future__ import annotations

import math
import os
import resource
import shutil
from pathlib import Path

from inncli.errors import RequestError

CGROUPS = (  # folder and line of /proc/self/cgroup; what may be used, what is, how much of that gives way
    ("/sys/fs/cgroup", "0::", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", ":memory:", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


UNASKED = 2**26  # bytes that are taken without asking


def free_memory() -> float:
    """Bytes that this process can still take; infinity where nothing tells."""
    return max(min(_of_machine(), _of_container(), _of_process()), 0.0)


def free_disk(path: Path) -> float:
    """Bytes that a new file at `path` may have: the disk's free ones, or a limit on the size of files."""
    folder = next((parent for parent in path.absolute().parents if parent.is_dir()), None)
    free = math.inf if folder is None else float(shutil.disk_usage(folder).free)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return free if limit == resource.RLIM_INFINITY else min(free, limit)


def check_memory(count: int, each: float, what: str, argument: str, options: tuple[str, ...] = ()) -> None:
    """Checks that `count` things of `each` bytes fit into memory.

    Args:
        count: how many are asked for.
        each: bytes of one, those of all that is made on the way included.
        what: what they are, in words: "draws".
        argument: what the user names and the message begins with: "`n`".
        options: the arguments among these words, for `InnError`.

    Raises: RequestError, which says how many would fit.
    """
    if count * each > UNASKED and count * each > (free := free_memory()):
        raise _too_many(count, each, free, what, argument, options, "of memory")


def check_disk(path: Path, count: int, each: float, what: str, argument: str, options: tuple[str, ...] = ()) -> None:
    """Checks that a file of `count` things of at least `each` bytes fits onto the disk; otherwise as `check_memory`."""
    if count * each > UNASKED and count * each > (free := free_disk(path)):
        raise _too_many(count, each, free, what, argument, options, f"in {path}")


def _too_many(
    count: int, each: float, free: float, what: str, argument: str, options: tuple[str, ...], where: str
) -> RequestError:
    fits = int(free / each)
    fits -= fits % 10 ** max(len(str(fits)) - 2, 0)  # two digits: it is an estimate
    return RequestError(
        f"{argument}: {count:,} {what} take {_words(count * each)} {where}, and {_words(free)} are free; "
        f"about {fits:,} fit",
        *options,
    )


def _words(size: float) -> str:
    """`12.3 GB`."""
    power = min(max(int(math.log10(max(size, 1)) // 3), 1), 4)
    return f"{size / 1000**power:,.4g} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def _of_machine() -> float:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return 1024.0 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (OSError, ValueError):
        return math.inf


def _of_container() -> float:
    """What a container or a scheduler's job leaves: the least over this process's group and those above it."""
    free = math.inf
    for root, line, most, used, cache in CGROUPS:
        try:
            own = next(entry.split(line, 1)[1] for entry in _text("/proc/self/cgroup").splitlines() if line in entry)
        except (OSError, StopIteration):
            continue
        for folder in (Path(own), *Path(own).parents):
            group = f"{root}/{folder}"
            try:
                limit, taken = int(_text(f"{group}/{most}")), int(_text(f"{group}/{used}"))  # no limit is "max"
                gives_way = dict(entry.split() for entry in _text(f"{group}/memory.stat").splitlines())[cache]
                free = min(free, limit - taken + float(gives_way))
            except (OSError, ValueError, KeyError):
                continue
    return free


def _of_process() -> float:
    """What `ulimit -v` and `ulimit -d` leave."""
    free = math.inf
    for kind, column in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):  # columns of statm, in pages
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            try:
                taken = int(_text("/proc/self/statm").split()[column]) * os.sysconf("SC_PAGE_SIZE")
            except (OSError, ValueError, IndexError):
                taken = 0
            free = min(free, float(limit - taken))
    return free


def _text(file: str) -> str:
    with open(file, encoding="ascii") as opened:
        return opened.read().strip()
