"""Small networks, and everything about one that somebody could notice."""

import torch
from torch import nn

X, Y = torch.randn(16, 6), torch.randint(3, (16,))


def small(*extra):
    return nn.Sequential(nn.Linear(6, 8), *extra, nn.ReLU(), nn.Linear(8, 3))


def deep(depth=14, width=16):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(width, 2))


BATCH = (torch.rand(32, 16), torch.randint(2, (32,)))


def state(network):
    """Everything of a network that somebody could notice."""
    return {
        "values": {
            name: None if nn.parameter.is_lazy(tensor) else tensor.detach().clone()
            for name, tensor in [*network.named_parameters(), *network.named_buffers()]
        },
        "gradients": {n: None if p.grad is None else p.grad.clone() for n, p in network.named_parameters()},
        "same tensors": [id(p) for p in network.parameters()],
        "wants": [p.requires_grad for p in network.parameters()],
        "versions": [p._version for p in network.parameters() if not nn.parameter.is_lazy(p)],
        "modes": [module.training for module in network.modules()],
        "classes": [type(module) for module in network.modules()],
        "attributes": [sorted(vars(module)) for module in network.modules()],
        "hooks": [len(hooks) for m in network.modules() for name, hooks in vars(m).items() if name.endswith("_hooks")],
        "tensor hooks": [len(p._backward_hooks or ()) for p in network.parameters()],
    }


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
