"""Maximum entropy under given moments, by the augmented Lagrangian."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inncli.errors import ConfigError
from inncli.models.base import Model, Scalar
from inncli.objectives.base import Batch, Objective, Terms
from inncli.tasks.base import Task
from inncli.tasks.maxent.base import MaxentTask
from inncli.types import Float, Fraction, Int, PositiveFloat, PositiveInt

REPORT_DRAWS, REPORT_CHUNK = 200_000, 4_000

Statistics = Float[Tensor, " statistics"]
Matrix = Float[Tensor, "statistics statistics"]
Residuals = Float[Tensor, "draws statistics"]


def latin_normal(n: int, dim: int, generator: torch.Generator) -> Float[Tensor, "n dim"]:
    r"""Draws n standard normal rows as a Latin hypercube: one value in every n-th of the mass of each column.

    .. math:: z_{id} = \Phi^{-1}((\pi_d(i) + u_{id}) / n), \quad u \sim U(0, 1), \; \pi_d \text{ a permutation}

    Each row is N(0, I) exactly, so means over rows are unbiased. The part of a function that depends on single columns
    adds next to nothing to their variance; with independent rows it adds a term that falls as 1/n.

    Shape: (n, dim), float64.
    Reference: McKay, Beckman and Conover 1979, A comparison of three methods for selecting values of input variables.
    """

    def uniform() -> Tensor:
        return torch.rand(n, dim, generator=generator, dtype=torch.float64, device=generator.device)

    stratum = uniform().argsort(0)
    u = (stratum + uniform()) / n
    return torch.special.ndtri(u.clamp(1e-12, 1 - 1e-12))


class MaxEnt(Objective):
    r"""The largest entropy of the flow q under :math:`E_q[T(x)] = \kappa`.

    .. math:: L(q) = -H(q) + \lambda \cdot R + \tfrac{c}{2}\, R^\top V^{-1} R, \quad R = E_q[T(x)] - \kappa,
        \quad V = \mathrm{Cov}_q[T(x)]

    Steps come in phases. Within one, lambda, c and V stay; at its end, with R and V measured over all of its draws,

    .. math:: \lambda \leftarrow \lambda + w_k\, c\, V^{-1} R, \quad w_k = 3 / (k + 2), \qquad
        c \leftarrow \beta c \text{ if } R_k^\top V^{-1} R_k > \gamma^2 R_{k-1}^\top V^{-1} R_{k-1}

    * V makes the problem the same in any unit, and for any mixture, of the statistics. c is then a plain number.
    * w_k averages: lambda is the mean of the multipliers that the method would set, weighted to the late phases.
      Without it their noise grows with c. w_1 = 1.
    * The test on the penalty holds only where the excess is twice its standard error: a residual that has reached its
      noise shrinks no more, and is no reason for a larger c.
    * R^T V^{-1} R is estimated as the product of the means of two independent halves of the draws, so that it
      and its gradient are unbiased; squaring one mean adds its variance. Each half is a Latin hypercube.

    Args:
        draws: x ~ q a step, fresh each step, in two halves.
        phase_steps: steps a phase.
        penalty: c at the start. max_penalty: its largest value. growth: beta.
        shrink: gamma, by which the residual must shrink from phase to phase.

    Random: the gradient, unbiased but for V and lambda, which are those of the phase before.

    Reference: Loaiza-Ganem, Gao and Cunningham 2017, Maximum entropy flow networks, arXiv:1701.03504;
        Shamir and Zhang 2013, Stochastic gradient descent for non-smooth optimization, arXiv:1212.1824 (w_k).
    """

    needs_data = False

    # Buffers, see `attach`; K statistics.
    kappa: Statistics
    multipliers: Statistics
    weight: Scalar
    phase: Int[Tensor, ""]
    factor: Matrix
    steps: Int[Tensor, ""]
    sum_mean: Statistics
    sum_mean2: Matrix
    sum_r2: Matrix
    before: Statistics
    before_noise: Matrix

    def __init__(
        self,
        draws: PositiveInt = 256,
        phase_steps: PositiveInt = 100,
        penalty: PositiveFloat = 1.0,
        max_penalty: PositiveFloat = 16.0,
        growth: PositiveFloat = 2.0,
        shrink: Fraction = 0.25,
    ) -> None:
        super().__init__()
        if draws < 2:
            raise ConfigError(f"objective.draws must be at least 2, one for each half, got {draws}")
        self.draws, self.phase_steps = draws, phase_steps
        self.penalty, self.max_penalty, self.growth, self.shrink = penalty, max_penalty, growth, shrink

    def attach(self, model: Model, task: Task) -> None:
        """Takes T and kappa.

        Raises: ConfigError if the task has no moments, or the model no reparameterised draws.
        """
        if not isinstance(task, MaxentTask):
            raise ConfigError(
                f"objective=maxent needs moments, task={task.name} gives none; use e.g. task=maxent_dirichlet"
            )
        if not model.can_push_forward:
            raise ConfigError(
                f"objective=maxent needs draws that carry gradients, {type(model).__name__} gives none "
                "here; use a flow with model.bounds=auto, e.g. model=rnvp"
            )
        self.task = task
        k = len(task.moments)
        start = {
            "kappa": torch.as_tensor(task.moments),
            "multipliers": torch.zeros(k),
            "weight": torch.tensor(self.penalty),
            "phase": torch.tensor(0),
            "factor": torch.eye(k),  # V = factor factor^T
            # of the phase so far: steps, sums over them of the mean of r, its square, and the mean square of r
            "steps": torch.tensor(0),
            "sum_mean": torch.zeros(k),
            "sum_mean2": torch.zeros(k, k),
            "sum_r2": torch.zeros(k, k),
            # of the phase before: R and the covariance of its estimate
            "before": torch.zeros(k),
            "before_noise": torch.zeros(k, k),
        }
        device = next(model.parameters()).device
        for name, value in start.items():
            value = value.double() if value.is_floating_point() else value
            self.register_buffer(name, value.to(device))

    def forward(self, model: Model, batch: Batch | None, step: int, generator: torch.Generator) -> tuple[Scalar, Terms]:
        """The augmented Lagrangian of fresh draws, and its terms."""
        halves = [latin_normal(n, model.dim, generator) for n in (self.draws // 2, self.draws - self.draws // 2)]
        x, log_q = model.push_forward(torch.cat(halves))
        r = self.task.statistics(x) - self.kappa
        if step % self.phase_steps == 0:
            self._begin_phase(r.detach())
        self._count(r.detach())
        entropy = -log_q.mean()
        constraint = self.multipliers @ r.mean(0)
        penalty = self.weight / 2 * self._product_of_halves(r)
        terms = {
            "entropy": entropy,
            "constraint": constraint,
            "penalty": penalty,
            "penalty_weight": self.weight.clone(),
        }
        terms |= {f"residual {name}": value for name, value in zip(self.task.statistic_names, r.mean(0), strict=True)}
        return -entropy + constraint + penalty, {name: value.detach() for name, value in terms.items()}

    def _product_of_halves(self, r: Residuals) -> Scalar:
        """Unbiased R^T V^{-1} R."""
        half = self.draws // 2
        return self._whiten(r[:half].mean(0)) @ self._whiten(r[half:].mean(0))

    def _whiten(self, r: Float[Tensor, " statistics *columns"]) -> Float[Tensor, " statistics *columns"]:
        """factor^{-1} r, of one column or of several."""
        columns = r if r.ndim == 2 else r[:, None]
        return torch.linalg.solve_triangular(self.factor, columns, upper=False).reshape(r.shape)

    # phases

    def _count(self, r: Residuals) -> None:
        """Adds the draws of a step to the sums of the phase."""
        mean = r.mean(0)
        self.steps += 1
        self.sum_mean += mean
        self.sum_mean2 += torch.outer(mean, mean)
        self.sum_r2 += r.T @ r / len(r)

    def _begin_phase(self, r: Residuals) -> None:
        """Ends the phase before: multipliers, penalty weight and V from its draws; `r` gives the first V."""
        if self.steps == 0:
            self._set_metric(torch.atleast_2d(torch.cov(r.T)))
            return
        self.phase += 1
        n, mean = self.steps, self.sum_mean / self.steps
        square = torch.outer(mean, mean)
        self._set_metric(self.sum_r2 / n - square)
        noise = (self.sum_mean2 / n - square) / (n - 1).clamp_min(1)
        # lambda + w c V^{-1} R
        average = 3 / (self.phase + 2)
        self.multipliers += average * self.weight * torch.cholesky_solve(mean[:, None], self.factor)[:, 0]
        if self.phase > 1 and self._shrinks_too_slowly(mean, noise):
            self.weight.copy_((self.weight * self.growth).clamp_max(self.max_penalty))
        self.before.copy_(mean)
        self.before_noise.copy_(noise)
        for total in (self.steps, self.sum_mean, self.sum_mean2, self.sum_r2):
            total.zero_()

    def _set_metric(self, covariance: Matrix) -> None:
        # A little of the diagonal is added, since statistics may depend on each other.
        variance = torch.diagonal(covariance).clamp_min(1e-12)
        self.factor.copy_(torch.linalg.cholesky(covariance + 1e-6 * torch.diag(variance)))

    def _shrinks_too_slowly(self, mean: Statistics, noise: Matrix) -> bool:
        """Whether |R_k|^2 exceeds gamma^2 |R_{k-1}|^2 by two standard errors, both in the metric of V."""
        now, variance = self._squared_norm(mean, noise)
        before, variance_before = self._squared_norm(self.before, self.before_noise)
        excess = now - self.shrink**2 * before
        return bool(excess > 2 * (variance + self.shrink**4 * variance_before).sqrt())

    def _squared_norm(self, mean: Statistics, noise: Matrix) -> tuple[Scalar, Scalar]:
        """Unbiased R^T V^{-1} R from an estimate of R with covariance `noise`, and the variance of that."""
        r, noise = self._whiten(mean), self._whiten(self._whiten(noise).T)
        return r @ r - noise.trace(), 4 * r @ noise @ r + 2 * noise.square().sum()

    # the end

    @torch.no_grad()
    def report(self, model: Model, generator: torch.Generator) -> dict[str, float]:
        r"""Entropy, KL(q || p*) = E_q[log q - log p*], and the largest |E_q T - kappa|.

        Over 200,000 fresh draws, unbiased with their standard error; KL where the task knows p*.
        """
        chunks = []
        for _ in range(math.ceil(REPORT_DRAWS / REPORT_CHUNK)):
            x, log_q = model.push_forward(latin_normal(REPORT_CHUNK, model.dim, generator))
            values = [-log_q[:, None], self.task.statistics(x) - self.kappa]
            if self.task.has_log_density:
                truth = torch.as_tensor(self.task.log_density(x.cpu().numpy()), device=x.device)
                values.append((log_q - truth)[:, None])
            chunks.append(torch.cat(values, 1).double().mean(0))
        # A chunk is one Latin hypercube: chunks are independent, its rows are not.
        means = torch.stack(chunks)
        mean, error = means.mean(0), means.std(0) / math.sqrt(len(means))
        worst = 1 + int(mean[1 : 1 + len(self.kappa)].abs().argmax())
        columns = {"entropy": 0, "residual": worst} | ({"kl": -1} if self.task.has_log_density else {})
        out = {} if self.task.entropy is None else {"entropy_exact": self.task.entropy}
        for name, column in columns.items():
            out |= {name: float(mean[column]), f"{name}_se": float(error[column])}
        out["residual"] = abs(out["residual"])
        return out
