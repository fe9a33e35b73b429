"""SageMaker Debugger's built-in rules, asked on every step (its own default is every 500th).

Two peers: ``sagemaker`` holds the rules about gradients, weights and activations; ``sagemaker-all`` adds
LossNotDecreasing and PoorWeightInitialization, which ring on almost any noisy fit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Observed, Peer
from .eyes import RECTIFIERS, by_unit

VANISHING = 1e-7
LARGE_RATIO, SMALL_RATIO, EPSILON = 10.0, 1e-8, 1e-9
RARELY, MANY = 0.01, 0.5  # a unit is active in less than RARELY of its samples; a layer has more than MANY such units
TANH_RANGE, SIGMOID_RANGE = (-9.4999, 9.4999), (-23.0, 16.99999)
VARIANCE_RATIO, LEAST_SPREAD, INITIAL_STEPS = 10.0, 1e-3, 10
LOSS_STEPS, LOSS_DROP, LOSS_RISE = 10, 0.1, 5.0  # steps, %, %


def vanishing(mean_gradient: float) -> bool:
    """From the mean absolute value of one gradient."""
    return mean_gradient < VANISHING


def weight_update_ratio(before: float, update: float) -> float:
    """From mean absolute values."""
    return update / (before + EPSILON)


def dead_relu(output: Tensor) -> bool:
    """More than half of the units are active in less than 1 % of the samples."""
    active = (by_unit(output) > 0).double().mean(1)
    return (active < RARELY).double().mean().item() > MANY


def saturated(entered: Tensor, module: nn.Module) -> bool:
    """More than half of the nodes are inside the range in less than 1 % of the samples."""
    low, high = TANH_RANGE if isinstance(module, nn.Tanh) else SIGMOID_RANGE
    units = by_unit(entered)
    inside = ((units > low) & (units < high)).double().mean(1)
    return (inside < RARELY).double().mean().item() > MANY


def poor_initialization(entered: list[Tensor], gradients: list[Tensor]) -> bool:
    """Variances of the layers' inputs too unlike, or gradients of a layer within too narrow a band."""
    variances = [v for v in (x.double().var().item() for x in entered if x.numel() > 1) if v > 0]
    unlike = bool(variances) and max(variances) / min(variances) > VARIANCE_RATIO
    ends = torch.tensor([0.05, 0.95], dtype=torch.float64)
    spreads = [float(torch.diff(torch.quantile(g.double().flatten()[:100_000], ends))) for g in gradients if g.numel()]
    return unlike or (bool(spreads) and min(spreads) < LEAST_SPREAD)


def loss_not_decreasing(losses: list[float]) -> bool:
    """Against the loss 10 steps ago: fell by less than 0.1 %, or rose by more than 5 %."""
    if len(losses) <= LOSS_STEPS:
        return False
    before, now = losses[-1 - LOSS_STEPS], losses[-1]
    drop = 100 * (before - now) / max(abs(before), 1e-30)
    return 0 <= drop < LOSS_DROP or drop < -LOSS_RISE


class SageMaker(Peer):
    """VanishingGradient, ExplodingTensor, WeightUpdateRatio, DeadRelu, SaturatedActivation."""

    name = "sagemaker"

    def judge(self, seen: Observed) -> list[str]:
        return [word for word, true in seen.once("sagemaker", lambda: self.truths(seen)).items() if true]

    def truths(self, seen: Observed) -> dict[str, bool]:
        weights, updates = seen.means("weights"), seen.means("updates")
        ratios = [weight_update_ratio(weights[name], updates[name]) for name in seen.kernels()]
        return {
            "vanishing": any(map(vanishing, seen.means("gradients").values())),
            "nonfinite": not seen.is_finite() or (seen.loss is not None and not abs(seen.loss) < float("inf")),
            "exploding": any(ratio > LARGE_RATIO for ratio in ratios),
            "stalled": any(ratio < SMALL_RATIO for ratio in ratios),
            "dead_units": any(dead_relu(out) for module, out in seen.left.values() if isinstance(module, RECTIFIERS)),
            "saturation": any(
                saturated(x, module) for module, x in seen.entered.values() if isinstance(module, nn.Tanh | nn.Sigmoid)
            ),
        }


class SageMakerAll(SageMaker):
    """The same, PoorWeightInitialization and LossNotDecreasing."""

    name = "sagemaker-all"

    def __init__(self) -> None:
        super().__init__()
        self._losses: list[float] = []

    def judge(self, seen: Observed) -> list[str]:
        words = super().judge(seen)
        self._losses.extend([seen.loss] if seen.loss is not None else [])
        if seen.step < INITIAL_STEPS:
            entered = [x for module, x in seen.entered.values() if isinstance(module, nn.Linear | nn.Conv2d)]
            if poor_initialization(
                [x for x in entered if x.is_floating_point()], [seen.gradients[name] for name in seen.kernels()]
            ):
                words.append("initialization")
        if loss_not_decreasing(self._losses):
            words.append("loss")
        return words
