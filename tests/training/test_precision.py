"""How a step is computed: mixed precision, TF32, and the step that a CUDA graph replays."""

from __future__ import annotations

import collections
import contextlib
import logging
import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from catalogue import MODELS
from inncli.errors import ConfigError, NonFiniteError
from inncli.models.inn import INN
from inncli.nn.autocast import subnets_in
from inncli.nn.embedding import Embedding
from inncli.nn.made import MADE
from inncli.nn.mlp import MLP
from inncli.objectives.bidirectional import Bidirectional
from inncli.objectives.bidirectional_ml import BidirectionalML
from inncli.objectives.maxent import MaxEnt
from inncli.objectives.nll import NLL
from inncli.tasks.toy.ring import Ring
from inncli.training import cuda_graph
from inncli.training.checkpoint import load_checkpoint
from inncli.training.cuda_graph import WARM, GraphedStep, is_wanted
from inncli.training.group import Group, alone
from inncli.training.loop import Loop
from inncli.training.precision import Precision
from inncli.training.state import Data
from inncli.training.trainer import Trainer
from inncli.transforms.autoregressive import Autoregressive
from inncli.transforms.coupling import Coupling
from inncli.variables import Variables

X, Y = Variables.numbered("x", 2), Variables.numbered("y", 1)
ROWS, BATCH, SEED = 230, 32, 3
CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU, this machine has none")


def data(device="cpu"):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS + 40, 2, generator=generator, dtype=torch.float64)
    y = x.square().sum(1, keepdim=True).to(device)
    x = x.to(device)
    return Data(ROWS, lambda epoch: (x[:ROWS], y[:ROWS]), (x[ROWS:], y[ROWS:]))


def flow(name="rnvp", device="cpu"):
    torch.manual_seed(7)
    model = MODELS[name](x=X, y=Y).to(device)
    model.initialise(*data(device).epoch_pairs(0), torch.Generator(device).manual_seed(0))
    return model, NLL()


def inn_by(objective, device="cpu"):
    torch.manual_seed(7)
    model = INN(X, Y, n_blocks=2, hidden=[16], padding=0).to(device)
    objective.attach(model, Ring())
    model.initialise(*data(device).epoch_pairs(0), torch.Generator(device).manual_seed(0))
    return model, objective


def loop(folder, parts=flow, device="cpu", graphed=False, **settings):
    model, objective = parts(device=device)
    trainer = Trainer(max_steps=20, batch_size=BATCH, **settings)
    made = Loop(trainer, model, objective, data(device), SEED, folder / "last", folder / "best", {})
    if graphed and not isinstance(made.step, GraphedStep):
        made.step = Replayed(made.step, insist=True)
    made.start()
    return made


# ---- mixed precision ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "net, inputs",
    [(MLP(3, 4), [3]), (MADE(3, 2, 2), [3, 2]), (Embedding(3, 5), [3])],
    ids=lambda part: type(part).__name__,
)
def test_subnets_round_their_products_and_give_back_the_dtype(net, inputs):
    torch.manual_seed(0)
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    rows = [torch.randn(50, n) for n in inputs]
    exact = net(*rows)
    with subnets_in(torch.bfloat16):
        rounded = net(*rows)
    assert rounded.dtype == torch.float32 and torch.equal(net(*rows), exact)
    error = ((rounded - exact).abs().max() / exact.abs().max()).item()
    assert 1e-4 < error < 3e-2, "bf16 has 8 bits"


@pytest.mark.parametrize("name", ["rnvp", "spline", "glow", "maf"])
def test_log_dets_stay_those_of_the_map_to_float32(name):
    """Subnets in bf16 make another map; its log-det is as exact as ever, says autograd."""
    model, _ = flow(name)
    part = next(part for part in model.blocks.modules() if isinstance(part, (Coupling, Autoregressive)))
    for parameter in part.parameters():
        nn.init.normal_(parameter, std=0.3)
    x, context = torch.randn(6, 2, requires_grad=True), torch.randn(6, part.dim_context)

    def error(rounding):
        """Of the log-det, as a sum of float32s: the Jacobian is triangular, but for what autograd rounds."""
        with rounding:
            z, ladj = part(x, context)
        jacobian = torch.stack(
            [torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in z.unbind(1)], 1
        )
        return float(
            (ladj - torch.diagonal(jacobian, dim1=1, dim2=2).abs().log().sum(1)).detach().abs().max()
        ), ladj.detach()

    exact, ladj = error(contextlib.nullcontext())
    mixed, rounded = error(subnets_in(torch.bfloat16))
    careless, _ = error(torch.autocast("cpu", torch.bfloat16))  # all of it, as a trainer would without the marks
    assert rounded.dtype == torch.float32 and (rounded - ladj).abs().max() > 1e-4
    assert mixed < 10 * exact + 1e-6
    assert careless > 100 * mixed


