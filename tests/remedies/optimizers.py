"""An optimizer that remembers the rates it stepped with, and every kind of schedule that could undo a scaled rate."""

from __future__ import annotations

import torch
from torch.optim import lr_scheduler as sched

STEPS, SCALED_AT, DETACHED_AT = 30, 8, 24


class Recorder(torch.optim.Optimizer):
    """Plain gradient descent; ``seen`` holds the rates of its groups at the moment they are used."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr, "momentum": 0.9})
        self.seen: list[tuple[float, ...]] = []

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        self.seen.append(tuple(number(group["lr"]) for group in self.param_groups))
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.data.sub_(parameter.grad * group["lr"])
        return loss


class OwnConstants(sched.LRScheduler):
    """A user's scheduler that knows its rates by heart and reads nobody's bases."""

    def get_lr(self):
        return [0.2 / (1 + self.last_epoch) for _ in self.optimizer.param_groups]


SCHEDULERS = {
    "none": lambda opt: None,
    "LambdaLR": lambda opt: sched.LambdaLR(opt, lambda t: 1 / (1 + t)),
    "MultiplicativeLR": lambda opt: sched.MultiplicativeLR(opt, lambda t: 0.95),
    "StepLR": lambda opt: sched.StepLR(opt, 5),
    "MultiStepLR": lambda opt: sched.MultiStepLR(opt, [4, 9, 15]),
    "ConstantLR": lambda opt: sched.ConstantLR(opt, factor=0.2, total_iters=10),
    "ExponentialLR": lambda opt: sched.ExponentialLR(opt, 0.9),
    "LinearLR": lambda opt: sched.LinearLR(opt, total_iters=20),
    "PolynomialLR": lambda opt: sched.PolynomialLR(opt, total_iters=40),
    "OneCycleLR": lambda opt: sched.OneCycleLR(opt, max_lr=0.5, total_steps=STEPS + 1),
    "CyclicLR": lambda opt: sched.CyclicLR(opt, base_lr=0.01, max_lr=0.1, step_size_up=4),
    "CosineAnnealingLR past T_max": lambda opt: sched.CosineAnnealingLR(opt, T_max=12),
    "CosineAnnealingLR with eta_min": lambda opt: sched.CosineAnnealingLR(opt, T_max=12, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda opt: sched.CosineAnnealingWarmRestarts(opt, T_0=7),
    "ReduceLROnPlateau": lambda opt: sched.ReduceLROnPlateau(opt, patience=2, min_lr=1e-3),
    "SequentialLR": lambda opt: sched.SequentialLR(
        opt, [sched.LinearLR(opt, total_iters=5), sched.CosineAnnealingWarmRestarts(opt, T_0=6)], milestones=[6]
    ),
    "ChainedScheduler": lambda opt: sched.ChainedScheduler([sched.ExponentialLR(opt, 0.9), sched.StepLR(opt, 4)]),
    "ChainedScheduler of ChainedScheduler and SequentialLR": lambda opt: sched.ChainedScheduler(  # all that torch nests
        [
            sched.ChainedScheduler([sched.ExponentialLR(opt, 0.9), sched.MultiStepLR(opt, [3])]),
            sched.SequentialLR(opt, [sched.ConstantLR(opt), sched.LambdaLR(opt, lambda t: 1 / (1 + t))], [5]),
        ]
    ),
    "SWALR": lambda opt: torch.optim.swa_utils.SWALR(opt, swa_lr=0.02, anneal_epochs=6),
    "own constants": OwnConstants,
}


def number(rate) -> float:
    """A rate as a number, also one that requires a gradient."""
    return rate.detach().item() if torch.is_tensor(rate) else float(rate)


def parameters(seed: int = 0) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(3, generator=generator)) for _ in range(2)]


def recorder(tensor: bool = False, seed: int = 0, rates: tuple[float, float] = (0.1, 0.05)) -> Recorder:
    """A recorder of two groups with different rates."""
    made = [torch.tensor(rate) if tensor else rate for rate in rates]
    groups = [{"params": [p], "lr": rate} for p, rate in zip(parameters(seed), made, strict=True)]
    return Recorder(groups, lr=made[0])


def closure(optimizer: torch.optim.Optimizer):
    """Forward and backward of a loss that has a gradient everywhere."""
    optimizer.zero_grad()
    loss = sum((p**2).sum() for group in optimizer.param_groups for p in group["params"])
    loss.backward()
    return loss


def step_schedule(scheduler) -> None:
    """One step of any schedule; a plateau is told a loss that stands still."""
    if isinstance(scheduler, sched.ReduceLROnPlateau):
        scheduler.step(1.0)
    elif scheduler is not None:
        scheduler.step()
