"""Wrong requests, spread over all commands, and the damaged things that some of them name."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import fixtures
from trees import Case

TINY = "model.n_blocks=1 trainer.max_steps=5 threads=1"
# Runs that the fixtures lack; they train rightly.
FIRST = f"""
inn train task=eight_gaussians {TINY} task.n_train=100 hydra.run.dir=outputs/density
inn train task=sine model=adjoint trainer.max_steps=5 threads=1 hydra.run.dir=outputs/adjoint
inn train task=table task.file=kinds.csv 'task.y=[kind]' {TINY} hydra.run.dir=outputs/kinds
inn train task=simulator task.file=sim.py task.n_train=50 {TINY} hydra.run.dir=outputs/simulated
inn train -m seed=0,1 {TINY} task.n_train=100
"""
WRONG = """
inn invrt
inn frobnicate
inn --bogus
inn invert --sampels 3
inn train --bogus
inn invert --y
inn invert
inn invert --y 1 --samples many
inn invert --y 1 extra
inn invert --y 1 --y-file o.csv
inn invert --y 1,2 --run flow_1
inn invert --y nan --run flow_1
inn invert --y abc --run flow_1
inn invert --y z9=0.3 --run flow_1
inn invert --y kind=mapel --run kinds
inn invert --y strength=high --run table_1
inn invert --y 1 --run density
inn invert --y 1 --run flow_2
inn invert --y 1 --run flow_1 --device cuda:77
inn invert --y 1 --run flow_1 --out a.foo
inn invert --y 1 --run flow_1 --out missing/folder/a.npz
inn invert --y 1 --run flow_1 --starts density
inn invert --y 1 --run flow_1 --refine
inn invert --y-file o.csv --run flow_1
inn invert --y-file bad_cells.csv --run table_1
inn invert --y-file other_columns.csv --run table_1
inn invert --y-file empty.csv --run flow_1
inn invert --y 1 --run bad_cut
inn invert --y 1 --run bad_flipped
inn invert --y 1 --run bad_edited
inn invert --y 1 --run bad_target
inn show --run bad_info
inn doctor --run bad_cut
inn runs --swep x
inn runs --watch
inn runs --sweep nosweep
inn runs --sweep {sweep} --watch --json
inn sample --run flow_1 --out .
inn sample --run adjoint
inn density
inn density --grid 5 --run flow_1
inn density --grid 9999 --run density
inn density --points mixes.csv --run density
inn evaluate --run flow_1 --samples 5
inn evaluate --run flow_1 --y 1,2
inn evaluate --run table_1 --refine
inn compare flow_1 rnig
inn compare flow_1 --metric nlll --no-evaluate
inn compare flow_1 --csv t.csv --json --no-evaluate
inn compare {sweep} --plot --x sed --no-evaluate
inn plot posteriror
inn plot posterior --run flow_1 --set notes.txt
inn plot posterior --run flow_1 --y 0.3 --x x9
inn plot convergence --run flow_1
inn plot view --run flow_1 --y 0.3
inn plot training --run flow_1 --out x.gif
inn plot cobweb --map logistik
inn report flow_1 --out report.pdf
inn resume
inn resume flow_1
inn resume flow_stopped_1 seed=1
inn resume {sweep} hydra/launcher=nolauncher
inn resume simulated
inn train --resume flow_1
inn train --resume flow_stopped_1 seed=1
inn train trainer.learing_rate=1
inn train trainer.lr=fast
inn train trainer.lr=-1
inn train task=rnig
inn train taks=ring
inn train model=rnvpp
inn train model.n_blocks=many
inn train model.block.hidden=[4,x]
inn train experiment=concreet
inn train dtype=float16
inn train threads=0
inn train seed=-1
inn train trainer.lr=0.1 'trainer.lr=[1'
inn train novalue
inn train +model.extra=1
inn train ~model
inn train model._target_=os.system
inn train task=table
inn train task=table task.file=nope.csv
inn train task=table task.file=bad_cells.csv 'task.y=[strength]'
inn train task=table task.file=mixes.csv
inn train task=table task.file=mixes.csv 'task.y=[strenght]'
inn train task=table task.file=empty.csv 'task.y=[a]'
inn train task=simulator task.file=broken_sim.py
inn train task=sine objective=maxent
inn train task=maxent_gamma objective=maxent model=adjoint
inn train model=inn model.dim_z=9
inn train -c jbo
inn train -c job trainer.learing_rate=1
inn train -c job task=rnig
inn train -c job model.n_block=3
inn train -m -c job novalue
inn train -m seed=1,x
inn train -m model=rnvp,splin
inn train -m seed=1,2 hydra.sweep.dir=x
inn train -m seed=1,2 task=table task.file=nope.csv
inn train -m seed=1,2 hydra/launcher=lsf
inn train -m seed=1,2 hydra.launcher.n_jobs=4
inn train hydra/launcher=joblib
inn train +hydra.sweeper.n_trials=3
inn train hydra.run.dir=notes.txt
inn train hydra.run.dir=outputs/flow_1
inn train hydra.job.chdir=true
inn train hydra.searchpath=[file:///nowhere]
inn train 'hydra.run.dir=${nosuch:1}'
inn train --config-dir nope
inn train --config-dir mine model=missing_module
inn train seed=1,2
inn train -m trainer.lr=1e30,1e-3 trainer.max_steps=20 task.n_train=200 model.n_blocks=1
"""


def cases() -> list[Case]:
    """The trainings that come first, then every wrong request."""
    return [Case("wrong", _short(shlex.split(line))) for line in (FIRST.strip() + WRONG).splitlines() if line]


def _short(words: list[str]) -> tuple[str, ...]:
    """With a budget, should the request be taken as right."""
    free = words[1] == "train" and not {"-c", "--resume"} & {*words} and not any("max_steps" in word for word in words)
    return (*words, "trainer.max_steps=5") if free else tuple(words)


def control() -> list[Case]:
    """A few that need nothing, one of them with the word that the control changes."""
    return [
        Case("control", ("inn", *words)) for words in (["invrt"], ["train", "task=rnig"], ["show", "--run", "nosuch"])
    ]


def prepare(base: Path, place: Path) -> None:
    """The fixture runs, damaged copies of one of them, and files that no command should take."""
    fixtures.copy(base, place)
    _damaged(place / "outputs")
    for name, words in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(words, encoding="utf-8")


KINDS = "".join(f"{i % 7}.{i % 3},{('oak', 'maple', 'elm')[i % 3]}\n" for i in range(60))
SIMULATOR = "x_names = ['a']\ny_names = ['b']\n\ndef prior(n, rng):\n    return rng.uniform(0, 1, (n, 1))\n"
FILES = {
    "kinds.csv": "size,kind\n" + KINDS,
    "sim.py": SIMULATOR + "\ndef simulate(x, rng):\n    return x + 0.1 * rng.standard_normal(x.shape)\n",
    "broken_sim.py": SIMULATOR + "\ndef simulate(x, rng):\n    return x[:, 5:6]\n",
    "bad_cells.csv": "cement,water,strength\n1.0,2.0,3.0\n1.5,much,2.0\n2.0,,4.0\n",
    "other_columns.csv": "a,b\n1,2\n",
    "empty.csv": "",
    "notes.txt": "not a table\n",
    "mine/model/missing_module.yaml": "_target_: no_such_module.Flow\n",
}


def _damaged(outputs: Path) -> None:
    whole = outputs / "flow_1"

    def damage(name: str, file: str, change) -> None:
        shutil.copytree(whole, outputs / name)
        path = outputs / name / file
        path.write_bytes(change(path.read_bytes()))

    checkpoint = "checkpoints/best.safetensors"
    damage("bad_cut", checkpoint, lambda data: data[: len(data) // 2])
    damage("bad_flipped", checkpoint, lambda data: data[:-10] + bytes(b ^ 1 for b in data[-10:]))
    damage("bad_edited", "config.yaml", lambda data: data.replace(b"seed: 0", b"seed: 1"))
    damage("bad_target", "config.yaml", lambda data: data.replace(b"inncli.tasks.ring.Ring", b"os.system"))
    damage("bad_info", "run.json", lambda data: data[:20])
