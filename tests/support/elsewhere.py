"""Commands in a process of their own: in another folder, and as another user, whom permissions bind."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import pytest
import torch

from inncli.cli.app import main
from killing import SERVER

NOBODY = pwd.getpwnam("nobody")


def _child(commands: list[list[str]], folder: Path, outputs: Path, as_nobody: bool) -> None:
    torch.set_num_threads(1)
    for key, value in {"INN_OUTPUTS": outputs, "HOME": folder, "MPLCONFIGDIR": folder / "mpl"}.items():
        os.environ[key] = str(value)
    os.chdir(folder)
    if as_nobody:
        os.setgroups([])
        os.setgid(NOBODY.pw_gid)
        os.setuid(NOBODY.pw_uid)
    for k, words in enumerate(commands):
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / f"{name}{k}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
        (folder / f"code{k}").write_text(str(code))
    os._exit(0)


def run(commands, folder: Path, outputs: Path | None = None, as_nobody: bool = False) -> list[tuple[int, str, str]]:
    """Runs commands one after the other in a folder; returns the exit code, stdout and stderr of each."""
    process = SERVER.Process(
        target=_child, args=([list(map(str, c)) for c in commands], folder, outputs or folder, as_nobody)
    )
    process.start()
    process.join()
    assert process.exitcode == 0, [path.read_text() for path in folder.glob("err*")]
    return [
        (int((folder / f"code{k}").read_text()), (folder / f"out{k}").read_text(), (folder / f"err{k}").read_text())
        for k in range(len(commands))
    ]


def nobody_can_read(*places: Path) -> bool:
    """Whether every folder on the way to these places lets others in."""
    return all(os.stat(folder).st_mode & 0o001 for place in places for folder in [place, *place.parents])


def skip_unless_root() -> None:
    """Permissions bind a process only as another user, and only root can become one."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become another user")
    if not nobody_can_read(Path(__file__).parents[2], Path(sys.prefix)):
        pytest.skip("another user can't read this checkout or its Python")
