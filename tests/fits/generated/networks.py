"""Small networks of every kind of layer that touches autograd in a way of its own: 16 numbers in, 4 classes out."""

import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

N = nn.Sequential


class Last(nn.Module):
    """A recurrent layer over four steps, and a head on the last one."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.layer(x.view(-1, 4, 4))[0][:, -1])


class Forward(nn.Module):
    """Layers by name, and a forward of your own: ``Forward(lambda m, x: m.a(x), a=nn.Linear(16, 4))``."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.own = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.own(self, x)


class Double(torch.autograd.Function):
    """A user's own operation."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


def residual_in_place(m, x):
    h = m.a(x)
    y = m.b(h)
    y += h
    return m.head(torch.tanh(y))


def unrolled_cell(m, x):
    state = x.new_zeros(len(x), 6)
    for step in x.view(-1, 4, 4).unbind(1):
        state = m.cell(step, state)
    return m.head(state)


def attention(m, x):
    mixed, weights = m.attend(*[x.view(-1, 4, 4)] * 3, need_weights=True)
    return m.head(mixed.flatten(1)) + weights.mean((1, 2))[:, None]


def embedded(m, x):
    return m.head(m.rows((x.abs() * 5).long().clamp(max=29)).mean(1))


def checkpointed(reentrant):
    return lambda m, x: m.head(checkpoint(m.body, m.a(x), use_reentrant=reentrant))


def tied():
    net = N(nn.Linear(16, 8), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    net[3].weight = net[1].weight
    return net


def lazy():
    net = N(nn.LazyLinear(8), nn.Softplus(), nn.LazyLinear(4))
    net(torch.zeros(2, 16))
    return net


def hooked():
    """The user's own gradient hooks, of all three kinds, one of which changes the gradient."""
    net = N(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4))
    net[0].weight.register_hook(lambda gradient: gradient * 0.5)
    net[2].register_full_backward_hook(lambda module, inputs, outputs: None)
    net[2].bias.register_post_accumulate_grad_hook(lambda parameter: setattr(parameter, "grad", parameter.grad * 2))
    return net


def linear(m, x):
    return m.head(torch.relu(m.a(x)))


NETWORKS = {
    "mlp": lambda: N(nn.Linear(16, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Dropout(0.2), nn.Linear(8, 4)),
    "in place": lambda: N(nn.Linear(16, 8), nn.ReLU(inplace=True), nn.Linear(8, 4)),
    "batch norm": lambda: N(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.PReLU(), nn.Linear(8, 4)),
    "cnn": lambda: N(nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 3, 3), nn.ELU(), nn.Flatten(), nn.Linear(12, 4)),
    "transposed convolution": lambda: N(
        nn.Unflatten(1, (1, 4, 4)),
        nn.ConvTranspose2d(1, 4, 2),
        nn.GroupNorm(2, 4),
        nn.Flatten(),
        nn.Linear(100, 4),
    ),
    "transformer": lambda: N(
        nn.Unflatten(1, (4, 4)),
        nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True),
        nn.Flatten(),
        nn.Linear(16, 4),
    ),
    "attention with its weights": lambda: Forward(
        attention, attend=nn.MultiheadAttention(4, 2, dropout=0.1, batch_first=True), head=nn.Linear(16, 4)
    ),
    "recurrent": lambda: Last(nn.GRU(4, 6, batch_first=True)),
    "fused recurrent": lambda: Last(nn.LSTM(4, 6, batch_first=True)),
    "recurrent cell": lambda: Forward(unrolled_cell, cell=nn.GRUCell(4, 6), head=nn.Linear(6, 4)),
    "sparse embedding": lambda: Forward(embedded, rows=nn.Embedding(30, 8, sparse=True), head=nn.Linear(8, 4)),
    "embedding": lambda: Forward(embedded, rows=nn.Embedding(30, 8, padding_idx=0), head=nn.Linear(8, 4)),
    "tied weights": tied,
    "module used twice": lambda: Forward(
        lambda m, x: m.head(torch.tanh(m.b(torch.tanh(m.b(m.a(x)))))),
        a=nn.Linear(16, 8),
        b=nn.Linear(8, 8),
        head=nn.Linear(8, 4),
    ),
    "residual in place": lambda: Forward(
        residual_in_place, a=nn.Linear(16, 8), b=nn.Linear(8, 8), head=nn.Linear(8, 4)
    ),
    "frozen": lambda: N(nn.Linear(16, 8).requires_grad_(False), nn.Tanh(), nn.Linear(8, 4)),
    "unused": lambda: Forward(linear, a=nn.Linear(16, 8), head=nn.Linear(8, 4), spare=nn.Linear(3, 3)),
    "weight norm": lambda: N(parametrizations.weight_norm(nn.Linear(16, 8)), nn.SiLU(), nn.Linear(8, 4)),
    "spectral norm": lambda: N(parametrizations.spectral_norm(nn.Linear(16, 8)), nn.ReLU(), nn.Linear(8, 4)),
    "checkpointed": lambda: Forward(
        checkpointed(False), a=nn.Linear(16, 8), body=N(nn.Linear(8, 8), nn.Dropout(0.2)), head=nn.Linear(8, 4)
    ),
    "checkpointed, reentrant": lambda: Forward(
        checkpointed(True), a=nn.Linear(16, 8), body=N(nn.Linear(8, 8), nn.Dropout(0.2)), head=nn.Linear(8, 4)
    ),
    "dict out": lambda: Forward(
        lambda m, x: {"logits": linear(m, x), "x": x}, a=nn.Linear(16, 8), head=nn.Linear(8, 4)
    ),
    "tuple out": lambda: Forward(lambda m, x: (linear(m, x), x), a=nn.Linear(16, 8), head=nn.Linear(8, 4)),
    "lazy": lazy,
    "complex": lambda: Forward(
        lambda m, x: m.head(m.a(x.to(torch.complex64)).abs()),
        a=nn.Linear(16, 8, dtype=torch.complex64),
        head=nn.Linear(8, 4),
    ),
    "own operation": lambda: Forward(
        lambda m, x: m.head(Double.apply(torch.tanh(m.a(x)))), a=nn.Linear(16, 8), head=nn.Linear(8, 4)
    ),
    "own gradient hooks": hooked,
}
SIMPLE = ("mlp", "batch norm", "tied weights", "module used twice", "weight norm", "lazy")  # also differentiable twice
