"""`inn show`: what one run was, how it ended, and whether its model is sound."""

from __future__ import annotations

from typing import Any

from inncli import inference
from inncli.cli import console
from inncli.cli.cells import duration, steps, typed
from inncli.cli.options import ConfigDirOption, DeviceOption, JsonOption, RunOption
from inncli.config.trust import Trust
from inncli.runs.registry import find_run, name_of
from inncli.runs.run_dir import RunDir


def show(
    run: RunOption = None, json: JsonOption = False, device: DeviceOption = None, config_dir: ConfigDirOption = None
) -> None:
    """Show a run: its state, its metrics, its config, its task and its model's health.

    \b
    Examples:
      inn show                      the latest finished run
      inn show --run 2026-11-23_10  a run by a unique prefix of its id
      inn show --json

    Next: `inn plot training`, `inn invert --y ...`.
    """
    found = find_run(run)
    info = {**found.info(), "status": found.state(), "path": str(found.path)}
    config = found.config()
    task, health, remarks = _facts(found, info, device, config_dir)
    if json:
        console.as_json({"run": info, "config": config, "task": task, "diagnostics": health})
        return
    _section("run", _about(info))
    _section("metrics", list((info.get("metrics") or {}).items()))
    _section("config", flat({key: value for key, value in config.items() if key != "names"}))
    console.line("task")
    for fact in task:
        console.line(f"  {fact}")
    console.line("model")
    if health is None:
        console.line(f"  no checkpoint yet; `inn resume {name_of(found)}` continues the run")
    else:
        facts = [f"{name} {console.words(value)}" for name, value in health.items()]
        console.line("  " + (", ".join(facts) or "says nothing of its own health"))
    for remark in remarks:
        console.line(f"  {remark}")


def _about(info: dict[str, Any]) -> list[tuple[str, object]]:
    versions = ", ".join(f"{name} {n}" for name, n in (info.get("versions") or {}).items() if n)
    threads = info.get("threads")
    where = [info.get("device"), info.get("dtype"), f"threads {threads}" if threads else None]
    shown = [
        ("id", info["id"]),
        ("status", info["status"]),
        ("error", info.get("error")),
        ("task", info.get("task")),
        ("model", info.get("model")),
        ("seed", info.get("seed")),
        ("steps", steps(info)),
        ("kept", info.get("kept")),
        ("time", duration(info.get("seconds"))),
        ("started", info.get("started")),
        ("ended", info.get("ended")),
        ("on", ", ".join(filter(None, [info.get("host"), *where]))),
        ("versions", versions),
        ("git", info.get("git")),
        ("path", info["path"]),
    ]
    return [(name, value) for name, value in shown if value not in (None, "")]


def _facts(
    run: RunDir, info: dict[str, Any], device: str | None, config_dir: str | None
) -> tuple[list[str], dict[str, Any] | None, list[str]]:
    """Facts of the task, the model's diagnostics (None without a checkpoint), and what its user should know.

    A task with a file of the user's is told from what the run kept: the file is not read or run again.
    """
    trained = inference.opening.open_run(run, device, config_dir) if run.best.is_file() else None
    task = inference.run_task.built_in_task_of(run, Trust.of(config_dir))
    if task is not None:
        facts = task.describe()
    elif trained is not None:
        names = trained.names
        facts = [
            f"x: {', '.join(names['x'])}",
            f"y: {', '.join(names['y'])}" if names["y"] else "no y: the density p(x)",
            *trained.x.notes,
        ]
    else:
        facts = []
    facts += [f"{key}: {value}" for key, value in (info.get("data") or {}).items() if value not in (None, 0)]
    return facts, *((None, []) if trained is None else (trained.diagnostics(), trained.model.remarks()))


def _section(title: str, rows: list[tuple[str, object]]) -> None:
    if rows:
        console.line(title)
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            console.line(f"  {name:<{width}}  {console.words(value)}")


def flat(config: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    """The settings as `trainer.lr`, `0.005`, as one would type them; targets and what is null left out."""
    rows: list[tuple[str, object]] = []
    for key, value in config.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{key}.")
        elif value is not None and not key.startswith("_"):
            rows.append((f"{prefix}{key}", typed(value)))
    return rows
