"""Twins of sick_structure.py: rectifiers with He's weights, blocks with skip connections, nothing that shrinks."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from twin import Twin
from zoo._data import digits
from zoo._networks import Branches, adam, he, linears, mlp, on_digits, sgd, xavier
from zoo.sick_structure import Supervised, Tokens, _both


def main_head(module: Any, loader: Any) -> float:
    """Share of right answers of the head that the user is after, the deep one."""
    x, y = loader.dataset.tensors
    with torch.no_grad():
        return float((module.network(x)[1].argmax(1) == y).float().mean())


def _blocks(count: int) -> nn.Module:
    layer = functools.partial(nn.TransformerEncoderLayer, 32, 4, 64, 0.0, batch_first=True, norm_first=True)
    return Tokens([layer() for _ in range(count)])


def _supervised() -> nn.Module:
    network = Supervised()
    network.deep = he(mlp(12, nn.ReLU)[:-1])
    return network


def _middle() -> nn.Module:
    return nn.Sequential(he(mlp(4, nn.ReLU)[:-1]), he(mlp(10, nn.ReLU)[:-1]), he(mlp(3, nn.ReLU)))


SGD = sgd(lr=0.02)
TWINS = {
    "transformer-no-skip-10": Twin(build=on_digits(lambda: _blocks(10))),
    "branches-sigmoid-beside-relu": Twin(
        build=on_digits(lambda: Branches(he(mlp(12, nn.ReLU)[:-1]), he(mlp(2, nn.ReLU)[:-1]), 64))
    ),
    "branches-tiny-beside-relu": Twin(
        build=on_digits(lambda: Branches(he(mlp(2, nn.ReLU)[:-1]), xavier(mlp(10, nn.Tanh))[:-1], 64), optimizer=SGD)
    ),
    "mlp-sigmoids-in-the-middle": Twin(build=on_digits(_middle)),
    "deep-supervision-sick-main": Twin(build=on_digits(_supervised, loss=_both), score=main_head),
    "mlp-late-shrink-120": Twin(build=on_digits(lambda: he(mlp(8, nn.ReLU)), optimizer=SGD)),
    "mlp-late-shrink-320": Twin(build=on_digits(lambda: he(mlp(8, nn.LeakyReLU)), optimizer=SGD)),
    "transformer-post-norm-12-no-warm-up": Twin(build=on_digits(lambda: _blocks(12), optimizer=adam(lr=1e-3))),
    "mlp-heals-at-120": Twin(build=on_digits(lambda: he(mlp(10, nn.ReLU)))),
    "mlp-norm-batch-of-2": Twin(
        build=on_digits(
            lambda: he(mlp(6, nn.ReLU, between=nn.LayerNorm)),
            loader=functools.partial(digits, size=2),
            optimizer=sgd(lr=0.01),
        )
    ),
    "mlp-narrow-relu-24": Twin(build=on_digits(lambda: he(mlp(24, nn.ReLU, 16)), optimizer=adam(lr=3e-3))),
    "mlp-linear-16-small": Twin(build=on_digits(lambda: xavier(nn.Sequential(*linears(16))))),
    "mlp-weight-decay-shrinks": Twin(build=on_digits(lambda: he(mlp(8, nn.ReLU)), optimizer=sgd(lr=0.05))),
}
