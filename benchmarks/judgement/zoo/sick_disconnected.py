"""Disconnected: parameters that want a gradient, or an update, and never get one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from fit import Fit
from torch import nn
from zoo._networks import At, adam, he, mlp, on_digits, sgd
from zoo._sick import sick

CUT = ("disconnected",)


class Halves(nn.Module):
    """Layers below and layers above; ``pass_on`` is what goes wrong between them."""

    def __init__(self, pass_on: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.below, self.above, self.pass_on = he(mlp(3, nn.ReLU)[:-1]), he(mlp(2, nn.ReLU)), pass_on

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.above(self.pass_on(self.below(x)))


class Unwatched(Halves):
    """Computes the lower half without a graph."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = self.below(x)
        return self.above(x)


class Spare(nn.Module):
    """Holds an encoder that its forward forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.net = he(mlp(3, nn.ReLU)[:-1]), he(mlp(2, nn.ReLU))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class Forgetful(Halves):
    """Detaches from its 121st call on."""

    def __init__(self) -> None:
        super().__init__(torch.Tensor.detach)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        below = self.below(x)
        return self.above(below.detach() if self.calls > 120 else below)


class OneBranch(nn.Module):
    """Two branches, one of which is detached before they meet."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = he(mlp(2, nn.ReLU)[:-1]), he(mlp(2, nn.ReLU)[:-1])
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.one(x), self.other(x).data], 1))


class Replace(At):
    """Replaces a layer after the optimizer was made: it goes on with the old one's parameters."""

    def __init__(self, place: int) -> None:
        super().__init__(-1, lambda module: None)
        self.place = place

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        pl_module.network[self.place] = nn.Linear(64, 64)


def _through_numpy(x: torch.Tensor) -> torch.Tensor:
    return torch.tensor(x.detach().numpy())


def _frozen() -> nn.Module:
    network = he(mlp(4, nn.ReLU))
    network[:8].requires_grad_(False)
    return network


def _signs(x: torch.Tensor) -> torch.Tensor:
    return torch.sign(x - 0.5)


def _fit(name: str, why: str, network: Any, layers: tuple[str, ...], **more: Any) -> Fit:
    build = on_digits(
        network, more.pop("callbacks", tuple), optimizer=more.pop("optimizer", adam(lr=1e-3)), **more.pop("learner", {})
    )
    kinds, causes = more.pop("kinds", CUT), more.pop("causes", CUT)
    return sick(name, "disconnected", why, kinds, causes, build, layers=layers, **{"steps": 120, **more})


BELOW = ("network.below",)
FITS: tuple[Fit, ...] = (
    _fit(
        "detach-in-the-middle",
        "A detach between the halves: the lower one never learns.",
        lambda: Halves(torch.Tensor.detach),
        BELOW,
    ),
    _fit("no-grad-lower-half", "The lower half runs under no_grad.", lambda: Unwatched(torch.relu), BELOW),
    _fit("data-in-the-middle", "What is handed on is .data.", lambda: Halves(lambda x: x.data), BELOW, seeds=(0,)),
    _fit("numpy-in-the-middle", "What is handed on has been through NumPy.", lambda: Halves(_through_numpy), BELOW),
    _fit(
        "signs-in-the-middle",
        "The sign of an activation has a slope of exactly zero.",
        lambda: Halves(_signs),
        BELOW,
        kinds=("disconnected", "dead_units"),
        causes=("disconnected", "activation"),
    ),
    _fit("encoder-forgotten", "A whole encoder is registered and never used.", Spare, ("network.encoder",)),
    _fit(
        "branch-detached",
        "One of two branches is handed on as .data; the other learns the task.",
        OneBranch,
        ("network.other",),
    ),
    _fit(
        "optimizer-of-the-head-alone",
        "The optimizer was given the head's parameters; the rest gets gradients and no update.",
        lambda: he(mlp(4, nn.ReLU)),
        ("network.0", "network.2", "network.4", "network.6"),
        learner={"choose": lambda network: network[-1].parameters()},
    ),
    _fit(
        "optimizer-of-old-parameters",
        "A layer was replaced after the optimizer was made: the new one is never updated.",
        lambda: he(mlp(4, nn.ReLU)),
        ("network.4",),
        callbacks=lambda: [Replace(4)],
    ),
    _fit(
        "trunk-frozen-from-scratch",
        "A trunk of random weights that nobody trained was frozen by mistake.",
        _frozen,
        ("network.0", "network.2", "network.4", "network.6"),
    ),
    _fit(
        "detach-from-120-on",
        "From step 120 on the lower half is detached.",
        Forgetful,
        BELOW,
        optimizer=sgd(lr=0.02),
        onset=120,
        steps=220,
    ),
)
