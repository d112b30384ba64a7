"""The overrides of a sweep: which part of hydra each sets, and which may be taken from a sweep's directory.

A sweep's directory is untrusted, and hydra builds and calls what it composes. So an override from there is parsed here
as data, before hydra composes anything. It passes only if it is known to be harmless: a choice by the name of a yaml, a
setting with a plain value, or one of a few settings of a launcher or a sweeper.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    OverrideType,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException

from inncli.config.compose import quoted
from inncli.config.registry import GROUPS, SETTINGS, choices
from inncli.config.trust import Trust
from inncli.errors import ConfigError
from inncli.io.paths import user_path

# Settings of a launcher or a sweeper whose plain values ask for resources, and for nothing else.
PARENTS = (
    "hydra.launcher",
    "hydra.launcher.ray.init",
    "hydra.launcher.ray.remote",
    "hydra.sweeper",
    "hydra.sweeper.sampler",
    "hydra.sweeper.pruner",
)
HARMLESS = (
    "n_jobs",
    "n_trials",
    "partition",
    "account",
    "qos",
    "constraint",
    "gpus_per_node",
    "gpus_per_task",
    "mem_gb",
    "mem_per_gpu",
    "cpus_per_task",
    "nodes",
    "tasks_per_node",
    "array_parallelism",
    "timeout_min",
    "signal_delay_s",
    "max_num_timeout",
    "name",
    "num_cpus",
    "num_gpus",
    "n_startup_trials",
    "n_warmup_steps",
    "seed",
)
ADDRESSES = ("local", "auto", "null")  # any other is a cluster that would be sent code, and send some back
# Plain settings that no resumed sweep takes up.
UNUSED = r"hydra\.(verbose|output_subdir|mode|(job|run|job_logging|hydra_logging)(\.[a-z]\w*)+)"
LAUNCHER = r"hydra(/launcher$|\.launcher(\.|$))"
SWEEPER = r"hydra(/sweeper(/|$)|\.sweeper(\.|$))"
FILE = "task.file="
PARAMS = r"hydra\.sweeper\.params"


# ---- which part an override sets ---------------------------------------------------------------------
def key(override: str) -> str:
    """What an override sets, without the signs before it."""
    return override.partition("=")[0].lstrip("+~")


def names(overrides: Iterable[str], name: str) -> bool:
    """Whether one of the overrides sets the key `name`."""
    return any(key(override) == name for override in overrides)


def with_literal_files(overrides: Iterable[str]) -> list[str]:
    """The overrides, where a `task.file` that is there is that file, whatever hydra would read into its name.

    Such are `${...}`, commas and blanks. A `~` at its start hydra can't read at all.
    """
    return [
        f"{FILE}{quoted(value)}" if override.startswith(FILE) and _is_file_name(value) else override
        for override in overrides
        for value in [override.removeprefix(FILE)]
    ]


def _is_file_name(value: str) -> bool:
    plain = re.fullmatch(r"(~?)[\w./+-]*", value)
    return plain[1] == "~" if plain else user_path(value).is_file()


def launcher_overrides(overrides: Iterable[str]) -> list[str]:
    """Those that choose and set the launcher."""
    return [override for override in overrides if re.match(LAUNCHER, key(override))]


def sweeper_overrides(overrides: Iterable[str]) -> list[str]:
    """Those that choose and set the sweeper."""
    return [override for override in overrides if re.match(SWEEPER, key(override))]


def sweep_overrides(overrides: Iterable[str]) -> list[str]:
    """Those that choose and set what a sweep alone has: a launcher, a sweeper, where its jobs go."""
    return [
        override
        for override in overrides
        if re.match(r"hydra/(launcher|sweeper)$|hydra\.(launcher|sweeper|sweep)(\.|$)", key(override))
    ]


def training_overrides(overrides: Iterable[str]) -> list[str]:
    """Those that say what is trained; hydra's own say how it is run."""
    return [override for override in overrides if not _is_hydras(override)]


def shared_overrides(jobs: list[dict[str, Any]]) -> list[str]:
    """Those of `training_overrides` that every job has.

    Args:
        jobs: the entries of a manifest.
    """
    if not jobs:
        return []
    return [
        override
        for override in training_overrides(jobs[0]["overrides"])
        if all(override in job["overrides"] for job in jobs)
    ]


def is_of_launch(override: str) -> bool:
    """Whether it says how a sweep is run. `hydra.sweeper.params` does not: it holds the space of a search."""
    return _is_hydras(override) and not re.match(PARAMS, key(override))


def _is_hydras(override: str) -> bool:
    return key(override).startswith(("hydra.", "hydra/"))


