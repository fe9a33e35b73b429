"""Networks as people write them, to be read and treated."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Functional(nn.Module):
    """Every activation is a call in the code."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        x = torch.sigmoid(self.first(x))
        x = F.relu(self.second(x).tanh())
        return self.head(x).sigmoid()


class Shared(nn.Module):
    """One activation for all hidden layers, and layers in a list."""

    def __init__(self, last=False):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.act = nn.Tanh()
        self.last = last

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i < len(self.layers) - 1 or self.last:
                x = self.act(x)
        return x


class Squeeze(nn.Module):
    """Squeeze and excite: a pooled gate on channels."""

    def __init__(self, channels=4):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(nn.Linear(channels, channels), nn.Tanh(), nn.Linear(channels, channels), nn.Sigmoid())

    def forward(self, x):
        y = self.fc(self.pool(x).flatten(1))
        return x * y.view(*y.shape, 1, 1)


class Image(nn.Module):
    """A convolution, a norm, a saturating activation, a gate and a head."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.Sigmoid()
        self.squeeze = Squeeze()
        self.head = nn.Linear(4, 3)
        self.out = nn.Tanh()

    def forward(self, x):
        x = self.squeeze(self.act(self.norm(self.conv(x))))
        return self.out(self.head(x.mean((2, 3))))


class Recurrence(nn.Module):
    """A recurrence written by hand."""

    def __init__(self):
        super().__init__()
        self.into, self.again, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1)
        self.act = nn.Tanh()

    def forward(self, x):
        h = torch.zeros(len(x), 4)
        for t in range(x.shape[1]):
            h = self.act(self.into(x[:, t]) + self.again(h))
        return self.head(h)


class Branches(nn.Module):
    """Blocks that add what goes around them, chosen by name."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleDict({"a": nn.Sequential(nn.Linear(4, 4), nn.ELU()), "b": nn.Linear(4, 4)})
        self.act = nn.GELU()
        self.shortcut = None
        self.head = nn.Linear(4, 1)

    def forward(self, x, which="a"):
        around = x if self.shortcut is None else self.shortcut(x)
        for block in self.blocks.values():
            x = block(x)
        return self.head(self._activated(x + around))

    def _activated(self, x):
        return self.act(x)
