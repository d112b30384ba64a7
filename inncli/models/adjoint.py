"""Ad-hoc inversion: a network y = f(x), and a descent on x for each y."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inncli.errors import CheckpointError, ConfigError, ShapeError
from inncli.models.abilities import ForwardNetwork
from inncli.models.base import Draws, Observations, PerRow, X, Y
from inncli.models.column_choice import one_number, remarks
from inncli.nn.features import Features
from inncli.nn.losses import LOSSES
from inncli.nn.mlp import MLP
from inncli.nn.sharding import row_wise
from inncli.numerics.clusters import distinct
from inncli.numerics.polyak import descend
from inncli.transforms.marginal import Standardise
from inncli.types import Bool, Float, Int, NonNegativeFloat, PositiveFloat, PositiveInt, Real
from inncli.variables import Variables

Outputs = Float[Tensor, "rows dim_out"]  # of the network, or what they must be: y as `Features`
LABEL_MISS = 0.05  # a label is reached at a probability of .95
NUMBERED = ("mse", "l1", "huber")  # what 0, 1 and 2 stand for in checkpoints of 0.1 to 0.4


def _spelled(name: str) -> int:
    """A name of up to seven letters as one number, that of its bytes: a checkpoint holds tensors only."""
    return int.from_bytes(name.encode(), "big")


SPELLED = {_spelled(name): loss for name, loss in LOSSES.items()}


class Adjoint(ForwardNetwork):
    r"""The neural adjoint: many x with f(x) = y, found from many starts; no posterior and no density.

    .. math:: L(x; y) = \frac{1}{D_y} \sum_j \ell(f_j(x) - y_j) +
        \beta \sum_i [\max(l_i - x_i, 0) + \max(x_i - h_i, 0)]

    f is trained by the mean of the first term (objective `regression`, which also says what l is: squares,
    absolute values, Huber's, and the cross-entropy where y is a label), and the descent minimises that very
    loss, plus a penalty for leaving the range (l, h) of the training data, where f is a guess. All in scaled
    units: x by median and quartiles, y by mean and sd, or those of its logarithm where it spans decades.

    A row has converged if f(x) is within `tolerance` sds of y (root mean square over the columns; a label
    at a probability of .95) inside that range. Those that have not are returned too, at their least loss. No
    row leaves the bounds of x. Found x are not rounded to a recording step.

    The draws are where descents from prior draws end: every solution shows, but not how likely it is.

    Args:
        hidden: widths of the network.
        tolerance: how near f(x) must come to y, in sds of y.
        max_steps, patience, step_limit: of the descent, see `numerics.polyak.descend`; the limit in sds of x.
        boundary: the weight beta.
        link: solutions nearer to each other than this, in sds of x, are one, see `numerics.clusters.distinct`.
        n_starts: training xs kept as starts. Fewer draws than these start from different ones; more use
            them again.

    Reference: Ren, Padilla and Malof 2020, Benchmarking deep inverse models over time, and the neural-adjoint
        method, arXiv:2009.12919.
    """

    has_density = False
    is_search = True
    loss_kind: Tensor  # (), a name of LOSSES as `_spelled`; the objective sets it
    bounds: Tensor  # (2, Dx)
    range: Tensor  # (2, Dx), of the training xs, scaled
    starts: Tensor  # (n_starts, Dx)

    def __init__(
        self,
        x: Variables,
        y: Variables | None,
        hidden: Sequence[PositiveInt] = (128, 128),
        tolerance: PositiveFloat = 1e-3,
        max_steps: PositiveInt = 300,
        patience: PositiveInt = 50,
        step_limit: PositiveFloat = 0.3,
        boundary: NonNegativeFloat = 10.0,
        link: PositiveFloat = 0.15,
        n_starts: PositiveInt = 4096,
    ) -> None:
        super().__init__(x, y)
        if y is None:
            raise ConfigError("model=adjoint inverts y = f(x), and this task has no y; choose a flow, e.g. model=rnvp")
        if x.simplex:
            raise ConfigError(
                "model=adjoint searches in a box, and the unknowns of this task are shares of a whole; "
                "choose a flow, e.g. model=rnvp"
            )
        self.tolerance, self.max_steps, self.patience, self.step_limit = tolerance, max_steps, patience, step_limit
        self.boundary, self.link = boundary, link
        self.scale = Standardise(x.dim)
        self.features = Features(y)
        # Smooth, so that the descent follows f and not its facets.
        self.net = MLP(x.dim, self.features.dim_out, hidden, activation=nn.SiLU)
        self.register_buffer("loss_kind", torch.tensor(_spelled("mse")))  # a name of LOSSES, set by the objective
        low, high = (
            [inf if pair[k] is None else pair[k] for pair in x.bounds] for k, inf in ((0, -torch.inf), (1, torch.inf))
        )
        self.register_buffer("bounds", torch.tensor([low, high], dtype=torch.float64))
        self.register_buffer("range", torch.zeros(2, x.dim, dtype=torch.float64))
        self.register_buffer("starts", torch.zeros(n_starts, x.dim, dtype=torch.float64))
        self.register_load_state_dict_pre_hook(_loss_by_name)

    # training

    @torch.no_grad()
    def columns_for(self, x: X, y: Y) -> tuple[Variables, Variables | None]:
        """Chooses the scale of each column of y."""
        assert self.y is not None and y is not None  # `__init__` refuses a task without
        return self.x, one_number(self.y, y.cpu().numpy())

    def remarks(self) -> list[str]:
        """What is said of the columns."""
        return remarks(self.x, self.y)

    @torch.no_grad()
    def initialise(self, x: X, y: Y, generator: torch.Generator) -> None:
        """Sets the scalings, the range of x, and the starts: rows of x, each once before any is taken again."""
        assert y is not None  # `__init__` refuses a task without
        self.features.initialise(y)
        z = self.scale.initialise(x.double())
        self.range.copy_(torch.stack([z.min(0).values, z.max(0).values]))
        self.starts.copy_(x.double()[_shuffled(len(x), len(self.starts), generator)])

    def train_by(self, kind: str) -> None:
        """Names the loss of a number, one of LOSSES; kept in the saved state."""
        self.loss_kind.fill_(_spelled(kind))

    @row_wise
    def row_loss(self, x: X, y: Real[Tensor, "rows dim_y"]) -> PerRow:
        """The regression loss of each pair, (rows,): the mean over the columns of y."""
        z = self.scale(x.double())[0].to(self._dtype)
        return self._compare(self.net(z), self._target(y))[0]

    # the contract

    @torch.no_grad()
    def posterior(
        self, y: Observations, n: int, generator: torch.Generator, starts: Tensor | None = None
    ) -> tuple[Draws, dict[str, Tensor]]:
        """Where n descents end for each row of y, (n_obs, n, Dx).

        With `loss` (the regression loss there, without the penalty), `converged`, `steps` (taken) and `solution`
        (0 for the largest; -1 for rows that did not converge), each (n_obs, n).

        Args:
            y: observations, (n_obs, Dy).
            n: descents for each.
            generator: orders the starts, where none are given.
            starts: (n, Dx) for every y, or (n_obs, n, Dx); None: training xs in random order.

        Raises: ShapeError if `starts` has another shape, or is not finite.
        """
        n_obs = len(y)
        if starts is None:
            x = self.starts[_shuffled(len(self.starts), n_obs * n, generator)]
        else:
            x = self._checked(starts, n_obs, n)
        z = self.scale(torch.clamp(x, *self.bounds))[0].to(self._dtype)
        # A y so far out that its square overflows is as unreachable at a billion sds.
        target = self._target(y).repeat_interleave(n, 0)
        found = descend(self._penalised, z, target, self.max_steps, self.patience, self.step_limit)
        loss = torch.cat(
            [self._compare(self.net(a), b)[0] for a, b in zip(found.z.split(8192), target.split(8192), strict=True)]
        )
        x = torch.clamp(self.scale.inverse(found.z.double())[0], *self.bounds)
        shape = (n_obs, n)
        solution = torch.stack(
            [
                self._solutions(*part)
                for part in zip(found.z.reshape(*shape, self.dim), found.reached.reshape(shape), strict=True)
            ]
        )
        return x.reshape(*shape, self.dim), {
            "loss": loss.reshape(shape),
            "converged": found.reached.reshape(shape),
            "steps": found.steps.reshape(shape),
            "solution": solution,
        }

    def sample(self, y: Observations | None, n: int, generator: torch.Generator) -> Draws:
        """Where n descents end for each row of y, converged or not; see `posterior`."""
        assert y is not None  # `__init__` refuses a task without
        return self.posterior(y, n, generator)[0]

    def diagnostics(self, x: X, y: Y) -> dict[str, float]:
        """`forward_loss`: the mean regression loss at these rows: of held-out pairs, or of x found for y."""
        with torch.no_grad():
            return {"forward_loss": float(self.row_loss(x, y).mean())}

    # parts

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.net.parameters()).dtype

    def _target(self, y: Tensor) -> Outputs:
        return self.features(y.double()).clamp(-1e9, 1e9).to(self._dtype)

    def _compare(self, out: Outputs, target: Outputs) -> tuple[PerRow, Bool[Tensor, " rows"]]:
        """The loss of each row, and whether it is within the tolerance. Shape: out, target (rows, dim_out)."""
        number = SPELLED[int(self.loss_kind)]
        losses, squares, sure = [], [], torch.ones_like(out[:, 0], dtype=torch.bool)
        for a, b in zip(out.split(self._widths, 1), target.split(self._widths, 1), strict=True):
            if a.shape[1] == 1:
                losses.append(number(a - b)[:, 0])
                squares.append((a - b).square()[:, 0])
            else:
                log_p = (torch.log_softmax(a, 1) * b).sum(1)
                losses.append(-log_p)
                sure &= log_p.exp() >= 1 - LABEL_MISS
        near = torch.stack(squares).mean(0).sqrt() <= self.tolerance if squares else sure
        return torch.stack(losses).mean(0), near & sure

    @property
    def _widths(self) -> list[int]:
        return [max(size, 1) for size in self.features.sizes]

    def _penalised(self, z: X, target: Outputs) -> tuple[PerRow, Bool[Tensor, " rows"]]:
        loss, near = self._compare(self.net(z), target)
        low, high = self.range.to(z.dtype)
        outside = (torch.relu(low - z) + torch.relu(z - high)).sum(1)
        return loss + self.boundary * outside, near & (outside <= 1e-6 * (high - low).max())

    def _solutions(self, z: X, reached: Bool[Tensor, " rows"]) -> Int[Tensor, " rows"]:
        """The number of the solution that each row of one y reached, -1 where it reached none."""
        which = torch.full(reached.shape, -1, device=z.device)
        which[reached] = torch.as_tensor(distinct(z[reached].double().cpu().numpy(), self.link), device=z.device)
        return which

    def _checked(self, starts: Tensor, n_obs: int, n: int) -> Tensor:
        expected = (n_obs, n, self.dim)
        if tuple(starts.shape) not in (expected, expected[1:]):
            raise ShapeError(
                f"starts: expected {expected[1:]} or {expected}, got {tuple(starts.shape)}; give one start a draw"
            )
        if not starts.isfinite().all():
            raise ShapeError("starts: expected finite numbers, got NaN or inf; leave those rows out")
        return starts.double().expand(expected).reshape(-1, self.dim)


def _loss_by_name(model: Adjoint, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Spells the loss of an older checkpoint. Raises: CheckpointError if there is no such loss."""
    key = prefix + "loss_kind"
    if key not in state:
        return
    kind = int(state[key])
    if 0 <= kind < len(NUMBERED):
        kind = _spelled(NUMBERED[kind])
        state[key] = torch.full_like(state[key], kind)
    if kind not in SPELLED:
        raise CheckpointError(
            f"{key} of the checkpoint names no loss, expected {', '.join(LOSSES)}; restore it or train again"
        )


def _shuffled(m: int, n: int, generator: torch.Generator) -> Int[Tensor, " n"]:
    """Gives n indices below m: a random order of all, then another one, and so on."""
    rounds = [torch.randperm(m, generator=generator, device=generator.device) for _ in range(-(-n // m))]
    return torch.cat(rounds)[:n]
