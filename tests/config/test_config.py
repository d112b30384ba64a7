"""Composition, the allow-list, and the checking of keys and types from source."""

import re
import sys
import textwrap

import pytest
import yaml

from inncli import config
from inncli.config import compose, registry, signatures
from inncli.errors import ConfigError

CHOICES = [
    (group, name) for group in ("task", "model", "objective", "trainer", "experiment") for name in config.choices(group)
]
NEEDS = {"table": ["task.file=a.csv"], "simulator": ["task.file=a.py"]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's own config folder, trusted for one test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: mine.Mine\n_partial_: true\nwidth: 3\n")
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import Literal, Optional
        from inncli.types import PositiveInt
        open("imported", "w").close()

        class Base:
            def __init__(self, depth: int = 2, **rest):
                pass

        class Mine(Base):
            def __init__(self, x, y, width: PositiveInt = 3, kind: Literal["a", "b"] = "a",
                         rates: list[float] | None = None, table: Optional[dict[str, float]] = None, **kwargs):
                super().__init__(**kwargs)
                self.width, self.kwargs = width, kwargs

        @dataclass
        class Point:
            x: float
            label: str = "p"
    """)
    )
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("group, name", CHOICES, ids="=".join)
def test_every_yaml_composes_and_its_targets_import(group, name):
    (job,) = config.plan([f"{group}={name}", *NEEDS.get(name, [])])
    assert yaml.safe_load(yaml.safe_dump(job.config)) == job.config, "plain YAML"
    assert registry.check(job.config) == job.config, "a saved config passes again, unchanged"
    for part in ("task", "model", "objective", "trainer"):
        assert callable(config.factory(job.config[part]).func)


def test_default_is_rnvp_on_the_ring():
    (job,) = config.plan([])
    assert job.config["names"] == {
        "task": "ring",
        "model": "rnvp",
        "objective": "nll",
        "trainer": "default",
        "evaluation": "default",
        "logger": "none",
    }
    assert [k for k in job.config] == [
        "seed",
        "device",
        "dtype",
        "threads",
        "task",
        "model",
        "objective",
        "trainer",
        "evaluation",
        "logger",
        "names",
    ]


def read_with_its_bases(folder, name):
    """A yaml's keys over those of the yamls of its group that it builds on."""
    node = yaml.safe_load((folder / f"{name}.yaml").read_text())
    bases = [entry for entry in node.pop("defaults", []) if isinstance(entry, str) and entry != "_self_"]
    return {key: value for base in bases for key, value in read_with_its_bases(folder, base).items()} | node


def test_yamls_list_every_setting_with_its_right_default_type():
    for group, name in CHOICES:
        if group not in ("experiment",):
            node = read_with_its_bases(config.conf_dir() / group, name)
            known = signatures.signature(node["_target_"], registry.source_roots())
            hidden = {key for key, p in known.parameters.items() if p.default is not None} - set(node)
            assert not hidden or group in ("model",), f"{group}/{name}.yaml does not list {hidden}"


def test_numbers_take_their_declared_type():
    (job,) = config.plan(["trainer.batch_size=1e3", "trainer.lr=1", "seed=7.0"])
    assert (job.config["trainer"]["batch_size"], job.config["trainer"]["lr"], job.config["seed"]) == (1000, 1.0, 7)
    assert isinstance(job.config["trainer"]["batch_size"], int) and isinstance(job.config["trainer"]["lr"], float)


WRONG = [
    ("model=rnpv", "model: expected one of {models}, got 'rnpv'; did you mean 'rnvp'?"),
    ("experiment=concret", "experiment: expected one of {experiments}, got 'concret'; did you mean 'concrete'?"),
    ("modell=rnvp", "'modell' is not a setting; did you mean 'model'?"),
    ("trainer.learing_rate=1", "'trainer.learing_rate' is not a setting; did you mean 'trainer.lr'?"),
    ("+trainer.lrr=1", "trainer.lrr is not a setting of Trainer; did you mean 'lr'?"),
    ("+sed=1", "'sed' is not a setting; did you mean 'seed'?"),
    ("+seed=1", "seed is set already; change it without the plus: seed=VALUE"),
    ("trainer.lr=abc", "trainer.lr: expected a number above 0, got 'abc'; for example trainer.lr=0.005"),
    ("trainer.lr=-1", "trainer.lr: expected a number above 0, got -1; for example trainer.lr=0.005"),
    ("trainer.lr=nan", "trainer.lr: expected a number above 0, got nan; for example trainer.lr=0.005"),
    (
        "trainer.batch_size=2.5",
        "trainer.batch_size: expected a whole number of 1 or more, got 2.5; for example trainer.batch_size=256",
    ),
    ("seed=-1", "seed: expected a whole number of 0 or more, got -1"),
    ("seed=true", "seed: expected a whole number of 0 or more, got true"),
    ("dtype=float23", "dtype: expected float32 or float64, got 'float23'; did you mean 'float32'?"),
    ("threads=0", "threads: expected a whole number of 1 or more or null, got 0"),
    ("modl", "expected KEY=VALUE, got 'modl'; did you mean 'model'?"),
    (
        "task.x=[a",
        "'task.x=[a' can't be read; quote what holds blanks or signs, e.g. 'task.x=[a,b]' or 'task.file=\"a b.csv\"'",
    ),
    ("task=table", "task.file is required; give it as task.file=VALUE"),
    (
        "model=rnvp,nice",
        "'model=rnvp,nice' names several values; add -m to train each, or brackets for a list: KEY=[A,B]",
    ),
    ("model=../task/ring", "model: expected one of {models}, got '../task/ring'"),
    (
        "model._target_=os.system",
        "_target_ 'os.system' is not one that conf/ or your `config_dir` names; "
        "a config may only build what a yaml of a group names",
    ),
    (
        "model.block=3",
        "model.block: expected nice or rnvp or glow or spline or iresnet, got 3; for example model.block=rnvp",
    ),
    (
        "model.block=splin",
        "model.block: expected nice or rnvp or glow or spline or iresnet, got 'splin'; did you mean 'spline'?",
    ),
    ("~seed", "seed is missing in the config; give it as seed=VALUE"),
    ("task.noise=${nowhere}", "Interpolation key 'nowhere' not found"),
]


@pytest.mark.parametrize("word, message", WRONG, ids=[word for word, _ in WRONG])
def test_wrong_overrides(word, message):
    names = {"models": ", ".join(config.choices("model")), "experiments": ", ".join(config.choices("experiment"))}
    with pytest.raises(ConfigError) as error:
        config.plan([word])
    assert str(error.value) == message.replace("{models}", names["models"]).replace(
        "{experiments}", names["experiments"]
    )


NAMES = "expected text or a whole number or null or a list, each entry text or a whole number"


@pytest.mark.parametrize(
    "word, message",
    [
        ("task.y=[2019.5]", f"""task.y: {NAMES}, got [2019.5]; quote it: 'task.y=["2019.5"]'"""),
        ("task.y=2019.5", f"""task.y: {NAMES}, got 2019.5; quote it: 'task.y="2019.5"'"""),
        ("task.x={a:1}", f"task.x: {NAMES}, got {{'a': 1}}"),
        ("task.x=[a,null]", f"task.x: {NAMES}, got ['a', None]"),
    ],
)
def test_a_wrong_column_name(word, message):
    with pytest.raises(ConfigError) as error:
        config.plan(["task=table", "task.file=a.csv", word])
    assert str(error.value) == message


def test_a_sweep_is_planned_job_by_job():
    jobs = config.plan(["model=nice,rnvp", "seed=range(2)"], multirun=True)
    assert [(j.config["names"]["model"], j.config["seed"], j.exact) for j in jobs] == [
        ("nice", 0, True),
        ("nice", 1, True),
        ("rnvp", 0, True),
        ("rnvp", 1, True),
    ]
    with pytest.raises(ConfigError, match="seed: expected a whole number"):
        config.plan(["model=nice,rnvp", "seed=1,x"], multirun=True)


HYDRAS = "hydra's own settings are for the whole sweep: give one value, and name the part, e.g. hydra.launcher.n_jobs=2; got "


@pytest.mark.parametrize(
    "word, message",
    [
        ("seed=range(0)", "'seed=range(0)' names no value; there is nothing to train"),
        ("model=glob(x*)", "'model=glob(x*)' names no value; there is nothing to train"),
        (
            "trainer.lr=interval(.1,.2)",
            "'trainer.lr=interval(.1,.2)' is for a search to choose from; list values, or add hydra/sweeper=optuna",
        ),
        ("hydra/launcher=basic,joblib", HYDRAS + "'hydra/launcher=basic,joblib'"),
        ("++hydra={sweep: {dir: x}}", HYDRAS + "'++hydra={sweep: {dir: x}}'"),
        ("experiment=../task/ring", "experiment: expected one of "),
        (
            "+hydra.sweeper.params={seed: '1,2'}",
            "hydra.sweeper.params is set by recipes only; name the values themselves",
        ),
    ],
)
def test_what_can_not_be_swept(word, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        config.plan([word, "trainer.max_steps=1,2"], multirun=True)


@pytest.mark.parametrize(
    "words",
    [
        ["model=nice,rnvp", "seed=range(2)"],
        ["model=glow", "trainer.clip=5,2", "model.n_blocks=2"],
        ["experiment=concrete", "model=rnvp,spline", "model.block.hidden=[4],[8,8]", "+task.noise=0"],
        ["~trainer.ema", "seed=1,2"],
        ["trainer.grad_clip=4", "seed=1,2"],
        ["hydra/launcher=joblib", "seed=1,2", "objective=nll", "hydra.launcher.n_jobs=2"],
        ["trainer.lr=.1", "++trainer.lr=.01", "seed=1,2"],  # the last word counts
        ["model=glow,nice", "model.n_blocks=2", "~model.n_blocks", "seed=1"],
        ["~trainer.ema", "+trainer.ema=.9", "trainer.ema=.8", "seed=1,2"],
    ],
)
def test_jobs_of_a_sweep_have_the_config_that_each_would_have_alone(words):
    try:
        jobs = config.plan(words, multirun=True)
    except ConfigError as error:
        with pytest.raises(ConfigError, match=re.escape(str(error))):
            config.plan([word.split(",")[0] for word in words])
    else:
        assert [job.config for job in jobs] == [config.plan(job.overrides)[0].config for job in jobs]
        assert len({str(job.config) for job in jobs}) == len(jobs) > 1


def test_a_job_names_itself_by_all_its_words(folder):
    (folder / "experiment").mkdir()
    (folder / "experiment" / "named.yaml").write_text(
        "# @package _global_\ndefaults: [{override /logger: mlflow}]\nlogger: {experiment: '${hydra:job.override_dirname}'}\n"
    )
    trust = config.Trust.of(folder)
    jobs = config.plan(["seed=1,2", "experiment=named", "model=nice"], multirun=True, trust=trust)
    assert [job.config["logger"]["experiment"] for job in jobs] == [
        "experiment=named,model=nice,seed=1",
        "experiment=named,model=nice,seed=2",
    ]


def test_the_sample_table_is_found():
    (job,) = config.plan(["experiment=concrete"])
    assert job.config["task"]["file"] == str(config.data_dir() / "concrete.csv")
    assert (config.data_dir() / "concrete.csv").is_file()


@pytest.mark.parametrize(
    "target",
    ["os.system", "inncli.x.os.system", "inncli.config.os.system", "builtins.eval", "subprocess.Popen", 3, None],
)
def test_a_saved_config_builds_only_what_conf_names(target, tmp_path):
    (job,) = config.plan([])
    for node in ({"_target_": target}, {"_target_": job.config["model"]["_target_"], "block": [{"_target_": target}]}):
        with pytest.raises(ConfigError, match="is not one that conf/"):
            config.instantiate(node)
        with pytest.raises(ConfigError, match="is not one that conf/"):
            config.check({**job.config, "model": node})


def test_interpolations_in_a_saved_config_stay_text():
    (job,) = config.plan(["task=table", "task.file=a.csv"])
    job.config["task"]["file"] = "${oc.env:HOME}"
    assert config.factory(job.config["task"]).keywords["file"] == "${oc.env:HOME}"


def test_own_folder_joins_the_catalogue_without_being_imported(folder):
    with pytest.raises(ConfigError, match="model: expected one of"):
        config.plan(["model=mine"])
    trust = config.Trust.of(folder)
    (job,) = config.plan(["model=mine", "model.width=5"], trust=trust)
    assert job.config["model"] == {"_target_": "mine.Mine", "width": 5}
    assert not (folder / "imported").exists()
    assert config.instantiate(job.config["model"], trust, x=1, y=2).width == 5


@pytest.mark.parametrize(
    "word, message",
    [
        ("model.widht=2", "'model.widht' is not a setting; did you mean 'model.width'?"),
        ("model.kind=b", "model.kind is not listed in conf/model; add it with a plus: +model.kind=VALUE"),
        ("+model.kind=c", "model.kind: expected a or b, got 'c'"),
        ("+model.rates=[1,b]", "model.rates: expected a list, each entry a number or null, got [1, 'b']"),
        (
            "+model.table={a:b}",
            "model.table: expected a mapping {name: value}, each value a number or null, got {'a': 'b'}",
        ),
        ("+model.depth=x", "model.depth: expected a whole number, got 'x'; for example model.depth=2"),
    ],
)
def test_own_class_is_checked_by_its_hints(folder, word, message):
    trust = config.Trust.of(folder)
    with pytest.raises(ConfigError) as error:
        config.plan(["model=mine", word], trust=trust)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "word, want",
    [
        ("+model.depth=4", {"depth": 4}),
        ("+model.other=4", {"other": 4}),
        ("+model.rates=[1,2]", {"rates": [1.0, 2.0]}),
        ("+model.table={a: 1}", {"table": {"a": 1.0}}),
    ],
)
def test_arguments_of_bases_and_open_signatures(folder, word, want):
    trust = config.Trust.of(folder)
    (job,) = config.plan(["model=mine", word], trust=trust)
    assert want.items() <= job.config["model"].items()


def test_signatures_of_dataclasses_and_missing_names(folder):
    known = signatures.signature("mine.Point", (folder,))
    assert list(known.parameters) == ["x", "label"] and not known.open
    assert (
        signatures.signature("mine.Nothing", (folder,)) is None
        and signatures.signature("nowhere.Nothing", (folder,)) is None
    )


def test_saved_configs_below_a_trusted_folder_are_not_trusted(folder):
    (folder / "outputs" / "r").mkdir(parents=True)
    (folder / "outputs" / "r" / "config.yaml").write_text("model: {_target_: os.system}\n")
    trust = config.Trust.of(folder)
    assert "os.system" not in config.allowed_targets(trust=trust) and "mine.Mine" in config.allowed_targets(trust=trust)


def test_a_broken_yaml_of_ones_own_is_one_line(folder):
    (folder / "model" / "broken.yaml").write_text("_target_: mine.Mine\nwidth: [3\n")
    trust = config.Trust.of(folder)
    with pytest.raises(ConfigError) as error:
        config.plan(["model=rnvp"], trust=trust)
    assert str(error.value) == (
        f"{folder}/model/broken.yaml, line 3: no valid YAML, expected ',' or ']', but got '<stream end>'; mend it"
    )


def test_config_dir_must_be_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="`config_dir`: expected a folder, got .*nope"):
        config.Trust.of(tmp_path / "nope")


