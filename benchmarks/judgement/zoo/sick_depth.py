"""Vanishing along the depth of a plain feed-forward net: by its activation, its initial weights, its depth."""

from __future__ import annotations

from typing import Any

import torch
from fit import Fit
from torch import nn
from zoo._networks import Functional, HeadFirst, adam, cnn, draw, linears, mlp, normal, on_digits, sgd, xavier
from zoo._sick import sick


def _sick(name: str, why: str, network: Any, causes: tuple[str, ...], family: str = "mlp", **more: Any) -> Fit:
    learner = more.pop("learner", {})
    return sick(name, family, why, ("vanishing",), causes, on_digits(network, **learner), **more)


FITS = (
    _sick(
        "mlp-sigmoid-20-default",
        "Each sigmoid passes a quarter of the gradient at most, and torch's default weights shrink it further.",
        lambda: mlp(20, nn.Sigmoid),
        ("activation", "initialization"),
    ),
    _sick(
        "mlp-sigmoid-12-xavier",
        "Xavier weights keep the size, so that the sigmoids' slopes alone lose the gradient.",
        lambda: xavier(mlp(12, nn.Sigmoid)),
        ("activation",),
    ),
    _sick(
        "mlp-sigmoid-8-sgd",
        "Eight sigmoids under SGD: no adaptive optimizer makes up for the loss.",
        lambda: xavier(mlp(8, nn.Sigmoid)),
        ("activation",),
        learner={"optimizer": sgd(lr=0.1, momentum=0.9)},
    ),
    _sick(
        "mlp-tanh-20-tiny",
        "Weights of standard deviation 0.01 shrink every step; the tanh are nearly linear.",
        lambda: normal(mlp(20, nn.Tanh), 0.01),
        ("initialization",),
    ),
    _sick(
        "mlp-relu-30-default",
        "torch's default weights are a third of He's in variance, thirty times over.",
        lambda: mlp(30, nn.ReLU),
        ("initialization",),
    ),
    _sick(
        "mlp-relu-16-small",
        "Weights of a third of He's standard deviation.",
        lambda: draw(mlp(16, nn.ReLU), lambda w: nn.init.normal_(w, std=(2 / w.shape[1]) ** 0.5 / 3)),
        ("initialization",),
    ),
    _sick(
        "mlp-softsign-24-small",
        "Softsign loses little by itself; weights of half of Xavier's size lose the rest.",
        lambda: draw(mlp(24, nn.Softsign), lambda w: nn.init.xavier_normal_(w, gain=0.5)),
        ("initialization",),
    ),
    _sick(
        "mlp-hardtanh-20-default",
        "Hardtanh is linear near zero: torch's default weights lose the gradient.",
        lambda: mlp(20, nn.Hardtanh),
        ("initialization",),
    ),
    _sick(
        "mlp-sigmoid-16-wide",
        "The same sickness at width 256.",
        lambda: xavier(mlp(16, nn.Sigmoid, 256)),
        ("activation",),
        steps=100,
        seeds=(0,),
    ),
    _sick(
        "head-first-sigmoid-16",
        "The head is registered first and the layers in reverse: the order of registration tells nothing.",
        lambda: xavier(HeadFirst(linears(16), nn.Sigmoid())),
        ("activation",),
    ),
    _sick(
        "functional-sigmoid-16",
        "The activations are functions: no module shows them.",
        lambda: xavier(Functional(linears(16), torch.sigmoid)),
        ("activation",),
    ),
    _sick(
        "functional-relu-30-default",
        "Functional ReLU and default weights.",
        lambda: Functional(linears(30), torch.relu),
        ("initialization",),
    ),
    _sick(
        "cnn-sigmoid-14",
        "Fourteen convolutions with sigmoids.",
        lambda: xavier(cnn(14, nn.Sigmoid)),
        ("activation",),
        "cnn",
        steps=120,
    ),
    _sick(
        "cnn-relu-20-default",
        "Twenty convolutions with torch's default weights.",
        lambda: cnn(20, nn.ReLU),
        ("initialization",),
        "cnn",
        steps=120,
    ),
    _sick(
        "cnn-tanh-16-tiny",
        "Convolutions that begin with weights of 0.02.",
        lambda: normal(cnn(16, nn.Tanh), 0.02),
        ("initialization",),
        "cnn",
        steps=120,
        seeds=(0,),
    ),
    _sick(
        "mlp-gelu-24-small",
        "GELU halves what passes near zero, and the default weights do not make up for it.",
        lambda: mlp(24, nn.GELU),
        ("initialization", "activation"),
        learner={"optimizer": adam(lr=3e-4)},
    ),
)