# ---- overrides from a sweep's directory --------------------------------------------------------------
def overrides_to_resume(sweep: str, manifest: dict[str, Any], overrides: list[str], trust: Trust) -> list[str]:
    """Those of a sweep's own overrides with which it is resumed.

    They are its launcher's. A search also takes its sweeper's and its training overrides. Other sweeps take of the
    training overrides only the recipe, which may have chosen the launcher: each job has its config in the manifest.

    Args:
        sweep: its id.
        manifest: its sweep.json.
        overrides: those of the command; they replace the sweep's for the same key.
        trust: config folders whose yamls may be chosen too.

    Raises: ConfigError for an override that says more than data may.
    """
    own = [override for override in manifest["overrides"] if not names(overrides, key(override))]
    for override in own:
        if re.match(rf"hydra$|hydra[@:]|{PARAMS}", key(override)):
            raise ConfigError(
                "hydra's own settings are for the whole sweep: give one value, and name the part, e.g. "
                f"hydra.launcher.n_jobs=2; got {override!r}"
            )
        if _is_hydras(override) and not harmless(override):
            launcher = re.match(LAUNCHER, key(override))
            raise ConfigError(
                f"sweep {sweep} sets {override!r}, which is not taken from a file, since it could run a command; "
                + (
                    f"give it again, or another launcher: inn resume {shlex.quote(sweep)} hydra/launcher=NAME"
                    if launcher
                    else "look at it, and take it out of sweep.json to go on without it"
                )
            )
    launch = [] if names(overrides, "hydra/launcher") else launcher_overrides(own)
    if manifest.get("search"):
        taken = training_overrides(own)
        launch += sweeper_overrides(own)
    else:
        taken = [override for override in shared_overrides(manifest["jobs"]) if key(override) == "experiment"]
    for override in taken:
        check_data(override, trust, f"sweep {sweep}")
    return [*launch, *taken]


def harmless(override: str) -> bool:
    """Whether an override of hydra's own may be taken from a sweep's directory: a plain value of a plain key."""
    name, _, value = override.partition("=")
    if not re.fullmatch(r"[\w.:+-]*", value) or name.startswith("~"):
        return False
    if name in ("hydra/launcher", "hydra/sweeper"):
        return re.fullmatch(r"\w[\w-]*", value) is not None
    parent, _, last = key(override).rpartition(".")
    if parent in PARENTS and re.fullmatch(r"[a-z]\w*", last):
        return value in ADDRESSES if last == "address" else value == "null" or last in HARMLESS
    return re.fullmatch(UNUSED, name) is not None


def check_data(override: str, trust: Trust, source: str) -> None:
    """Checks that an override only chooses a yaml of a group by its name, or gives a setting a plain value.

    Args:
        override: of those that say what is trained.
        trust: config folders whose yamls may be chosen beside the shipped ones.
        source: where the override was found, for the message.

    Raises: ConfigError if it does more than that.
    """
    refused = ConfigError(
        f"{source} sets {override!r}, which is not taken from a file: there a word chooses a yaml by its name or gives "
        "a setting a plain value; start anew with it"
    )
    try:
        (parsed,) = OverridesParser.create().parse_overrides([override])
        values = list(_values(parsed.value()))
    except (HydraException, TypeError, ValueError, RecursionError):
        raise refused from None
    # A text with $ would be filled in by OmegaConf, from the environment or by whatever a resolver does.
    if "$" in override or parsed.package is not None or parsed.type not in _SETS:
        raise refused
    if not (_is_choice(parsed, values, trust) or _is_setting(parsed)):
        raise refused


_SETS = (OverrideType.CHANGE, OverrideType.ADD, OverrideType.FORCE_ADD)


def _values(value: object) -> Iterator[object]:
    """The plain values that an override may give; a list is one value. Raises: TypeError for what is not plain."""
    if isinstance(value, (RangeSweep, IntervalSweep)):
        return
    for entry in value.list if isinstance(value, ChoiceSweep) else [value]:
        yield _literal(entry)


def _literal(value: object) -> object:
    if isinstance(value, list):
        return [_literal(entry) for entry in value]
    if isinstance(value, QuotedString):
        return value.text
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(type(value).__name__)


def _is_choice(override: Override, values: list[object], trust: Trust) -> bool:
    group = override.key_or_group
    if group not in (*GROUPS, "experiment") or override.type != OverrideType.CHANGE or not values:
        return False
    known: list[str | None] = [*choices(group, trust)]
    if group == "experiment":
        known += [None, "null"]
        values = [name for value in values for name in (value if isinstance(value, list) else [value])]
    return all(not isinstance(name, list) and name in known for name in values)


def _is_setting(override: Override) -> bool:
    first, *rest = override.key_or_group.split(".")
    plain = all(re.fullmatch(r"[A-Za-z]\w*|\d+", part) for part in rest)
    return plain and (first in GROUPS if rest else first in SETTINGS)


def check_names(config: dict[str, Any], source: str) -> None:
    """Checks the names of yamls in a saved config: hydra would follow a path in place of a name.

    Args:
        config: a saved config.
        source: where it was found, for the message.

    Raises: ConfigError for one that is no name.
    """
    given = config.get("names")
    for name in given.values() if isinstance(given, dict) else [] if given is None else [given]:
        if not (isinstance(name, str) and re.fullmatch(r"\w[\w.+-]*", name)):
            raise ConfigError(
                f"{source}: expected the name of a yaml, got {name!r}; restore config.yaml or remove the run"
            )