def test_a_typeerror_inside_a_constructor_is_not_taken_for_a_wrong_key(folder):
    (folder / "mine.py").write_text("class Mine:\n    def __init__(self, width): width + 'a'\n")
    trust = config.Trust.of(folder)
    with pytest.raises(
        ConfigError, match=r"mine.Mine raised TypeError: unsupported operand .* \(mine.py, line 2\); mend it"
    ):
        config.instantiate({"_target_": "mine.Mine", "width": 3}, trust)
    with pytest.raises(ConfigError, match="mine.Mine: got an unexpected keyword argument 'wide'"):
        config.instantiate({"_target_": "mine.Mine", "width": 3, "wide": 3}, trust)


MODEL = """
import torch
from inncli.models.base import Model
class Mine(Model):
    has_density = False
    def __init__(self, x, y, width=16):
        super().__init__(x, y)
        self.map = torch.nn.Linear(y.dim, x.dim)
    def loss(self, x, y, generator): return ((self.map(y.float()) - x) ** 2).mean()
    def sample(self, y, n, generator): return self.map(y.float())[:, None].expand(-1, n, -1)
"""
# mine.py, model/mine.yaml, and the line on stderr
OWN_MODELS = {
    "as in the README": (MODEL, "_target_: mine.Mine\n", None),
    "partial": (MODEL, "_target_: mine.Mine\n_partial_: true\n", None),
    "a missing module": (
        "import nonexist\n" + MODEL,
        "_target_: mine.Mine\n",
        "_target_ 'mine.Mine' can't be imported (ModuleNotFoundError: No module named 'nonexist'); mend it in your --config-dir",
    ),
    "a mistake in the module": (
        MODEL + "1 / 0\n",
        "_target_: mine.Mine\n",
        "_target_ 'mine.Mine' can't be imported (ZeroDivisionError: division by zero); mend it in your --config-dir",
    ),
    "a wrong name": (
        MODEL,
        "_target_: mine.Mein\n",
        "_target_ 'mine.Mein' can't be imported (AttributeError: module 'mine' has no attribute 'Mein'); "
        "mend it in your --config-dir",
    ),
    "one more argument": (
        MODEL.replace("=16", ""),
        "_target_: mine.Mine\n",
        "mine.Mine: missing a required argument: 'width'; mend it in your --config-dir",
    ),
    "a mistake in the constructor": (
        MODEL.replace("torch.nn.Linear", "torch.nn.Liner"),
        "_target_: mine.Mine\n",
        "mine.Mine raised AttributeError: module 'torch.nn' has no attribute 'Liner' (mine.py, line 8); "
        "mend it in your --config-dir",
    ),
    "a mistake that a library finds": (
        MODEL.replace("torch.nn.Linear(y.dim", "torch.nn.Linear(-1"),
        "_target_: mine.Mine\n",
        "mine.Mine raised RuntimeError: Trying to create tensor with negative dimension -1: [2, -1] (mine.py, line 8); "
        "mend it in your --config-dir",
    ),
    "no model": (
        "def make(**given): return 3\n",
        "_target_: mine.make\n",
        "mine.make: expected a Model, got int; name a subclass of inncli.models.base.Model",
    ),
    "a command": (
        MODEL,
        "_target_: os.system\ncommand: touch ran\n",
        "os.system: got an unexpected keyword argument 'x'; mend it in your --config-dir",
    ),
}


