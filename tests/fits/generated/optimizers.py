"""Optimizers by name; what of a network each of them can train, and what Lightning allows beside it."""

import torch

from tests.remedies.optimizers import SCHEDULERS

optim = torch.optim


def grouped(make):
    """Two parameter groups with different rates."""

    def build(parameters):
        half = len(parameters) // 2
        return make([{"params": parameters[:half], "lr": 1e-2}, {"params": parameters[half:], "lr": 1e-3}])

    return build


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, 0.05),
    "SGD with momentum": lambda p: optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "SGD, two rates": grouped(lambda groups: optim.SGD(groups, 1e-2, momentum=0.9)),
    "Adam": lambda p: optim.Adam(p, 1e-2),
    "Adam, tensor rate": lambda p: optim.Adam(p, torch.tensor(1e-2), foreach=False),
    "Adam, two rates": grouped(lambda groups: optim.Adam(groups, 1e-2, amsgrad=True)),
    "fused AdamW": lambda p: optim.AdamW(p, 1e-2, fused=True),
    "AdamW, one by one": lambda p: optim.AdamW(p, 1e-2, foreach=False),
    "RMSprop": lambda p: optim.RMSprop(p, 1e-3),
    "Adagrad": lambda p: optim.Adagrad(p, 1e-2),
    "Adadelta": optim.Adadelta,
    "NAdam": lambda p: optim.NAdam(p, 1e-2),
    "Rprop": lambda p: optim.Rprop(p, 1e-2),
    "LBFGS": lambda p: optim.LBFGS(p, 0.1, max_iter=3),
    "SparseAdam beside Adam": lambda p: [optim.SparseAdam(p[:1], 1e-2), optim.Adam(p[1:], 1e-2)],
    "two optimizers": lambda p: [optim.SGD(p[::2], 0.05), optim.Adam(p[1::2], 1e-2)],
}
if hasattr(optim, "Adafactor"):
    OPTIMIZERS["Adafactor"] = lambda p: optim.Adafactor(p, 1e-2)
if hasattr(optim, "Muon"):
    OPTIMIZERS["Muon"] = lambda p: optim.Muon([one for one in p if one.dim() == 2], 1e-2)

SEVERAL = ("SparseAdam beside Adam", "two optimizers")  # in Lightning: manual optimisation only
CLOSURE = ("LBFGS",)  # in Lightning: no scaler, no clipping, no accumulation worth the name
FUSED = ("fused AdamW",)  # Lightning refuses to clip for them
SPARSE = ("SGD", "SparseAdam beside Adam")  # the ones that take sparse gradients
COMPLEX = ("SGD", "SGD with momentum", "Adam", "AdamW, one by one")
NEEDS_MOMENTUM = ("OneCycleLR", "CyclicLR")  # schedules that move the momentum too
HAS_MOMENTUM = ("SGD with momentum", "SGD, two rates", "Adam", "Adam, two rates", "AdamW, one by one")

__all__ = ["SCHEDULERS"]
