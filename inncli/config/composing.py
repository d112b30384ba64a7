"""Words composed to configs by hydra, those of a sweep to one for each job.

with composer() as compose:  compose(overrides) -> the whole config
by_choices(compose)          the same, fast where many overrides share their yamls
expand(overrides, compose)   the overrides of every job of a sweep
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inncli import launchers
from inncli.config.registry import conf_dir, data_dir
from inncli.config.trust import NOTHING, Trust
from inncli.errors import ConfigError


@contextmanager
def composer(trust: Trust = NOTHING) -> Iterator[Callable]:
    """Gives compose(overrides) -> the whole config, hydra's own part included."""
    from hydra import compose, initialize_config_dir

    register_resolvers()
    own_presets()
    folders = ",".join(quoted(f"file://{path}") for path in trust.folders)
    search = [f"hydra.searchpath=[{folders}]"] if folders else []
    with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name="train"):
        yield lambda words: compose("train", overrides=[*search, *words], return_hydra_config=True)


def by_choices(compose: Callable) -> Callable:
    """compose(overrides) again, which composes each choice of yamls once: that takes most of its time.

    The values are then set by hydra's own function, in their order, as its composing does it in the end.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    loader = GlobalHydra.instance().config_loader()
    parse = OverridesParser.create(config_loader=loader).parse_overrides
    composed = {}

    def is_choice(override) -> bool:
        """Whether hydra must see it to compose: its own, or a yaml of a group as hydra tells one from a value."""
        return override.is_hydra_override() or (
            loader.repository.group_exists(override.key_or_group) and not isinstance(override.value(), dict)
        )

    def composing(words: list[str]):
        parsed = parse(words)
        values = [o for o in parsed if not is_choice(o)]
        choices = tuple(o.input_line for o in parsed if is_choice(o))
        if choices not in composed:
            composed[choices] = compose(list(choices))
        cfg = copy.deepcopy(composed[choices])
        ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
        ours = [o for o in parsed if not o.is_hydra_override()]
        cfg.hydra.overrides.task = [o.input_line for o in ours]
        cfg.hydra.job.override_dirname = get_overrides_dirname(ours, **cfg.hydra.job.config.override_dirname)
        return cfg

    return composing


def expand(overrides: list[str], compose: Callable) -> tuple[list[list[str]], bool]:
    """The overrides of every job of a sweep by hydra's own parser and basic sweeper; whether they are exact."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    loader = GlobalHydra.instance().config_loader()
    parse = OverridesParser.create(config_loader=loader).parse_overrides
    parsed = parse(overrides)
    fixed = [o.input_line for o in parsed if not o.is_sweep_override()]
    hydra_words = [o.input_line for o in parsed if o.is_hydra_override()]
    sweeper = compose(fixed).hydra.sweeper
    words = [f"{k}={v}" for k, v in (sweeper.get("params") or {}).items()]
    swept = parse([*words, *(o.input_line for o in parsed if not o.is_hydra_override())])
    _no_hydra(swept)
    if sweeper._target_.endswith(".BasicSweeper"):
        for o in swept:
            if o.is_interval_sweep():
                raise ConfigError(
                    f"{o.input_line!r} is for a search to choose from; list values, or add hydra/sweeper=optuna"
                )
            if o.is_sweep_override() and not list(o.sweep_string_iterator()):
                raise ConfigError(f"{o.input_line!r} names no value; there is nothing to train")
        (batch,) = BasicSweeper.split_arguments(swept, None)
        return [[*hydra_words, *job] for job in batch], True
    free = {o.get_key_element() for o in swept if o.is_sweep_override()}
    if sweeper._target_.endswith(".Optuna") and free <= {
        o.get_key_element() for o in swept if not o.is_sweep_override()
    }:
        raise ConfigError(
            "a search needs settings to choose from, and got one value of each, by words or by a recipe; free some, e.g. "
            "'trainer.lr=interval(1e-3,1e-2)' or model.n_blocks=2,4"
        )
    # Another sweeper picks its values as it goes: each that is written out, or ends an interval, is checked alone.
    singles = [
        f"{o.get_key_element()}={value}"
        for o in swept
        if o.is_sweep_override()
        for value in (o.sweep_string_iterator() if o.is_discrete_sweep() else (o.value().start, o.value().end))
    ]
    return [fixed, *([*fixed, word] for word in singles)], False


def _no_hydra(parsed: list, swept_only: bool = False) -> None:
    """Raises: ConfigError if one of these overrides of a sweep's jobs sets what is hydra's own.

    Hydra takes `hydra={...}` for a setting of the job's. A sweep's manifest may be a stranger's, and hydra builds and
    calls what its part of the config names.

    Args:
        swept_only: single values of its parts are let through: those are not the jobs'.
    """
    for override in parsed:
        part = override.is_hydra_override() and (override.is_sweep_override() or not swept_only)
        if part or override.key_or_group == "hydra":
            raise ConfigError(
                "hydra's own settings are for the whole sweep: give one value, and name the part, e.g. "
                f"hydra.launcher.n_jobs=2; got {override.input_line!r}"
            )


def enter_plugins(overrides: list[str], compose: Callable) -> None:
    """Makes our launcher or sweeper, if one is chosen, known to hydra. Raises: RequestError if it can't run here."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.plugins import Plugins

    parsed = OverridesParser.create().parse_overrides(overrides)
    _no_hydra(parsed, swept_only=True)
    chosen = compose([o.input_line for o in parsed if not o.is_sweep_override()]).hydra.runtime.choices
    for group in ("hydra/launcher", "hydra/sweeper"):
        launchers.enter(chosen[group], Plugins.instance())
    launchers.enter_planned(Plugins.instance())


def register_resolvers() -> None:
    """Lets yamls name the sample tables: `${inn.data:concrete.csv}`."""
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("inn.data", lambda name: str(data_dir() / name), replace=True)


def own_presets() -> None:
    """Lets our yamls of hydra/launcher and hydra/sweeper stand alone.

    Hydra would lay each over the schema that an installed plugin keeps under the same name, with a warning or,
    where that has defaults of its own, an error.
    """
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    Plugins.instance()  # finds the plugins, which enter their schemas
    for group in ConfigStore.instance().repo["hydra"].values():
        if isinstance(group, dict):
            for choice in launchers.CHOICES:
                group.pop(f"{choice}.yaml", None)


def quoted(text: str) -> str:
    """A value in hydra's override grammar that holds any path."""
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", text) + "'"
