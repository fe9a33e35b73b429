"""Measures gradient flow in float64 by plain torch.autograd: knows nothing of the package's own meters."""

import math
from collections import Counter

import torch
from torch import nn

from lightning_gradwatch.cases.data import training_batches

WEIGHTED = (nn.Linear, nn.Conv2d)


def first_batch(seed=0):
    """One training batch of cases, in float64."""
    x, y = next(iter(training_batches(seed=seed)))
    return x.double(), y


def depth_decades(network, seed=0):
    """log10 of the gradient norm at the first weighted layer's output over that at the head's."""
    layers = [module for module in network.modules() if isinstance(module, WEIGHTED)]
    outputs = []
    handles = [layer.register_forward_hook(lambda *args: outputs.append(args[-1])) for layer in (layers[0], layers[-1])]
    first, head = _gradients(network, outputs, seed)
    for handle in handles:
        handle.remove()
    return math.log10(first.norm()) - math.log10(head.norm())


def time_decades(network, seed=0):
    """log10 of the gradient norm at the first time step's input over that at the last's."""
    inputs = []

    def keep(module, args):
        inputs.append(args[0].detach().requires_grad_())
        return (inputs[0],)

    handle = network.recurrent.register_forward_pre_hook(keep)
    (gradient,) = _gradients(network, inputs, seed)
    handle.remove()
    steps = gradient.norm(dim=(0, 2))
    return math.log10(steps[0]) - math.log10(steps[-1])


def decades_by_kind(network, seed=0):
    """log10 of the gradient's change in every module of a Sequential, summed by what the module is."""
    x, y = first_batch(seed)
    values = [x.requires_grad_()]  # reshaping modules come before the first weights
    for module in network.double():
        values.append(module(values[-1]))
    gradients = torch.autograd.grad(nn.functional.cross_entropy(values[-1], y), values[1:])
    logs = [math.log10(gradient.norm()) for gradient in gradients]
    sums = Counter()
    for module, behind, before in zip(list(network)[1:], logs, logs[1:], strict=False):
        sums[_kind(module)] += behind - before
    return sums


@torch.no_grad()
def mean_slope(network, seed=0):
    """The mean slope of the network's sigmoids over the largest that a sigmoid has, 1/4."""
    slopes = []
    for module in network.modules():
        if isinstance(module, nn.Sigmoid):
            module.register_forward_hook(lambda module, args, y: slopes.append(float((y * (1 - y)).mean() / 0.25)))
    network.double()(first_batch(seed)[0])
    return sum(slopes) / len(slopes)


def _gradients(network, values, seed):
    x, y = first_batch(seed)
    loss = nn.functional.cross_entropy(network.double()(x), y)
    return torch.autograd.grad(loss, values)


def _kind(module):
    if isinstance(module, WEIGHTED):
        return "linear"
    return "norm" if isinstance(module, nn.BatchNorm1d) else "activation"
