"""A request composed and checked, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from inncli.config.compose import by_choices, composer, unresolved
from inncli.config.messages import not_a_choice, plain_errors
from inncli.config.recipes import check_sources
from inncli.config.registry import GROUPS, check, choices
from inncli.config.sweeps import expand
from inncli.config.trust import NOTHING, Trust
from inncli.errors import ConfigError


@dataclass(frozen=True)
class Job:
    """One training of the request, as planned.

    Args:
        config: the checked, resolved, plain config that its run directory will keep.
        overrides: what makes it.
        exact: whether hydra will train just this; False if it is only an example of what a search chooses from.
        composed: what hydra composed, its own part included; None for a job of a sweep, which may have thousands.
    """

    config: dict[str, Any]
    overrides: list[str]
    exact: bool = True
    composed: DictConfig | None = field(default=None, repr=False, compare=False)


def plan(overrides: list[str], multirun: bool = False, trust: Trust = NOTHING) -> list[Job]:
    """Composes and checks every job of the request; nothing is written, torch is not imported.

    Args:
        overrides: the request.
        multirun: whether it is a sweep.
        trust: the config folders that are composed from beside the shipped one.

    Raises: ConfigError for the first key, option, type or target that is wrong.
    """
    with plain_errors(overrides, trust), composer(trust) as compose:
        expanded, exact = [overrides], True
        if multirun:
            compose = by_choices(compose)
            expanded, exact = expand(overrides, compose)
        jobs = []
        for one in expanded:
            cfg = compose(one)
            HydraConfig.instance().set_config(cfg)  # for ${hydra:...} in a user's yaml
            for source in unresolved(cfg.hydra.runtime, "config_sources"):
                if source["schema"] == "file":
                    Trust.of(source["path"])  # hydra passes over a folder that is not there
            check_sources(cfg.hydra.runtime.choices, trust)
            config = plain(cfg, cfg.hydra.runtime.choices, trust)
            jobs.append(Job(config, one, exact, None if multirun else cfg))
    return jobs


def plain(cfg: DictConfig, chosen: Mapping[str, Any], trust: Trust = NOTHING) -> dict[str, Any]:
    """The checked plain config of a composed one, with the names of the chosen yamls.

    Raises: ConfigError for what is wrong in it.
    """
    with open_dict(cfg):
        cfg = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in ("hydra", "experiment")])
    config = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    if ".." in str(chosen.get("experiment")).split("/"):  # a recipe from elsewhere could say anything to hydra
        raise ConfigError(not_a_choice("experiment", chosen["experiment"], choices("experiment", trust)))
    for group in GROUPS:
        if chosen[group] not in choices(group, trust):  # model=../task/ring would compose
            raise ConfigError(not_a_choice(group, chosen[group], choices(group, trust)))
    return check({**config, "names": {group: chosen[group] for group in GROUPS}}, trust)
