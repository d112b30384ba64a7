"""The words of a sweep: which part of hydra each sets, and which may be taken from a sweep's directory.

A directory may be a stranger's, and what hydra composes it also builds and calls. So a word that comes from one is
parsed here as data, before hydra composes anything, and passes only if it is known to be harmless: a choice by the name
of a yaml, a setting with a plain value, or one of a few settings of a launcher or a sweeper.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

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

from inncli.config.registry import GROUPS, SETTINGS, choices
from inncli.config.trust import Trust
from inncli.errors import ConfigError

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
PARAMS = r"hydra\.sweeper\.params"


# ---- which part a word sets --------------------------------------------------------------------------
def key(word: str) -> str:
    """What a word sets, without the signs before it."""
    return word.partition("=")[0].lstrip("+~")


def names(words: Iterable[str], name: str) -> bool:
    """Whether one of the words sets this key."""
    return any(key(word) == name for word in words)


def launcher_words(words: Iterable[str]) -> list[str]:
    """Those that choose and set the launcher."""
    return [word for word in words if re.match(LAUNCHER, key(word))]


def sweeper_words(words: Iterable[str]) -> list[str]:
    """Those that choose and set the sweeper."""
    return [word for word in words if re.match(SWEEPER, key(word))]


def sweep_words(words: Iterable[str]) -> list[str]:
    """Those that choose and set what a sweep alone has: a launcher, a sweeper, where its jobs go."""
    return [
        word
        for word in words
        if re.match(r"hydra/(launcher|sweeper)$|hydra\.(launcher|sweeper|sweep)(\.|$)", key(word))
    ]


def own_words(words: Iterable[str]) -> list[str]:
    """Those that say what is trained, and not how hydra runs it."""
    return [word for word in words if not _is_hydras(word)]


def shared_words(jobs: list[dict]) -> list[str]:
    """The words of what is trained that every job has."""
    if not jobs:
        return []
    return [word for word in own_words(jobs[0]["overrides"]) if all(word in job["overrides"] for job in jobs)]


def is_of_the_launch(word: str) -> bool:
    """Whether it is hydra's own and not a part of what is trained: the space of a sweep may stand in its sweeper."""
    return _is_hydras(word) and not re.match(PARAMS, key(word))


def _is_hydras(word: str) -> bool:
    return key(word).startswith(("hydra.", "hydra/"))


# ---- words out of a sweep's directory ----------------------------------------------------------------
def words_to_resume(sweep: str, manifest: dict, words: list[str], trust: Trust) -> list[str]:
    """What a sweep is resumed with of its own words: its launcher's, and all but hydra's where a study goes on.

    Of the others only a recipe, which may have chosen the launcher: they need not mean today what they meant then.

    Args:
        sweep: its id.
        manifest: its sweep.json.
        words: those of the command; a word of the sweep for the same key is left out.
        trust: config folders whose yamls may be chosen too.

    Raises: ConfigError for a word that says more than data may.
    """
    own = [word for word in manifest["overrides"] if not names(words, key(word))]
    for word in own:
        if re.match(rf"hydra$|hydra[@:]|{PARAMS}", key(word)):
            raise ConfigError(
                "hydra's own settings are for the whole sweep: give one value, and name the part, e.g. "
                f"hydra.launcher.n_jobs=2; got {word!r}"
            )
        if _is_hydras(word) and not harmless(word):
            launcher = re.match(LAUNCHER, key(word))
            raise ConfigError(
                f"sweep {sweep} sets {word!r}, which is not taken from a file, since it could run a command; "
                + (
                    f"give it again, or another launcher: inn resume {sweep} hydra/launcher=NAME"
                    if launcher
                    else "look at it, and take it out of sweep.json to go on without it"
                )
            )
    launch = [] if names(words, "hydra/launcher") else launcher_words(own)
    if manifest.get("search"):
        taken = own_words(own)
        launch += sweeper_words(own)
    else:
        taken = [word for word in shared_words(manifest["jobs"]) if key(word) == "experiment"]
    for word in taken:
        check_data(word, trust, f"sweep {sweep}")
    return [*launch, *taken]


def harmless(word: str) -> bool:
    """Whether a word of hydra's may be taken from a sweep's directory: a plain value of a plain key."""
    name, _, value = word.partition("=")
    if not re.fullmatch(r"[\w.:+-]*", value) or name.startswith("~"):
        return False
    if name in ("hydra/launcher", "hydra/sweeper"):
        return re.fullmatch(r"\w[\w-]*", value) is not None
    parent, _, last = key(word).rpartition(".")
    if parent in PARENTS and re.fullmatch(r"[a-z]\w*", last):
        return value in ADDRESSES if last == "address" else value == "null" or last in HARMLESS
    return re.fullmatch(UNUSED, name) is not None


def check_data(word: str, trust: Trust, source: str) -> None:
    """Refuses a word that does more than choose a yaml of a group by its name, or give a setting a plain value.

    Args:
        word: says what is trained.
        trust: config folders whose yamls may be chosen beside the shipped ones.
        source: where the word stands, for the message.

    Raises: ConfigError.
    """
    refused = ConfigError(
        f"{source} sets {word!r}, which is not taken from a file: there a word chooses a yaml by its name or gives a "
        "setting a plain value; start anew with it"
    )
    try:
        (override,) = OverridesParser.create().parse_overrides([word])
        values = list(_values(override.value()))
    except (HydraException, TypeError, ValueError, RecursionError):
        raise refused from None
    # A text with $ would be filled in by OmegaConf, from the environment or by whatever a resolver does.
    if "$" in word or override.package is not None or override.type not in _SETS:
        raise refused
    if not (_is_choice(override, values, trust) or _is_setting(override, values)):
        raise refused


_SETS = (OverrideType.CHANGE, OverrideType.ADD, OverrideType.FORCE_ADD)


def _values(value: object) -> Iterator[object]:
    """The plain values that an override may give, a list as one. Raises: TypeError for what is not plain."""
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


def _is_choice(override: Override, values: list, trust: Trust) -> bool:
    group = override.key_or_group
    if group not in (*GROUPS, "experiment") or override.type != OverrideType.CHANGE or not values:
        return False
    known = choices(group, trust)
    if group == "experiment":
        known += [None, "null"]
        values = [name for value in values for name in (value if isinstance(value, list) else [value])]
    return all(not isinstance(name, list) and name in known for name in values)


def _is_setting(override: Override, values: list) -> bool:
    first, *rest = override.key_or_group.split(".")
    plain = all(re.fullmatch(r"[A-Za-z]\w*|\d+", part) for part in rest)
    return plain and (first in GROUPS if rest else first in SETTINGS)


def check_names(config: dict, source: str) -> None:
    """Refuses a saved config whose names of yamls are none: hydra would look for them as for paths.

    Raises: ConfigError.
    """
    given = config.get("names")
    for name in given.values() if isinstance(given, dict) else [] if given is None else [given]:
        if not (isinstance(name, str) and re.fullmatch(r"\w[\w.+-]*", name)):
            raise ConfigError(
                f"{source}: expected the name of a yaml, got {name!r}; restore config.yaml or remove the run"
            )
