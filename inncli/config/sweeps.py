"""The overrides of a sweep, split into those of its jobs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.plugin import Plugin
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig

from inncli.config.compose import Compose, parse
from inncli.errors import ConfigError

NUMBER = "sweep_job"  # the key of a job's number; the sweep's manifest holds the rest of the job


def jobs(numbers: list[int]) -> list[str]:
    """The overrides of a multirun that runs these jobs of a sweep, each in its own directory.

    Hydra numbers the jobs of a multirun itself, and the jobs that are left of a sweep are no grid. So the multirun
    sweeps over the jobs' own numbers alone; all else is in the sweep's manifest.
    """
    return [
        f"+{NUMBER}={','.join(map(str, numbers))}",
        f"hydra.sweep.subdir=${{{NUMBER}}}",
        "hydra.sweeper._target_=hydra_plugins.inncli.Planned",
    ]


def expand(overrides: list[str], compose: Compose) -> tuple[list[list[str]], bool]:
    """The overrides of every job of a sweep, and whether they are exact or only examples of what a search chooses from.

    Raises: RequestError where the chosen launcher or sweeper can't run here.
    """
    parsed = parse(overrides)
    _no_hydra(parsed, swept_only=True)
    fixed = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
    of_hydra = [str(o.input_line) for o in parsed if o.is_hydra_override()]
    hydra = compose(fixed).hydra
    for node in (hydra.launcher, hydra.sweeper):
        _check_plugin(node)
    sweeper = hydra.sweeper
    params = [f"{k}={v}" for k, v in (sweeper.get("params") or {}).items()]
    swept = parse([*params, *(str(o.input_line) for o in parsed if not o.is_hydra_override())])
    _no_hydra(swept)
    if sweeper._target_.endswith(".BasicSweeper"):
        for o in swept:
            if o.is_interval_sweep():
                raise ConfigError(
                    f"{o.input_line!r} is for a search to choose from; list values, or add hydra/sweeper=optuna"
                )
            if o.is_sweep_override() and not list(o.sweep_string_iterator()):
                raise ConfigError(f"{o.input_line!r} names no value; there is nothing to train")
        return [[*of_hydra, *job] for job in grid(swept)], True
    free = {o.get_key_element() for o in swept if o.is_sweep_override()}
    if sweeper._target_.endswith(".Optuna") and free <= {
        o.get_key_element() for o in swept if not o.is_sweep_override()
    }:
        raise ConfigError(
            "a search needs settings to choose from, and got one value of each, by words or by a recipe; free some, "
            "e.g. 'trainer.lr=interval(1e-3,1e-2)' or model.n_blocks=2,4"
        )
    # Another sweeper chooses values as it runs. Each listed value, and each end of an interval, is checked alone.
    examples = [f"{o.get_key_element()}={text}" for o in swept if o.is_sweep_override() for text in _extremes(o)]
    return [fixed, *([*fixed, example] for example in examples)], False


def _extremes(override: Override) -> list[str]:
    """Every value that a sweep lists, or the two ends of an interval."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        return [str(value.start), str(value.end)]
    return list(override.sweep_string_iterator())


def grid(overrides: Sequence[Override]) -> list[list[str]]:
    """Every combination of the values that the overrides list; the last of two overrides of one key counts."""
    values: dict[str, list[str]] = {}
    for o in overrides:
        texts = o.sweep_string_iterator() if o.is_sweep_override() else [o.get_value_element_as_str()]
        values[o.get_key_element()] = [f"{o.get_key_element()}={text}" for text in texts]
    return [list(job) for job in itertools.product(*values.values())]


def _no_hydra(parsed: list[Override], swept_only: bool = False) -> None:
    """Raises: ConfigError if one of these overrides of a sweep's jobs sets what is hydra's own.

    Hydra takes `hydra={...}` for a setting of the job's. A sweep's manifest is untrusted, and hydra builds and calls
    what its part of the config names.

    Args:
        parsed: the overrides as hydra reads them.
        swept_only: whether single values of hydra's parts are allowed, which are the sweep's own.
    """
    for override in parsed:
        part = override.is_hydra_override() and (override.is_sweep_override() or not swept_only)
        if part or override.key_or_group == "hydra":
            raise ConfigError(
                "hydra's own settings are for the whole sweep: give one value, and name the part, e.g. "
                f"hydra.launcher.n_jobs=2; got {override.input_line!r}"
            )


def _check_plugin(node: DictConfig) -> None:
    """Asks the launcher or sweeper that this node names whether it can run here, if it is one of ours.

    Raises: RequestError if a library or a command is missing.
    """
    plugins: list[type[Plugin]] = [*Plugins.instance().discover(Launcher), *Plugins.instance().discover(Sweeper)]
    for plugin in plugins:
        if f"{plugin.__module__}.{plugin.__name__}" == node.get("_target_") and hasattr(plugin, "check"):
            plugin.check()
