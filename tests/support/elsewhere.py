"""Commands in a process of their own: in another folder, and as one whom permissions bind.

Root may read and write everything. A process that gives this up is bound as the owner of root's files (its Python among
them) and as a stranger to those of another user: `belongs_to_another` makes files those.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from pathlib import Path

import pytest
import torch

from inncli.cli.app import main
from killing import SERVER

NOBODY = pwd.getpwnam("nobody")


def _child(commands: list[list[str]], folder: Path, outputs: Path, bound: bool) -> None:
    torch.set_num_threads(1)
    for key, value in {"INN_OUTPUTS": outputs, "HOME": folder, "MPLCONFIGDIR": folder / "mpl"}.items():
        os.environ[key] = str(value)
    os.chdir(folder)
    if bound:
        _give_up_roots_ways()
    for k, words in enumerate(commands):
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / f"{name}{k}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
        (folder / f"code{k}").write_text(str(code))
    os._exit(0)


def run(commands, folder: Path, outputs: Path | None = None, bound: bool = False) -> list[tuple[int, str, str]]:
    """Runs commands one after the other in a folder; returns the exit code, stdout and stderr of each."""
    process = SERVER.Process(
        target=_child, args=([list(map(str, c)) for c in commands], folder, outputs or folder, bound)
    )
    process.start()
    process.join()
    assert process.exitcode == 0, [path.read_text() for path in folder.glob("err*")]
    return [
        (int((folder / f"code{k}").read_text()), (folder / f"out{k}").read_text(), (folder / f"err{k}").read_text())
        for k in range(len(commands))
    ]


def belongs_to_another(*places: Path) -> None:
    """Gives these files, and all that lies in these folders, to another user."""
    for place in places:
        for path in (place, *(place.rglob("*") if place.is_dir() else ())):
            os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)


def skip_unless_root() -> None:
    """Only root can give files to another user."""
    if os.getuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("needs root on Linux, to give files to another user")


def _give_up_roots_ways() -> None:
    """Drops CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER of this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # the version with 64 capabilities; this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: the lower 32 of each, then the upper
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for k in range(3):
        sets[k] &= ~0b1110
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
