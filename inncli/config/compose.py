"""Overrides composed to a whole config by hydra.

with composer() as compose:  compose(overrides) -> the whole config
by_choices(compose)          the same, fast where many overrides share their yamls
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from inncli.config.recipes import check_recipes
from inncli.config.registry import conf_dir, data_dir
from inncli.config.trust import NOTHING, Trust

NAME = "train"  # of the primary config and of hydra's job
# Our part of hydra's namespace in a checkout. A wheel has it beside the package, where hydra finds it.
PLUGINS = Path(__file__).resolve().parents[1] / "launchers" / "plugins"

Compose = Callable[[list[str]], DictConfig]
_trust: ContextVar[Trust] = ContextVar("trust", default=NOTHING)  # of the composer that is being opened


class TrustedFolders(SearchPathPlugin):
    """Puts the config folders that the user named behind the shipped one, as hydra's own `--config-dir` does."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Adds them; hydra calls this for each new search path."""
        for folder in (*_trust.get().folders, *_trust.get().recipes):
            search_path.append("command-line", f"file://{folder}")


@contextmanager
def composer(trust: Trust = NOTHING) -> Iterator[Compose]:
    """Gives compose(overrides) -> the whole config, hydra's own part included.

    Args:
        trust: the config folders that are composed from beside the shipped one.

    Raises: ConfigError for a recipe in the folder of a sweep or a run that says more than data may.
    """
    check_recipes(trust)
    find_plugins()
    register_resolvers()
    own_presets()
    before = _trust.set(trust)
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name=NAME):
            yield lambda overrides: hydra_compose(NAME, overrides=overrides, return_hydra_config=True)
    finally:
        _trust.reset(before)


def loader() -> ConfigLoader:
    """The loader of the composer that is open."""
    return GlobalHydra.instance().config_loader()


def parse(overrides: list[str]) -> list[Override]:
    """The overrides as hydra reads them. An open composer lets `glob` name its yamls."""
    return OverridesParser.create(config_loader=loader()).parse_overrides(overrides)


def by_choices(compose: Compose) -> Compose:
    """Gives a faster compose(overrides), which composes each choice of yamls once: that takes most of the time.

    The values are then set one by one. If one of them can't be set, hydra composes the whole again and says why.
    """
    sources = loader().get_sources()
    composed: dict[tuple[str, ...], DictConfig] = {}

    def is_choice(override: Override) -> bool:
        """Whether hydra must compose it: an override of its own, or one that chooses a yaml of a group."""
        return override.is_hydra_override() or (
            not isinstance(override.value(), dict) and any(source.is_group(override.key_or_group) for source in sources)
        )

    def composing(overrides: list[str]) -> DictConfig:
        parsed = parse(overrides)
        choices = tuple(str(o.input_line) for o in parsed if is_choice(o))
        if choices not in composed:
            composed[choices] = compose(list(choices))
        cfg = copy.deepcopy(composed[choices])
        try:
            for override in parsed:
                if not is_choice(override):
                    _set(cfg, override)
        except (OmegaConfBaseException, LookupError):
            return compose(overrides)
        ours = [o for o in parsed if not o.is_hydra_override()]
        cfg.hydra.overrides.task = [o.input_line for o in ours]
        style = cfg.hydra.job.config.override_dirname
        shown = sorted(str(o.input_line) for o in ours if o.key_or_group not in style.exclude_keys)
        cfg.hydra.job.override_dirname = style.item_sep.join(shown).replace("=", style.kv_sep)
        return cfg

    return composing


def _set(cfg: DictConfig, override: Override) -> None:
    """Sets, adds or deletes one value. Raises: LookupError, or an error of OmegaConf, where hydra would refuse it."""
    key, value = override.key_or_group, override.value()
    present = override.is_add() and OmegaConf.select(cfg, key, throw_on_missing=False) is not None
    if override.package is not None or (present and not isinstance(value, (dict, list))):
        raise LookupError(key)
    if not override.is_delete():
        OmegaConf.update(cfg, key, value, merge=True, force_add=override.is_add() or override.is_force_add())
        return
    parent, _, name = key.rpartition(".")
    if value is not None or OmegaConf.select(cfg, key, throw_on_missing=False) is None:
        raise LookupError(key)
    with open_dict(cfg):
        del (OmegaConf.select(cfg, parent) if parent else cfg)[name]


def find_plugins() -> None:
    """Lets hydra find `hydra_plugins.inncli` in a checkout too, and registers `TrustedFolders`.

    `hydra_plugins` is a namespace package. Hydra scans it once and finds the parts that are on `sys.path` by then.
    """
    if PLUGINS.is_dir() and str(PLUGINS) not in sys.path:
        sys.path.append(str(PLUGINS))
    Plugins.instance().register(TrustedFolders)


def register_resolvers() -> None:
    """Lets yamls name the sample tables: `${inn.data:concrete.csv}`."""
    OmegaConf.register_new_resolver("inn.data", lambda name: str(data_dir() / name), replace=True)


def own_presets() -> None:
    """Lets our yamls of hydra/launcher and hydra/sweeper stand alone.

    Hydra would lay each over the schema that an installed plugin keeps under the same name, with a warning or,
    where that has defaults of its own, an error.
    """
    for group in ("launcher", "sweeper"):
        schemas = ConfigStore.instance().repo["hydra"].get(group, {})
        for preset in (conf_dir() / "hydra" / group).glob("*.yaml"):
            schemas.pop(preset.name, None)


def literal(text: str) -> str:
    """A path as a value of a config, in which `${...}` is no interpolation."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def quoted(text: str) -> str:
    """A path as a quoted value of hydra's override grammar; `${...}` in it is no interpolation."""
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", literal(text)) + "'"


def unresolved(node: Any, key: str) -> Any:
    """What hydra itself has put there, such as a path in which `${...}` is no interpolation."""
    return cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))[key]
