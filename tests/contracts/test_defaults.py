"""One source of defaults: what a yaml of conf/ says is what the code does without it.

Of the yamls of a group that name one class, the one of the class's own name, or `default`, or the only one, says the
class's defaults; so does rnvp, the default model, for `ConditionalFlow`. The others are presets. A model's may differ
from the class's defaults in what its factory in `inncli.models.presets` sets, another's in what its own file lists.
A node inside, such as a block, has no presets: it says its class's defaults.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from functools import partial

import pytest
import torch
import yaml

from inncli import config
from inncli.config import registry
from inncli.models.base import Model
from inncli.models.flow import ConditionalFlow
from inncli.models.inn import INN
from inncli.models.presets import PRESETS
from inncli.transforms import blocks
from inncli.types import BlockName
from inncli.variables import Variables

NEEDS = {"table": ["task.file=a.csv"], "simulator": ["task.file=a.py"]}
BASES = {"ConditionalFlow": "rnvp"}  # the class whose own name no yaml bears
YAMLS = [(group, name) for group in config.GROUPS for name in config.choices(group)]
Y1 = Variables.numbered("y", 1)


def composed(group, name):
    """The node that `group=name` makes, its defaults list followed."""
    (job,) = config.plan([f"{group}={name}", *NEEDS.get(name, [])])
    return job.config[group]


@functools.cache
def nodes():
    """Of every yaml, by group and name."""
    return {(group, name): composed(group, name) for group, name in YAMLS}


def set_by_preset(group, name):
    """The keys in which a preset may differ from the defaults of its class."""
    if is_base(group, name):
        return set()
    if group == "model":
        return set(PRESETS[name].keywords)
    return set(yaml.safe_load((config.conf_dir() / group / f"{name}.yaml").read_text()))


def is_base(group, name):
    """Whether this yaml says the defaults of its class."""
    target = nodes()[group, name]["_target_"]
    alike = [other for g, other in YAMLS if g == group and nodes()[g, other]["_target_"] == target]
    cls = target.rpartition(".")[2]
    return len(alike) == 1 or name in ("default", cls.lower(), BASES.get(cls))


def required(parameter):
    return parameter.default is parameter.empty


def plain(value):
    return [plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def contradictions(node, where, own=frozenset()):
    """Settings of a node that are not the code's, as lines; `own` are a preset's, which may differ."""
    module, _, cls = node["_target_"].rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(module), cls)).parameters
    for key, value in node.items():
        if key == "_target_":
            continue
        if isinstance(value, dict) and "_target_" in value:
            yield from contradictions(value, f"{where}.{key}")
            default = parameters[key].default
            named = blocks.BLOCKS.get(default) if isinstance(default, str) else None
            if named and key not in own and value["_target_"].rpartition(".")[2] != named.__name__:
                yield f"{where}.{key}: yaml {value['_target_']}, code {default}"
        elif required(parameters[key]):
            if value not in ("a.csv", "a.py"):  # `???` in the yaml
                yield f"{where}.{key}: yaml {value}, code none"
        elif key not in own and plain(parameters[key].default) != value:
            yield f"{where}.{key}: yaml {value}, code {parameters[key].default}"


def test_the_code_does_what_the_yamls_say():
    found, settings = [], 0
    for (group, name), node in nodes().items():
        found += contradictions(node, f"{group}={name}", set_by_preset(group, name))
        settings += len([key for key in node if key != "_target_"])
    print(f"{len(nodes())} yamls, {settings} settings, contradictions: {len(found)}", *found, sep="\n")
    assert not found and settings > 200


def test_each_class_has_one_yaml_of_its_defaults():
    bases = [nodes()[key]["_target_"] for key in YAMLS if is_base(*key)]
    assert sorted(bases) == sorted({node["_target_"] for node in nodes().values()})


def test_no_yaml_and_no_saved_config_says_partial():
    assert not [
        path
        for group in config.GROUPS
        for path in (config.conf_dir() / group).glob("*.yaml")
        if "_partial_" in path.read_text()
    ]
    assert "_partial_" not in str(nodes())


# ---- models ------------------------------------------------------------------------------------------
def facts(model):
    """Everything plain that a model's modules hold, and their first weights."""
    kinds = (int, float, str, bool, tuple, list)
    return {
        name: (type(part), {k: v for k, v in vars(part).items() if isinstance(v, kinds)})
        for name, part in model.named_modules(remove_duplicate=False)
    }, model.state_dict()


def assert_same(one, other):
    (parts, weights), (other_parts, other_weights) = facts(one), facts(other)
    assert parts == other_parts and weights.keys() == other_weights.keys()
    assert all(torch.equal(weights[k], other_weights[k]) or "nan" in str(weights[k]) for k in weights)


def built(make, **arguments):
    torch.manual_seed(3)
    return make(Variables.numbered("x", 3), Y1, **arguments)


def by_yaml(name, **settings):
    return lambda x, y: registry.make({**nodes()["model", name], **settings}, Model, x=x, y=y)


