"""Twins of sick_depth.py: rectifiers with He's weights, or tanh with Xavier's, as deep as the sick fit."""

from __future__ import annotations

import torch
from torch import nn
from twin import Twin
from zoo._networks import Functional, HeadFirst, cnn, he, linears, mlp, on_digits, xavier


def _cnn(depth: int) -> nn.Sequential:
    """Convolutions, each behind which batch norm keeps the size."""
    modules: list[nn.Module] = []
    for layer in he(cnn(depth, nn.ReLU)):
        modules += [layer, nn.BatchNorm2d(12)] if isinstance(layer, nn.Conv2d) else [layer]
    return nn.Sequential(*modules)


TWINS = {
    "mlp-sigmoid-20-default": Twin(build=on_digits(lambda: he(mlp(20, nn.ReLU)))),
    "mlp-sigmoid-12-xavier": Twin(build=on_digits(lambda: he(mlp(12, nn.ReLU)))),
    "mlp-sigmoid-8-sgd": Twin(build=on_digits(lambda: he(mlp(8, nn.ReLU)))),
    "mlp-tanh-20-tiny": Twin(build=on_digits(lambda: xavier(mlp(20, nn.Tanh)))),
    "mlp-relu-30-default": Twin(build=on_digits(lambda: he(mlp(30, nn.ReLU)))),
    "mlp-relu-16-small": Twin(build=on_digits(lambda: he(mlp(16, nn.ReLU)))),
    "mlp-softsign-24-small": Twin(build=on_digits(lambda: xavier(mlp(24, nn.Softsign)))),
    "mlp-hardtanh-20-default": Twin(build=on_digits(lambda: xavier(mlp(20, nn.Hardtanh)))),
    "mlp-sigmoid-16-wide": Twin(build=on_digits(lambda: he(mlp(16, nn.ReLU, 256)))),
    "head-first-sigmoid-16": Twin(build=on_digits(lambda: he(HeadFirst(linears(16), nn.ReLU())))),
    "functional-sigmoid-16": Twin(build=on_digits(lambda: he(Functional(linears(16), torch.relu)))),
    "functional-relu-30-default": Twin(build=on_digits(lambda: he(Functional(linears(30), torch.relu)))),
    "cnn-sigmoid-14": Twin(build=on_digits(lambda: _cnn(14))),
    "cnn-relu-20-default": Twin(build=on_digits(lambda: _cnn(20))),
    "cnn-tanh-16-tiny": Twin(build=on_digits(lambda: xavier(cnn(16, nn.Tanh)))),
    "mlp-gelu-24-small": Twin(build=on_digits(lambda: he(mlp(24, nn.GELU)))),
}
