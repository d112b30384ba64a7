"""The training loop: resume bit for bit, budgets, the guard, and objects it knows nothing of."""

from __future__ import annotations

import math
import signal
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from inncli.errors import CheckpointError, Interrupted, NonFiniteError
from inncli.models.base import Model
from inncli.objectives.nll import NLL
from inncli.training.checkpoint import load_checkpoint, save_checkpoint, under
from inncli.training.loop import Loop
from inncli.training.nonfinite import non_finite_layer
from inncli.training.schedule import one_cycle
from inncli.training.trainer import Trainer
from small_training import BATCH, SEED, X, Y, data, flow, stop_at

sys.path.insert(0, str(Path(__file__).parents[1] / "plugin"))
from nearest import Nearest, Ramped  # noqa: E402  (lies beside, as a user's own module does)


def plugin():
    torch.manual_seed(7)
    return Nearest(X, Y), Ramped()


def fit(folder, parts=flow, resume=False, trainer=None, on_step=None, **kwargs):
    model, objective = parts()
    trainer = trainer or Trainer(max_epochs=4, batch_size=BATCH, checkpoint_seconds=kwargs.pop("every", 1e9))
    progress = trainer.fit(
        model,
        objective,
        data(),
        seed=SEED,
        last=folder / "last.safetensors",
        best=folder / "best.safetensors",
        meta={},
        resume=resume,
        **({"on_step": on_step} if on_step else {}),
        **kwargs,
    )
    return model, objective, progress


@pytest.mark.parametrize("parts", [flow, plugin])
@pytest.mark.parametrize("step", [1, 9, 14, 27])
def test_stopped_anywhere_and_resumed_is_bit_identical(tmp_path, parts, step):
    lines, resumed = [], []
    whole, objective, _ = fit(tmp_path / "a", parts, on_epoch=lines.append)
    with pytest.raises(Interrupted, match=f"step {step} of 28; checkpoint written"):
        fit(tmp_path / "b", parts, on_step=stop_at(step), on_epoch=resumed.append)
    again, objective_again, _ = fit(tmp_path / "b", parts, resume=True, on_epoch=resumed.append)
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(objective.state_dict().values(), objective_again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert lines == resumed
    for name in ("last", "best"):
        first, second = (tmp_path / x / f"{name}.safetensors" for x in "ab")
        assert first.read_bytes() == second.read_bytes()


def test_stopped_at_the_last_step_of_a_short_epoch_keeps_its_line(tmp_path):
    short = Trainer(max_steps=17, batch_size=BATCH)  # 7 steps an epoch
    with pytest.raises(Interrupted, match="step 17 of 17"):
        fit(tmp_path, trainer=short, on_step=stop_at(17))
    # What is cut from metrics.jsonl on resume is what lies beyond this epoch.
    assert load_checkpoint(tmp_path / "last.safetensors")[1]["training"]["epoch"] == 3
    with pytest.raises(Interrupted, match="step 16 of 17"):
        fit(tmp_path, trainer=short, on_step=stop_at(16))
    assert load_checkpoint(tmp_path / "last.safetensors")[1]["training"]["epoch"] == 2


class Dropping(Model):
    """A user's model with dropout, which draws from torch's global generator."""

    def __init__(self, x, y):
        super().__init__(x, y)
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 2))
        self.modes = []

    def sample(self, y, n, generator):
        raise AssertionError

    def loss(self, x, y, generator):
        self.modes.append(self.training)
        return (self.net(y.float()) - x).square().mean()


def test_dropout_is_resumed_bit_for_bit_and_left_out_of_validation(tmp_path):
    def parts():
        torch.manual_seed(7)
        return Dropping(X, Y), NLL()

    whole, _, _ = fit(tmp_path / "a", parts)
    assert whole.modes.count(False) == 5 and whole.modes.count(True) == 28  # the untrained state and 4 epochs
    with pytest.raises(Interrupted):
        fit(tmp_path / "b", parts, on_step=stop_at(9))
    again, _, _ = fit(tmp_path / "b", parts, resume=True)
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_ramped_objective_does_not_keep_the_untrained_state(tmp_path):
    lines = []
    _, _, progress = fit(tmp_path, plugin, on_epoch=lines.append)
    assert lines[-1]["weight"] > lines[0]["weight"] > 0
    assert progress.best_epoch > 0 and progress.best_loss < progress.start_loss


def test_an_untrained_state_without_a_finite_loss_is_refused(tmp_path):
    pairs = data()
    pairs.validation[0][3] = 1e300
    model, objective = flow()
    with pytest.raises(NonFiniteError, match="before the first step: layer .* is not finite"):
        Trainer().fit(model, objective, pairs, seed=0, last=tmp_path / "last", best=tmp_path / "best", meta={})


def test_signal_handlers_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="SIGINT"):
        fit(tmp_path, on_step=stop_at(2, signal.SIGINT))
    assert signal.getsignal(signal.SIGINT) is before


def test_seconds_become_steps_and_those_steps_reproduce_the_bytes(tmp_path):
    budget = Trainer(max_epochs=None, max_seconds=1.0, batch_size=BATCH)
    timed, _, progress = fit(tmp_path / "a", trainer=budget)
    assert progress.planned_steps > 1
    counted, _, _ = fit(
        tmp_path / "b", trainer=Trainer(max_epochs=None, max_steps=progress.planned_steps, batch_size=BATCH)
    )
    assert all(
        torch.equal(a, b) for a, b in zip(timed.state_dict().values(), counted.state_dict().values(), strict=True)
    )


