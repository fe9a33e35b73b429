"""The meters as torchmetrics metrics: accumulated over steps, reduced over ranks, usable without GradWatch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from lightning_gradwatch.measure.norms import joint_l2
from lightning_gradwatch.measure.updates import update_ratio


class _MeanOverSteps(Metric):
    """The mean of one number a step; the mean over all steps of all ranks."""

    is_differentiable = False
    full_state_update = False
    total: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        # float64: a vanished gradient of 1e-30 would still be a number, and a long run does not drown it.
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("steps", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _add(self, value: Tensor) -> None:
        self.total = self.total + value.to(self.total.device)
        self.steps = self.steps + 1

    def compute(self) -> Tensor:
        """The mean so far, a 0-d float64 tensor; nan before the first step."""
        return self.total / self.steps


class GradientNorm(_MeanOverSteps):
    """L2 norm of a whole gradient, mean over steps; right from 1e-38 to 1e30.

    ``update`` takes the gradients of one step, unscaled: any shapes, dtypes and layouts; None stands for a parameter
    without one.

    Example:
        >>> norm = GradientNorm()
        >>> norm.update([torch.tensor([3.0]), None, torch.tensor([4.0])])
        >>> norm.update([torch.tensor([1.0])])
        >>> norm.compute().item()
        3.0
    """

    higher_is_better = None

    def update(self, gradients: Sequence[Tensor | None]) -> None:
        """One step's gradients, e.g. ``[p.grad for p in model.parameters()]``."""
        present = [gradient for gradient in gradients if gradient is not None]
        self._add(joint_l2(present) if present else torch.zeros((), dtype=torch.float64))


class UpdateRatio(_MeanOverSteps):
    """``||w after - w before|| / ||w before||`` of the parameter that moves most, mean over steps.

    Healthy training is often near 1e-3; far below, the weights stand still.

    Example:
        >>> ratio, weight = UpdateRatio(), torch.tensor([3.0, 4.0])
        >>> before = [weight.clone()]
        >>> ratio.update([weight.add_(torch.tensor([0.0, 0.5]))], before)
        >>> ratio.compute().item()
        0.1
    """

    higher_is_better = None

    def update(self, parameters: Sequence[Tensor], before: Sequence[Tensor]) -> None:
        """The parameters after a step, and copies of them (``measure.updates.remember``) from before it."""
        ratios = [update_ratio(after, old) for after, old in zip(parameters, before, strict=True)]
        self._add(torch.stack(ratios).max())
