"""The networks that the ledger's invariant is tested over: every way a gradient can run that autograd shows."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Mlp(nn.Module):
    """A chain; the reference of what is simple."""

    shape = (16, 8)

    def __init__(self, activation=nn.Tanh):
        super().__init__()
        self.first = nn.Linear(8, 12)
        self.hidden = nn.Sequential(*[m for _ in range(4) for m in (activation(), nn.Linear(12, 12))])
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.hidden(self.first(x))))


class InplaceRelu(Mlp):
    def __init__(self):
        super().__init__(lambda: nn.ReLU(inplace=True))


class Functional(Mlp):
    """Activations without a module."""

    def __init__(self):
        super().__init__(nn.Identity)

    def forward(self, x):
        x = self.first(x)
        for layer in self.hidden:
            x = torch.sigmoid(F.gelu(layer(x)))
        return self.head(x)


class Cnn(nn.Module):
    shape = (4, 1, 12, 12)

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3)
        self.body = nn.Sequential(
            nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.LeakyReLU(), nn.AvgPool2d(2)
        )
        self.head = nn.Linear(8 * 2 * 2, 3)

    def forward(self, x):
        return self.head(self.body(self.first(x)).flatten(1))


class Residual(nn.Module):
    shape = (16, 8)

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 12)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12)) for _ in range(5))
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Transformer(nn.Module):
    """Pre-LN, on tokens."""

    shape = None

    def __init__(self):
        super().__init__()
        self.first = nn.Embedding(11, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.body(self.first(x))[:, -1])


class PlainRnn(nn.Module):
    shape = (6, 9, 8)

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 5)
        self.body = nn.RNN(5, 7, batch_first=True)
        self.head = nn.Linear(7, 3)

    def forward(self, x):
        return self.head(self.body(self.first(x))[0][:, -1])


class UNet(nn.Module):
    shape = (4, 2, 8, 8)

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.down = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.bottom = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        skip = torch.relu(self.first(x))
        x = self.up(torch.relu(self.bottom(torch.relu(self.down(skip)))))
        return self.head(torch.cat([skip, x], 1)).mean((2, 3))


class TwoHeads(nn.Module):
    """Two heads over one trunk; the loss is over both."""

    shape = (16, 8)

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 12)
        self.body = nn.Linear(12, 12)
        self.heads = nn.ModuleList([nn.Linear(12, 3), nn.Linear(12, 3)])

    def forward(self, x):
        x = torch.tanh(self.body(torch.tanh(self.first(x))))
        return self.heads[0](x) + self.heads[1](x).sigmoid()


class SharedWeights(nn.Module):
    """One layer used three times."""

    shape = (16, 8)

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 12)
        self.shared = nn.Linear(12, 12)
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        x = self.first(x)
        for _ in range(3):
            x = torch.tanh(self.shared(x))
        return self.head(x)


class Autocast(Mlp):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x)


class Checkpointed(Residual):
    """Non-reentrant activation checkpointing; counts how often the blocks really ran."""

    def __init__(self):
        super().__init__()
        self.runs = 0

    def _block(self, block, x):
        self.runs += 1
        return block(x)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = checkpoint(self._block, block, x, use_reentrant=False)
        return self.head(x)


class WeightNormed(Mlp):
    def __init__(self):
        super().__init__()
        nn.utils.parametrizations.weight_norm(self.first)
        nn.utils.parametrizations.weight_norm(self.head)


class Penalised(Mlp):
    """An L2 term in the loss reaches the parameters by side paths."""

    penalty = 1e-3


NETWORKS = {
    "mlp": Mlp,
    "in-place relu": InplaceRelu,
    "functional activations": Functional,
    "cnn": Cnn,
    "residual": Residual,
    "pre-LN transformer": Transformer,
    "plain rnn": PlainRnn,
    "u-net": UNet,
    "two heads": TwoHeads,
    "weight sharing": SharedWeights,
    "autocast": Autocast,
    "non-reentrant checkpointing": Checkpointed,
    "weight norm": WeightNormed,
    "L2 term in the loss": Penalised,
}


def batch(network):
    """Inputs and labels for a network."""
    generator = torch.Generator().manual_seed(1)
    if network.shape is None:
        return torch.randint(0, 11, (6, 7), generator=generator), torch.randint(0, 3, (6,), generator=generator)
    x = torch.randn(network.shape, generator=generator)
    return x, torch.randint(0, 3, (network.shape[0],), generator=generator)


def loss_of(network, x, y):
    """The loss of a network on a batch."""
    loss = F.cross_entropy(network(x).float(), y)
    weight = getattr(network, "penalty", 0.0)
    return loss + weight * sum(p.square().sum() for p in network.parameters()) if weight else loss