def test_first_budget_to_end_counts(tmp_path):
    assert fit(tmp_path, trainer=Trainer(max_epochs=5, max_steps=9, batch_size=BATCH))[2].step == 9
    assert fit(tmp_path / "b", trainer=Trainer(max_epochs=2, batch_size=BATCH))[2].step == 14


def test_one_cycle_rises_then_ends_at_zero():
    factors = [one_cycle(t, 100, 0.1) for t in range(101)]
    assert factors[0] > 0
    assert max(factors) == factors[10] == 1
    assert factors[100] == pytest.approx(0, abs=1e-12)
    assert all(a >= b for a, b in zip(factors[10:], factors[11:], strict=False))


def test_the_untrained_state_can_be_the_best(tmp_path):
    start = {k: v.clone() for k, v in flow()[0].state_dict().items()}
    ruin = Trainer(max_steps=5, batch_size=BATCH, lr=0.3, warmup=0.0)
    try:
        model, _, progress = fit(tmp_path, trainer=ruin)
    except NonFiniteError:
        pytest.fail("the step should be bad, not infinite")
    assert progress.best_epoch == 0
    assert all(torch.equal(a, start[k]) for k, a in model.state_dict().items())


def test_patience_stops_early(tmp_path):
    lines = []
    trainer = Trainer(max_epochs=50, batch_size=BATCH, lr=0.1, warmup=0.0, patience=3)
    _, _, progress = fit(tmp_path, trainer=trainer, on_epoch=lines.append)
    assert len(lines) == progress.best_epoch + 3 < 50


def test_weights_that_are_averaged_hold_no_graph(tmp_path):
    model, objective = flow()
    loop = Loop(Trainer(), model, objective, data(), SEED, tmp_path / "l", tmp_path / "b", {})
    loop.start()
    loop.take_step()
    assert not any(tensor.requires_grad for tensor in loop.averaged)


class Breaks(Model):
    """A model whose second layer divides by zero once it has seen a marked row."""

    class Second(nn.Module):
        def forward(self, x):
            return x / torch.where(x > 2.5, 0.0, 1.0)

    def __init__(self, x, y):
        super().__init__(x, y)
        self.first, self.second = nn.Linear(2, 2), self.Second()

    def sample(self, y, n, generator):
        raise AssertionError

    def loss(self, x, y, generator):
        return self.second(self.first(x.float())).square().mean()


def test_the_guard_names_the_layer_and_keeps_the_checkpoint(tmp_path):
    torch.manual_seed(0)
    pairs = data()
    pairs.epoch_pairs(0)[0][100] = 500.0
    model = Breaks(X, Y)
    with pytest.raises(NonFiniteError, match=r"layer second \(Second\) is not finite"):
        Trainer(batch_size=BATCH).fit(
            model, NLL(), pairs, seed=0, last=tmp_path / "last.safetensors", best=tmp_path / "best.safetensors", meta={}
        )
    tensors, _ = load_checkpoint(tmp_path / "last.safetensors")
    assert all(tensor.isfinite().all() for tensor in tensors.values())


def test_the_guard_names_a_bad_parameter_first():
    model = flow()[0]
    with torch.no_grad():
        model.blocks.parts[1].parts[0].subnet.hidden[0].weight[0, 0] = math.nan
    name = non_finite_layer(model, lambda: model.log_prob(*data().epoch_pairs(0)))
    assert name == "parameter blocks.parts.1.parts.0.subnet.hidden.0.weight"


def test_checkpoints_refuse_what_was_altered(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}
    save_checkpoint(path, tensors, {"config": {"a": 1}})
    read, meta = load_checkpoint(path)
    assert all(torch.equal(read[k], v) for k, v in tensors.items()) and meta["config"] == {"a": 1}
    whole = path.read_bytes()
    for changed, words in (
        (whole[:-1] + bytes([whole[-1] ^ 1]), "altered"),
        (whole.replace(b'a\\": 1', b'a\\": 2'), "altered"),
        (whole[:-5], "damaged"),
        (b"", "damaged"),
        (b"not a checkpoint at all", "damaged"),
        (whole.replace(b'format\\": 1', b'format\\": 9'), "has format 9"),
    ):
        assert changed != whole
        path.write_bytes(changed)
        with pytest.raises(CheckpointError, match=words):
            load_checkpoint(path)
    for bit in range(0, 8 * len(whole), 7):  # wherever a bit flips, it is one kind of error
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
    with pytest.raises(CheckpointError, match="found none"):
        load_checkpoint(tmp_path / "none.safetensors")


def test_the_last_checkpoint_holds_the_best_weights(tmp_path):
    model, _, _ = fit(tmp_path)
    best = under("model", load_checkpoint(tmp_path / "best.safetensors")[0])
    inside = under("best", load_checkpoint(tmp_path / "last.safetensors")[0])
    for name, value in model.state_dict().items():
        assert torch.equal(best[name], value) and torch.equal(inside[name], value)


@pytest.mark.parametrize("rows, steps", [(20, 300), (100, 548), (360, 1_039), (3_000, 3_000), (10**6, 3_000)])
def test_few_rows_take_fewer_steps_where_no_budget_is_given(rows, steps):
    assert Trainer().steps_for(rows) == steps
