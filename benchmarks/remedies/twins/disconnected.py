"""Twins of sick_disconnected.py: everything is trained.  The sickness is a line of the user's code in all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from twin import Twin
from zoo._networks import Branches, adam, he, mlp, on_digits, sgd
from zoo.sick_disconnected import Halves


def _bug(sentence: str, network: Callable[[], nn.Module], optimizer: Any = None) -> Twin:
    return Twin(build=on_digits(network, optimizer=optimizer or adam(lr=1e-3)), bug=sentence)


class Both(nn.Module):
    """The encoder is used."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.net = he(mlp(3, nn.ReLU)[:-1]), he(mlp(2, nn.ReLU))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.encoder(x))


def _whole() -> nn.Module:
    return Halves(nn.Identity())


def _mlp4() -> nn.Module:
    return he(mlp(4, nn.ReLU))


TWINS = {
    "detach-in-the-middle": _bug("forward detaches between the halves.", _whole),
    "no-grad-lower-half": _bug("forward runs the lower half under no_grad.", _whole),
    "data-in-the-middle": _bug("forward hands on .data.", _whole),
    "numpy-in-the-middle": _bug("forward hands on what has been through NumPy.", _whole),
    "signs-in-the-middle": _bug("forward hands on signs, a function that has no slope anywhere.", _whole),
    "encoder-forgotten": _bug("forward never calls the encoder.", Both),
    "branch-detached": _bug(
        "forward hands on one branch as .data.",
        lambda: Branches(he(mlp(2, nn.ReLU)[:-1]), he(mlp(2, nn.ReLU)[:-1]), 64),
    ),
    "optimizer-of-the-head-alone": _bug("configure_optimizers gives the optimizer the head alone.", _mlp4),
    "optimizer-of-old-parameters": _bug("A callback replaces a layer behind the optimizer's back.", _mlp4),
    "trunk-frozen-from-scratch": _bug("The user froze the trunk: requires_grad=False is his to take back.", _mlp4),
    "detach-from-120-on": _bug("forward detaches from its 121st call on.", _whole, sgd(lr=0.02)),
}