def test_a_run_in_bf16_learns_and_is_validated_exactly(tmp_path):
    seen = collections.Counter()
    made = loop(tmp_path, precision="bf16", max_epochs=None, ema=0.0)
    subnet = made.model.blocks.parts[0].parts[0].subnet
    subnet.hidden[0].register_forward_hook(lambda module, i, out: seen.update([(module.training, out.dtype)]))
    start = made.validate()
    while not made.finished:
        made.take_step()
    assert made.validate() < start - 0.05
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
    assert {p.dtype for p in made.parameters} == {torch.float32}
    exact = loop(tmp_path, ema=0.0)
    while not exact.finished:
        exact.take_step()
    assert not torch.equal(made.parameters[0], exact.parameters[0])


def test_full_precision_is_the_default_and_changes_nothing(tmp_path):
    with torch.autocast("cpu", enabled=False):
        plain, asked = loop(tmp_path), loop(tmp_path, precision="full", tf32=False, cuda_graph=False)
    for _ in range(3):
        assert plain.take_step() == asked.take_step()
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters, asked.parameters, strict=True))


@pytest.mark.parametrize(
    "settings, model, device, words",
    [
        (("fp16", False), "rnvp", "cpu", r"precision=fp16 does not work on cpu; take trainer.precision=bf16"),
        (("bf16", False), "rnvp", "mps", r"precision=bf16 does not work on mps; take trainer.precision=full"),
        (("bf16", False), "iresnet", "cpu", r"precision=bf16: residual blocks .* take a model of couplings"),
        (("full", True), "rnvp", "cpu", r"trainer.tf32 is for NVIDIA GPUs, this run computes on cpu; leave it out"),
    ],
)
def test_what_a_device_or_a_model_can_not_is_refused(settings, model, device, words):
    with pytest.raises(ConfigError, match=words):
        Precision(*settings, flow(model)[0], torch.device(device))


def test_float64_is_not_rounded_behind_the_back():
    with pytest.raises(ConfigError, match="rounds float32, this run computes in float64"):
        Precision("bf16", False, flow()[0].double(), CPU)


def test_tf32_lasts_as_long_as_the_training():
    before = torch.backends.cuda.matmul.allow_tf32
    precision = Precision("full", False, flow()[0], CPU)
    precision.tf32 = True
    with precision.entered():
        assert torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32 == before


class Scaled(Precision):
    """fp16's scaling of the loss, on a CPU, with everything else exact."""

    def __init__(self, scale):
        self.dtype, self.tf32 = None, False
        self.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=10**6)


def test_a_scaled_loss_takes_the_same_steps_and_an_overflow_skips_one(tmp_path):
    plain, scaled = loop(tmp_path), loop(tmp_path)
    scaled.step.precision = scaled.precision = Scaled(2.0**10)
    for _ in range(3):
        assert plain.take_step()[0] == pytest.approx(scaled.take_step()[0], rel=1e-5)
    before = [p.clone() for p in scaled.parameters]
    scaled.parameters[0].register_hook(lambda g: g * math.inf)
    scaled.take_step()
    assert all(torch.equal(a, b) for a, b in zip(before, scaled.parameters, strict=True))
    assert scaled.precision.state()["scaler"]["scale"] == 2.0**9, "a checkpoint keeps it"
    again = Scaled(1.0)
    again.load(scaled.precision.state())
    assert again.scaler.get_scale() == 2.0**9
    with pytest.raises(NonFiniteError, match="not finite at any scale"):
        for _ in range(10):
            scaled.take_step()


# ---- the step that is replayed -----------------------------------------------------------------------
class Replayed(GraphedStep):
    """What a CUDA graph would replay, run anew instead: the same places, seeds and order, on any device."""

    def _record(self, whole):
        return whole


@pytest.mark.parametrize(
    "parts",
    [
        flow,
        lambda device: flow("spline", device),
        lambda device: inn_by(BidirectionalML(), device),
        lambda device: inn_by(Bidirectional(ramp=5), device),
    ],
    ids=["rnvp", "spline", "inn_ml", "inn_mmd"],
)
def test_the_step_on_fixed_places_takes_the_plain_steps(tmp_path, parts):
    plain, fixed = loop(tmp_path, parts), loop(tmp_path, parts, graphed=True)
    for step in range(20):
        a, b = plain.take_step(), fixed.take_step()
        assert a[1] == b[1] and a[0] == pytest.approx(b[0], rel=2e-5), step
    assert fixed.step.replay is not None
    assert plain.validate() == pytest.approx(fixed.validate(), rel=1e-5)
    assert plain.progress.sums.keys() == fixed.progress.sums.keys()


def test_recording_waits_for_the_ramp_and_the_warm_up(tmp_path):
    made = loop(tmp_path, lambda device: inn_by(Bidirectional(ramp=5), device), graphed=True)
    recorded = []
    for _ in range(12):
        made.take_step()
        recorded.append(made.step.replay is not None)
    assert recorded == [step >= 5 + WARM for step in range(12)]


def test_a_replayed_step_that_is_not_finite_leaves_the_weights_and_names_the_layer(tmp_path):
    made = loop(tmp_path, graphed=True)
    for _ in range(WARM + 2):
        made.take_step()
    before = [p.clone() for p in made.parameters]
    made._epoch[1][0][:] = 1e300
    with pytest.raises(NonFiniteError, match="layer .* is not finite"):
        made.take_step()
    assert all(torch.equal(a, b) for a, b in zip(before, made.parameters, strict=True))


