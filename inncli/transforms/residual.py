r"""The invertible residual block, z = x + g(x, context) with Lip(g) < 1 in x; its certificate and its health."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from inncli.errors import CheckpointError
from inncli.nn.lipschitz import Conditioned, LipschitzNet
from inncli.numerics.fixed_point import Method, Solution, solve
from inncli.transforms import log_det as estimate
from inncli.transforms.base import Context, LogDet, Moved, Points, Transform
from inncli.types import Float, PositiveFloat, PositiveInt, Share

EXACT = 64  # dimensions up to which training takes the exact log-det, unless told otherwise


class Residual(Transform):
    r"""A residual step that is invertible because its net is a contraction in x.

    .. math:: z = x + g(x, c), \quad \mathrm{Lip}(g(\cdot, c)) \le L < 1, \quad
              \log|\det J| = \log\det(I + \partial g / \partial x)

    The inverse is solved in float64, each row until its error is certified to lie below `tolerance` (1 + |z|):
    errors of a chain multiply by up to 1 / (1 - L) a block, so that float32 would lose the round trip. Its
    gradient follows from the implicit function theorem, (I + J)^{-T} times what arrives, without differentiating
    the solver; its log-det is taken at the x that was found.

    The log-det is exact, with its gradient, whenever the module is in eval mode: densities never depend on
    random numbers. In training it is exact up to 64 dimensions; above them `auto` takes the roulette.

    Args:
        hidden: widths of the net's hidden layers.
        lipschitz: L.
        log_det: what training uses: `exact`; `series`, biased; `roulette`, unbiased; or `auto`.
        terms: of the series; of the roulette, those always taken.
        tolerance: of the inverse.
        solver: see `numerics.fixed_point`. For errors below 1e-10 the blocks of a trained ring took Anderson 6 to 9
            evaluations, Newton 7 to 11 with its Jacobian among them, Banach 11 to 58.

    Raises: ConvergenceError if a row of the inverse can't be certified; an x that isn't one is never returned.
    Reference: Behrmann et al. 2019, Invertible residual networks, arXiv:1811.00995; Chen et al. 2019,
        Residual flows for invertible generative modeling, arXiv:1906.02735.
    """

    certificate: Tensor  # (), a bound on Lip(g) of the weights as they were saved

    def __init__(
        self,
        dim: int,
        dim_context: int,
        hidden: Sequence[int],
        lipschitz: Share = 0.95,
        log_det: Literal["auto", "exact", "series", "roulette"] = "auto",
        terms: PositiveInt = 8,
        tolerance: PositiveFloat = 1e-11,
        solver: Method = "anderson",
    ) -> None:
        super().__init__(dim, dim_context)
        self.net = LipschitzNet(dim, dim_context, hidden, lipschitz)
        self.log_det = ("exact" if dim <= EXACT else "roulette") if log_det == "auto" else log_det
        self.terms, self.tolerance, self.solver = terms, tolerance, solver
        self.asked: tuple[Tensor, Conditioned] | None = None  # the last inverse without a gradient: (z, net)
        self.solution: Solution | None = None  # and its answer
        self.register_buffer("certificate", torch.tensor(float("nan"), dtype=torch.float64))
        # What a checkpoint says is computed as it is saved, from the weights that are saved.
        self.register_state_dict_pre_hook(lambda module, *_: module.certificate.fill_(module.net.certificate()))

    def _forward(self, x: Points, context: Context) -> Moved:
        net = self.net.at(context)
        g, slopes = net.with_slopes(x)
        return x + g, self._log_det(net, slopes)

    def _log_det(self, net: Conditioned, slopes: list[Tensor]) -> LogDet:
        if self.training and self.log_det != "exact":
            return self.estimates(net, slopes, 1).mean(1)
        few = max(2**23 // self.dim**2, 1)  # rows whose Jacobians take 64 MB or so
        if len(slopes[0]) <= few:
            return estimate.exact(net.jacobian(slopes))
        parts = zip(*(s.split(few) for s in slopes), strict=True)
        return torch.cat([estimate.exact(net.jacobian(list(part))) for part in parts])

    def estimates(
        self, net: Conditioned, slopes: list[Tensor], probes: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "rows probes"]:
        """Estimates of the log-det as training uses them, (rows, probes)."""
        v = estimate.random_signs(len(slopes[0]), probes, self.dim, slopes[0], generator)
        if self.log_det == "series":
            return estimate.power_series(lambda v: net.push(slopes, v), v, self.terms)
        stay = max(float(self.net.lipschitz), 0.5)  # above L^2, so that the variance is finite
        return estimate.roulette(lambda v: net.push(slopes, v), v, stay, self.terms, generator)

    def _inverse(self, z: Points, context: Context) -> Moved:
        net = self.net.at(context).double()
        solution = self.solve(z.double(), net)
        x = solution.x
        if torch.is_grad_enabled():
            x = self._with_gradient(x, z.double(), net)
        else:
            self.asked, self.solution = (z.double(), net), solution
        g, slopes = net.with_slopes(x)
        return x.to(z.dtype), -self._log_det(net, slopes).to(z.dtype)

    def solve(
        self, z: Tensor, net: Conditioned, method: Method | None = None, tolerance: float | None = None
    ) -> Solution:
        """The x that z = x + g(x) comes from, with what it took to find it. Everything in float64."""

        def jacobian(x: Tensor, rows: Tensor) -> Tensor:
            return net.rows(rows).jacobian(net.rows(rows).with_slopes(x)[1])

        return solve(
            lambda x, rows: net.rows(rows)(x),
            z,
            self.net.certificate(),
            tolerance or self.tolerance,
            method or self.solver,
            jacobian,
        )

    def convergence(self, tolerance: float = 1e-10) -> tuple[float, dict[str, tuple[int, list[float]]]]:
        """The last inverse once more, by Banach's iteration and by the block's own method, from the same start.

        Returns: the certified Lipschitz constant, and for each method how many evaluations a Jacobian took, and the
            largest residual evaluation by evaluation.
        """
        if self.asked is None:
            raise ValueError("expected a block that was inverted, got one that was not; draw from the model first")
        found = {method: self.solve(*self.asked, method, tolerance).history for method in ("banach", self.solver)}
        before = {"banach": 0, "anderson": 0, "newton": self.dim}
        return self.net.certificate(), {method: (before[method], history) for method, history in found.items()}

    def _with_gradient(self, x: Tensor, z: Tensor, net: Conditioned) -> Tensor:
        """The same x as a function of z, of the context and of the weights.

        From x + g(x) = z: dx = (I + J)^{-1} (dz - dg at fixed x). z - g(x) has the right value and the
        right-hand side as its gradient; what arrives there is multiplied by (I + J)^{-T} on its way back.
        """
        fixed_point = z - net(x)
        if not fixed_point.requires_grad:
            return x
        with torch.no_grad():
            slopes = net.with_slopes(x)[1]

        def implicit(arriving: Tensor) -> Tensor:
            if self.dim <= EXACT:
                jacobian = net.jacobian(slopes).detach()
                eye = torch.eye(self.dim, dtype=x.dtype, device=x.device)
                return torch.linalg.solve(eye + jacobian.mT, arriving)

            def pull(v: Tensor, rows: Tensor) -> Tensor:
                return net.pull([s[rows] for s in slopes], v)

            return solve(pull, arriving, self.net.certificate(), self.tolerance).x

        fixed_point.register_hook(implicit)
        return fixed_point


def residuals(module: nn.Module) -> list[tuple[str, Residual]]:
    """The residual steps inside a model, with their names, from x to z."""
    return [(name, part) for name, part in module.named_modules() if isinstance(part, Residual)]


def verify(module: nn.Module) -> None:
    """Holds each residual step's weights against its certificate, by exact singular values.

    Raises: CheckpointError with the block's name if a Lipschitz constant isn't below 1, or if the certificate
        that was loaded isn't that of the weights that were.
    """
    for k, (name, part) in enumerate(residuals(module)):
        found, said = part.net.certificate(), float(part.certificate)
        if not found < 1:
            raise CheckpointError(
                f"block {k} ({name}) has Lipschitz constant {found:.6g}, expected below 1: it may not "
                "be invertible; restore the checkpoint or train again"
            )
        if not abs(found - said) < 1e-4:
            raise CheckpointError(
                f"block {k} ({name}) is certified for Lipschitz constant {said:.6g}, its weights have "
                f"{found:.6g}; restore the checkpoint or train again"
            )


def health(module: nn.Module) -> dict[str, float]:
    """Each block's certified Lipschitz constant, and what the last inverse took.

    That is `solver_evaluations`, the mean over blocks and rows, and `solver_error_bound`, the largest of any row.
    """
    parts = [part for _, part in residuals(module)]
    facts = {f"lipschitz_{k}": part.net.certificate() for k, part in enumerate(parts)}
    solutions = [part.solution for part in parts if part.solution is not None]
    if solutions:
        facts["solver_evaluations"] = sum(float(s.evaluations.double().mean()) for s in solutions) / len(solutions)
        facts["solver_error_bound"] = max(float(s.error_bound.max()) for s in solutions)
    return facts
