"""The two-sided INN as published: a loss on y, maximum mean discrepancies on z and on x."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor

from inncli.errors import ConfigError
from inncli.models.abilities import TwoSided
from inncli.models.base import Model, Scalar
from inncli.nn.losses import LOSSES
from inncli.numerics.mmd import Logarithmic, make_kernel, mmd2
from inncli.objectives.base import Batch, Objective, Terms
from inncli.tasks.base import Task
from inncli.types import Float, NonNegativeFloat, PositiveFloat, PositiveInt

PULL = 0.1  # weight of the far-reaching discrepancies beside the published ones: enough to hold the draws that leave
LABEL_NOISE = 0.1  # sd of the noise on a one-hot vector: 14 of them lie between two labels
LOSS_OF = {"l2": LOSSES["mse"], "l1": LOSSES["l1"], "huber": LOSSES["huber"]}


class Bidirectional(Objective):
    r"""Both directions of [y, z, v] = f([x, u]) against what they must be.

    .. math:: L = w_y L_y + w_z \mathrm{MMD}^2\big((y_f^*, z_f), (y, N(0, I))\big)
        + w_x r_t \mathrm{MMD}^2\big((x_b, u_b), (x, u)\big) + w_v |v_f|^2 / s_v^2
        + \tfrac1{10} (w_z F_z + w_x F_x)

    f is the forward pass of a batch, b the inverse pass at its ys and fresh z and v; the star stops the gradient, so
    that the discrepancy moves z alone. The ramp r_t = min(t / T, 1) lets the forward pass find its way first. Where
    all of it is zero, the inverse at y draws from p(x | y).

    F_z and F_x are the same discrepancies by `numerics.mmd.Logarithmic`, from the first step on. The published kernel
    sees a few units far. While the forward pass learns y it contracts, and the inverse expands. Draws that leave the
    kernel's sight are then pulled by nothing: they go on to 10^12, and the gradient through that inverse is noise that
    drowns the loss on y. F is zero where the other discrepancies are: it changes the way there, not the aim.

    A label has no width, and pulled onto its one-hot vector the forward pass has no inverse: of eight labels it makes a
    map that throws away eight columns of u. So the y of L_y is for labels the one-hot vector and their noise, which is
    u itself (`TwoSided.split_padding`), as the paper's examples add noise of this size; the inverse pass gives u back
    by what it is trained on there, and the MMD on x leaves these columns out, for they would drown x.

    Args:
        loss_y: on y, in units of its sd.
        weight_y, weight_z, weight_x, weight_padding: w_y, w_z, w_x, w_v.
        ramp: T, steps until the inverse pass has its full weight.
        kernel, scales_z, scales_x: of the two discrepancies, see `numerics.mmd.make_kernel`.
        noise_y: sd of the noise on y at the inverse pass, at training and after, in units of y's sd; null is that of
            the task where it is known, .1 for a label's one-hot vector, else 0. f_y learns the mean of y, so that the
            inverse at y alone is too thin.
        padding_noise: sd of u, in units of x's sd.
        padding_out: s_v, sd of v at the inverse pass; the loss holds it there.

    Raises: ConfigError if the model is not two-sided.
    Reference: Ardizzone et al. 2019, Analyzing inverse problems with invertible neural networks, arXiv:1808.04730.
    """

    def __init__(
        self,
        loss_y: Literal["l2", "l1", "huber"] = "l2",
        weight_y: NonNegativeFloat = 3.0,
        weight_z: NonNegativeFloat = 1.0,
        weight_x: NonNegativeFloat = 1.0,
        weight_padding: NonNegativeFloat = 1.0,
        ramp: PositiveInt = 500,
        kernel: Literal["imq", "gaussian", "polynomial"] = "imq",
        scales_z: list[PositiveFloat] | None = None,
        scales_x: list[PositiveFloat] | None = None,
        noise_y: NonNegativeFloat | None = None,
        padding_noise: PositiveFloat = 1.0,
        padding_out: PositiveFloat = 0.05,
    ) -> None:
        super().__init__()
        for key, scales in (("scales_z", scales_z), ("scales_x", scales_x)):
            if kernel == "polynomial" and scales and (len(scales) > 1 or scales[0] % 1):
                raise ConfigError(
                    f"objective.{key}: kernel=polynomial takes the highest order alone, one whole number, "
                    f"got {scales}; e.g. objective.{key}=[3]"
                )
        self.loss_y = LOSS_OF[loss_y]
        self.weight_y, self.weight_z, self.weight_x, self.weight_padding = weight_y, weight_z, weight_x, weight_padding
        self.ramp, self.kernel, self.scales_z, self.scales_x = ramp, kernel, scales_z, scales_x
        # The median of distances, which sets the Gaussian kernel's width, is a number that the host reads.
        self.graph_capturable_from = None if kernel == "gaussian" else ramp
        self.noise_y, self.padding_noise, self.padding_out = noise_y, padding_noise, padding_out

    def attach(self, model: Model, task: Task) -> None:
        """Tells the model its noises."""
        if not isinstance(model, TwoSided):
            raise ConfigError(
                f"objective=bidirectional trains model=inn, got {type(model).__name__}; leave the objective out"
            )
        if self.noise_y is None:
            model.set_noise(known=task.noise_sd, labels=LABEL_NOISE)
        else:
            model.set_noise(self.noise_y, labels=self.noise_y)
        model.set_padding(self.padding_noise, self.padding_out)

    def forward(self, model: Model, batch: Batch | None, step: int, generator: torch.Generator) -> tuple[Scalar, Terms]:
        """The weighted sum, and its terms without their weights."""
        assert isinstance(model, TwoSided) and batch is not None  # `attach`, `needs_data`
        return self._loss(model, batch, min(step / self.ramp, 1.0), generator)

    def validation_loss(self, model: Model, batch: Batch, step: int, generator: torch.Generator) -> Scalar:
        """The same at full weights, whatever the step; the mean over parts, for a kernel costs rows times rows."""
        assert isinstance(model, TwoSided)  # `attach`
        x, y = batch
        parts = zip(x.split(1000), [None] * len(x) if y is None else y.split(1000), strict=False)
        losses = [(len(part[0]), self._loss(model, part, 1.0, generator)[0]) for part in parts]
        return cast("Tensor", sum(rows * loss for rows, loss in losses)) / len(x)  # there is a part: no 0 of `sum`

    def _loss(self, model: TwoSided, batch: Batch, ramp: float, generator: torch.Generator) -> tuple[Scalar, Terms]:
        x, y = batch
        x = model.scaled(model.scale.dequantise(x, generator))
        u, target = model.noise(len(x), generator), model.target(y, len(x))
        of_labels, free = model.split_padding(u)
        y_f, z_f, v_f, _ = model(x, u)
        latent = model.draw_latent(target, generator)
        terms = {}
        there = torch.cat([y_f.detach(), z_f], 1), torch.cat(latent[:2], 1)
        terms["z"], terms["z_far"] = self._apart(*there, self.scales_z), mmd2(*there, Logarithmic())
        if target.shape[1]:
            terms["y"] = self.loss_y(y_f - target - of_labels).mean()
        if v_f.shape[1]:
            terms["padding"] = v_f.square().mean() / self.padding_out**2
        loss = self.weight_z * (terms["z"] + PULL * terms["z_far"])
        loss = loss + self.weight_y * terms.get("y", 0) + self.weight_padding * terms.get("padding", 0)
        if self.weight_x:
            x_b, u_b = model.inverse(*latent)
            terms["x_far"] = mmd2(torch.cat([x_b, u_b], 1), torch.cat([x, u], 1), Logarithmic())
            loss = loss + PULL * self.weight_x * terms["x_far"]
            if ramp:
                free_b = model.split_padding(u_b)[1]
                terms["x"] = self._apart(torch.cat([x_b, free_b], 1), torch.cat([x, free], 1), self.scales_x)
                loss = loss + ramp * self.weight_x * terms["x"]
        return loss, {name: term.detach() for name, term in terms.items()}

    def _apart(
        self, a: Float[Tensor, "rows columns"], b: Float[Tensor, "rows columns"], scales: list[float] | None
    ) -> Scalar:
        return mmd2(a, b, make_kernel(self.kernel, scales, a, b))