def test_a_recording_that_fails_leaves_the_plain_step(tmp_path, monkeypatch):
    def fails(self, whole):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    plain, made = loop(tmp_path), loop(tmp_path)
    made.step = type("Fails", (GraphedStep,), {"_record": fails})(made.step, insist=False)
    said = []
    monkeypatch.setattr(logging.getLogger(cuda_graph.__name__), "warning", lambda text, *args: said.append(text % args))
    for _ in range(8):
        assert plain.take_step() == made.take_step()
    assert said == ["no CUDA graph of the step (operation not permitted when stream is capturing); it goes on without"]
    insisted = loop(tmp_path)
    insisted.step = type("Fails", (GraphedStep,), {"_record": fails})(insisted.step, insist=True)
    with pytest.raises(RuntimeError, match="not permitted"):
        for _ in range(8):
            insisted.take_step()


class Host(TorchDispatchMode):
    """Counts what a stream that is being captured does not allow: numbers read back, and numbers brought in."""

    READS = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "is_nonzero",
        "equal",
        "lift_fresh",
        "_unique2",
        "unique_dim",
    )

    def __init__(self):
        super().__init__()
        self.seen = collections.Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        masks = (
            [i for i in args[1] if i is not None and i.dtype == torch.bool] if name in ("index", "index_put_") else []
        )
        # A single number made on the host (`lift_fresh`) goes along with the launch; more of them are a copy.
        if (name in self.READS and not (name == "lift_fresh" and args[0].ndim == 0)) or masks:
            self.seen[name] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "parts",
    [
        *(lambda device, name=name: flow(name, device) for name in ("nice", "rnvp", "glow", "spline", "maf", "iaf")),
        lambda device: inn_by(BidirectionalML(), device),
        lambda device: inn_by(Bidirectional(ramp=1), device),
    ],
    ids=["nice", "rnvp", "glow", "spline", "maf", "iaf", "inn_ml", "inn_mmd"],
)
def test_a_steady_step_asks_the_device_for_nothing(tmp_path, parts):
    """What a capture would refuse shows on a CPU, too."""
    made = loop(tmp_path, parts, graphed=True)
    for _ in range(2):
        made.take_step()
    batch = made._batch(2)
    made.step.places, made.step.generator = batch, torch.Generator()
    with Host() as host:
        loss, _ = made.objective(made.model, batch, 2, made.step.generator)
        made.step.gradient(loss)
    assert not host.seen
    with Host() as control:
        float(loss.detach())
    assert control.seen


def test_who_gets_a_graph():
    cuda = torch.device("cuda:0")
    model, objective = flow()
    full = Precision("full", False, model, CPU)
    one, two = alone(cuda), Group(cuda, ("cuda:0", "cuda:1"))
    assert is_wanted("auto", model, objective, one, full) and is_wanted(True, model, objective, one, full)
    assert not is_wanted(False, model, objective, one, full)
    assert not is_wanted("auto", model, objective, alone(CPU), full)
    assert not is_wanted("auto", model, Bidirectional(kernel="gaussian"), one, full)
    assert not is_wanted("auto", model, MaxEnt(), one, full)
    for group, loss, words in (
        (alone(CPU), objective, "computes on cpu, and CUDA graphs are for NVIDIA"),
        (two, objective, "several processes"),
        (one, MaxEnt(), "MaxEnt does not say"),
    ):
        assert not is_wanted("auto", model, loss, group, full)
        with pytest.raises(ConfigError, match=f"cuda_graph=true: .*{words}.*leave it at auto"):
            is_wanted(True, model, loss, group, full)
    large = nn.Linear(2000, 2000)
    large.graph_capturable = True
    assert not is_wanted("auto", large, objective, one, full) and is_wanted(True, large, objective, one, full)


@needs_cuda
@pytest.mark.parametrize(
    "parts", [flow, lambda device: flow("spline", device), lambda device: inn_by(Bidirectional(ramp=5), device)]
)
def test_a_cuda_graph_takes_the_plain_steps(tmp_path, parts):
    plain, graphed = (loop(tmp_path, parts, "cuda", cuda_graph=choice) for choice in (False, True))
    for step in range(20):
        a, b = plain.take_step(), graphed.take_step()
        assert a[1] == b[1] and a[0] == pytest.approx(b[0], rel=1e-4), step
    assert graphed.step.replay is not None


@needs_cuda
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_learns_on_cuda(tmp_path, precision):
    if precision == "bf16" and not torch.cuda.is_bf16_supported():
        pytest.skip("needs an NVIDIA GPU that computes in bfloat16")
    made = loop(tmp_path, device="cuda", precision=precision, ema=0.0)
    start = made.validate()
    while not made.finished:
        made.take_step()
    assert made.validate() < start - 0.05


def test_a_checkpoint_keeps_the_scale_and_only_with_fp16(tmp_path):
    made = loop(tmp_path)
    made.checkpoint()
    assert "scaler" not in load_checkpoint(tmp_path / "last")[1]["training"]