@pytest.mark.parametrize("module, text, line", OWN_MODELS.values(), ids=OWN_MODELS)
def test_own_model_trains_or_says_what_is_wrong_with_it(folder, monkeypatch, capsys, module, text, line):
    from inncli.cli.app import main

    monkeypatch.chdir(folder)
    monkeypatch.setenv("INN_OUTPUTS", "out")
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    (folder / "mine.py").write_text(module)
    (folder / "model" / "mine.yaml").write_text(text)
    signatures._module.cache_clear()
    code = main(["train", "--config-dir", ".", "model=mine", "task.n_train=200", "trainer.max_steps=2"])
    said = capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert (code, said if line else "") == ((2, f"{line}\n") if line else (0, "")), said
    assert not (folder / "ran").exists()


def test_paths_survive_hydras_grammar(tmp_path):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for path in ["/a b/c", "/it's", "/a=b,{c}", "/x\\'y"]:
        (parsed,) = OverridesParser.create().parse_overrides([f"hydra.run.dir={compose.quoted(path)}"])
        assert parsed.value() == path


def test_a_model_may_bring_its_trainer_and_objective_and_the_command_line_overrides_them(folder):
    (folder / "trainer").mkdir()
    (folder / "model" / "own.yaml").write_text(
        "defaults:\n  - rnvp\n  - override /trainer@_global_.trainer: slow\n  - _self_\nn_blocks: 2\n"
    )
    (folder / "trainer" / "slow.yaml").write_text("defaults:\n  - default\n  - _self_\nlr: 1.0e-4\n")
    trust = config.Trust.of(folder)
    own, asked, other = (
        config.plan(words, trust=trust)[0].config
        for words in (["model=own"], ["model=own", "trainer=default"], ["model=rnvp"])
    )
    assert own["trainer"]["lr"] == 1e-4 and own["names"]["trainer"] == "slow" and own["model"]["n_blocks"] == 2
    assert asked["trainer"]["lr"] == other["trainer"]["lr"] == 5e-3
