"""`inn doctor`: is this installation, or this run, in order?"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from importlib import metadata
from types import ModuleType

from inncli import inference
from inncli.cli import console
from inncli.cli.options import ConfigDirOption, JsonOption, RunOption
from inncli.config.registry import GROUPS, allowed_targets, choices, conf_dir, source_roots
from inncli.config.signatures import signature
from inncli.errors import InnError, RequestError
from inncli.runs.registry import find_run, list_runs, outputs_root
from inncli.runs.run_dir import RunDir

# Versions that were tried together, and why a newer one is not welcome.
NEEDED = {
    "torch": ("2.6", None, ""),
    "numpy": ("1.26", None, ""),
    "hydra-core": ("1.3.8", "1.4", ""),
    "omegaconf": ("2.3", "2.4", "2.4 drags hydra back to 1.3.0"),
    "typer": ("0.24", "0.29", "0.29 makes `inn --help` slow"),
    "rich": ("13.8", None, ""),
    "safetensors": ("0.4", None, ""),
    "pyarrow": ("15", None, ""),
}


def doctor(run: RunOption = None, config_dir: ConfigDirOption = None, json: JsonOption = False) -> None:
    """Check the installation, and with --run the files of a run.

    Exit code 0 if all is in order, 1 if not; each problem says what to do.

    \b
    Examples:
      inn doctor
      inn doctor --run 2026-11-23_10-04
      inn doctor --json
    """
    checks: dict[str, Callable[[], str]] = {f"{name} version": functools.partial(_version, name) for name in NEEDED}
    checks |= {"devices": _devices, "threads": _threads, "configs": _configs, "outputs": _outputs}
    if run is not None:
        found = find_run(run)
        checks |= {"run": lambda: f"{found.id}, {found.state()}", "model": functools.partial(_model, found, config_dir)}
    results = [(name, *_outcome(check)) for name, check in checks.items()]
    bad = [row for row in results if not row[1]]
    if json:
        console.as_json({"ok": not bad, "checks": [{"name": n, "ok": ok, "text": text} for n, ok, text in results]})
    else:
        console.table(["check", "", "found"], [[n, "ok" if ok else "PROBLEM", text] for n, ok, text in results])
        if not bad:
            console.line("\nall in order; next: inn train")
    if bad:
        raise InnError(f"{len(bad)} of {len(results)} checks failed: {bad[0][0]}: {bad[0][2]}")


def _outcome(check: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, check()
    except (InnError, OSError, ImportError) as error:
        return False, console.said(error)


def _version(name: str) -> str:
    low, high, why = NEEDED[name]
    wanted = f"{name}>={low}" + (f",<{high}" if high else "")
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        raise InnError(f"{name} is not installed; pip install '{wanted}'") from None
    if _numbers(found) < _numbers(low) or high and _numbers(found) >= _numbers(high):
        raise InnError(f"expected {wanted}, got {found}{f' ({why})' if why else ''}; pip install '{wanted}'")
    return found


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"[\d.]*\d", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _runtime() -> ModuleType:
    from inncli import runtime  # here: a torch that can't be imported is a line of the table

    return runtime


def _devices() -> str:

    return ", ".join(_runtime().available_devices())


def _threads() -> str:

    return f"{_runtime().set_threads(None)} of {os.cpu_count()} CPUs"


def _configs() -> str:
    missing = [target for target in sorted(allowed_targets()) if signature(target, source_roots()) is None]
    if missing or not choices("model"):
        what = ", ".join(missing) or "no model"
        raise InnError(f"{conf_dir()} names {what}, which is not there; install inn again")
    return f"{conf_dir()}, " + ", ".join(f"{len(choices(group))} {group}" for group in GROUPS)


def _outputs() -> str:
    root = outputs_root()
    above = next(p for p in (root.absolute(), *root.absolute().parents) if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise RequestError(f"{above} can't be written to; set INN_OUTPUTS to another folder")
    return f"{root.absolute()}, {len(list_runs(root))} runs"


def _model(run: RunDir, config_dir: str | None) -> str:
    trained = inference.opening.open_run(run, "cpu", config_dir)
    return ", ".join(f"{name} {value:.3g}" for name, value in trained.diagnostics().items()) or "opens and draws"
