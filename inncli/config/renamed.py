"""Targets of earlier releases, and today's path of each.

Run directories store the `_target_` paths of the release that wrote them. They are mapped here before the allow-list is
checked, so that runs of 0.1 to 0.4 still open. A target that moves gets one more line; no line is ever removed.
"""

from __future__ import annotations

from typing import Any

TARGETS = {
    "inncli.protocol.Protocol": "inncli.evaluation.settings.EvaluationSettings",
    "inncli.tasks.breast_cancer.BreastCancer": "inncli.tasks.measured.breast_cancer.BreastCancer",
    "inncli.tasks.checkerboard.Checkerboard": "inncli.tasks.densities.checkerboard.Checkerboard",
    "inncli.tasks.circles.Circles": "inncli.tasks.densities.circles.Circles",
    "inncli.tasks.digits.Digits": "inncli.tasks.measured.digits.Digits",
    "inncli.tasks.eight_gaussians.EightGaussians": "inncli.tasks.densities.eight_gaussians.EightGaussians",
    "inncli.tasks.gaussian_linear.GaussianLinear": "inncli.tasks.benchmarks.gaussian_linear.GaussianLinear",
    "inncli.tasks.gaussian_modes.GaussianModes": "inncli.tasks.toy.gaussian_modes.GaussianModes",
    "inncli.tasks.inverse_ballistics.InverseBallistics": "inncli.tasks.benchmarks.inverse_ballistics.InverseBallistics",
    "inncli.tasks.inverse_kinematics.InverseKinematics": "inncli.tasks.benchmarks.inverse_kinematics.InverseKinematics",
    "inncli.tasks.linear.Linear": "inncli.tasks.toy.linear.Linear",
    "inncli.tasks.maxent_beta.MaxentBeta": "inncli.tasks.maxent.beta.MaxentBeta",
    "inncli.tasks.maxent_dirichlet.MaxentDirichlet": "inncli.tasks.maxent.dirichlet.MaxentDirichlet",
    "inncli.tasks.maxent_exponential.MaxentExponential": "inncli.tasks.maxent.exponential.MaxentExponential",
    "inncli.tasks.maxent_gamma.MaxentGamma": "inncli.tasks.maxent.gamma.MaxentGamma",
    "inncli.tasks.maxent_gaussian.MaxentGaussian": "inncli.tasks.maxent.gaussian.MaxentGaussian",
    "inncli.tasks.monotone.Monotone": "inncli.tasks.toy.monotone.Monotone",
    "inncli.tasks.moons.Moons": "inncli.tasks.densities.moons.Moons",
    "inncli.tasks.pinwheel.Pinwheel": "inncli.tasks.densities.pinwheel.Pinwheel",
    "inncli.tasks.ring.Ring": "inncli.tasks.toy.ring.Ring",
    "inncli.tasks.rings.Rings": "inncli.tasks.densities.rings.Rings",
    "inncli.tasks.simulator.Simulator": "inncli.tasks.user.simulator.Simulator",
    "inncli.tasks.sine.Sine": "inncli.tasks.toy.sine.Sine",
    "inncli.tasks.sir.Sir": "inncli.tasks.benchmarks.sir.Sir",
    "inncli.tasks.slcp.Slcp": "inncli.tasks.benchmarks.slcp.Slcp",
    "inncli.tasks.swissroll.Swissroll": "inncli.tasks.densities.swissroll.Swissroll",
    "inncli.tasks.table.Table": "inncli.tasks.measured.table.Table",
    "inncli.tasks.two_moons.TwoMoons": "inncli.tasks.benchmarks.two_moons.TwoMoons",
    "inncli.tasks.two_spirals.TwoSpirals": "inncli.tasks.densities.two_spirals.TwoSpirals",
    "inncli.tracking.base.Logger": "inncli.loggers.base.Logger",
    "inncli.tracking.mlflow.MLflow": "inncli.loggers.mlflow.MLflow",
    "inncli.tracking.tensorboard.TensorBoard": "inncli.loggers.tensorboard.TensorBoard",
}

# Targets that no shipped yaml names any more, by group; they are allowed as before.
UNNAMED = {"model": frozenset({"inncli.transforms.blocks.ConditionalScale"})}


def current(value: Any) -> Any:
    """A copy of a tree of dicts and lists in which every `_target_` is today's path."""
    if isinstance(value, list):
        return [current(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {key: target(entry) if key == "_target_" else current(entry) for key, entry in value.items()}


def target(path: object) -> object:
    """Today's path of a stored target; one that has not moved comes back as it is."""
    return TARGETS.get(path, path) if isinstance(path, str) else path