@pytest.mark.parametrize("name", config.choices("model"))
def test_a_python_user_gets_the_model_that_is_trained(name):
    assert_same(built(PRESETS[name]), built(by_yaml(name)))
    assert list(PRESETS) == config.choices("model")


def test_the_default_flow_is_the_default_model():
    assert_same(built(ConditionalFlow), built(by_yaml("rnvp")))
    assert_same(built(INN), built(by_yaml("inn")))


# ---- one mechanism for blocks ------------------------------------------------------------------------
SPLINE = "inncli.transforms.blocks.SplineBlock"


@pytest.mark.parametrize("model", ["rnvp", "inn"])
def test_a_block_by_name_or_by_node_is_the_same(model):
    named, node = (built(by_yaml(model, block=block)) for block in ("spline", {"_target_": SPLINE}))
    assert_same(named, node)
    old = {"_target_": SPLINE, "_partial_": True, "hidden": [64, 64]}
    assert_same(named, built(by_yaml(model, block=old)))
    assert_same(named, built(PRESETS[model], block="spline"))
    assert_same(named, built(PRESETS[model], block=blocks.SplineBlock))


def test_a_node_keeps_its_own_widths_and_takes_the_inns_otherwise():
    own = built(by_yaml("inn", hidden=[8], block={"_target_": SPLINE, "hidden": [5]}))
    assert_same(own, built(by_yaml("inn", hidden=[5], block="spline")))
    assert_same(built(by_yaml("inn", hidden=[5], block={"_target_": SPLINE})), built(INN, hidden=[5], block="spline"))


def test_words_choose_a_block_by_name_or_change_its_node():
    assert config.plan(["model=rnvp", "model.block.hidden=[8]"])[0].config["model"]["block"]["hidden"] == [8]
    for words in (["model=inn", "model.block=spline"], ["model=rnvp", "model.block=spline"]):
        assert config.plan(words)[0].config["model"]["block"] == "spline"
    word = f"model.block={{_target_: {SPLINE}, _partial_: true, bins: 4}}"
    (job,) = config.plan(["model=inn", word, "model.n_blocks=1"])
    assert job.config["model"]["block"] == {"_target_": SPLINE, "bins": 4}
    for model in ("rnvp", "inn"):
        with pytest.raises(config.registry.ConfigError) as error:
            config.plan([f"model={model}", "model.block=splin"])
        assert str(error.value) == (
            "model.block: expected nice or rnvp or glow or spline or iresnet, got 'splin'; did you mean 'spline'?"
        )


def test_the_names_of_blocks_stand_once():
    assert tuple(blocks.BLOCKS) == BlockName.__args__
    with pytest.raises(
        config.registry.ConfigError, match="block: expected one of nice, .*'splin'; did you mean 'spline'"
    ):
        built(ConditionalFlow, block="splin")
    assert (
        blocks.block_factory(partial(blocks.GlowBlock, clamp=1.0), clamp=2.0, hidden=[4])(2, 0)
        .parts[2]
        .elementwise.clamp
        == 1
    )


OWN = """
from collections.abc import Callable
from inncli.models.flow import ConditionalFlow
from inncli.transforms.blocks import GlowBlock
class Scaled:
    def __init__(self, by: float = 2.0): self.by = by
    def __call__(self, x): return self.by * x
def maker(clamp: float = 1.0):
    return lambda dim, dim_context, seed: GlowBlock(dim, dim_context, [3], clamp, seed)
class Mine(ConditionalFlow):
    def __init__(self, x, y, map: Callable, other, block: Callable, also: Callable):
        super().__init__(x, y, block, n_blocks=1)
        self.found = map(3), other(), also
"""
OWN_YAML = """
_target_: defaults_mine.Mine
_partial_: true
map: {_target_: defaults_mine.Scaled}
other: {_target_: defaults_mine.Scaled, _partial_: true, by: 5}
also: {_target_: defaults_mine.Scaled, _partial_: true}
block: {_target_: defaults_mine.maker, clamp: 3}
"""


def test_yamls_of_ones_own_mean_what_they_meant(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "defaults_mine.py").write_text(OWN)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(OWN_YAML)
    trust = config.Trust.of(tmp_path)
    node = config.plan(["model=mine"], trust=trust)[0].config["model"]
    assert "_partial_" not in node and node["other"]["_partial_"] and node["also"]["_partial_"]
    for given in (node, yaml.safe_load(OWN_YAML)):
        made = registry.make(given, Model, trust, x=Variables.numbered("x", 2), y=Y1)
        assert made.found[0] == 6 and made.found[1].by == 5 and made.found[2](by=7).by == 7
        assert made.blocks.parts[0].parts[2].elementwise.clamp == 3


def test_a_table_of_an_older_run_is_read_whole():
    old = config.plan(["task=table", "task.file=a.csv"])[0].config
    del old["task"]["memory_mb"]
    assert config.check(old)["task"]["memory_mb"] is None
