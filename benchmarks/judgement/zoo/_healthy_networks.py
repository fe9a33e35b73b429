"""Networks that the healthy fits share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def he(module: Network) -> Network:
    """He's initialisation for every linear layer and convolution, biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


def xavier(module: Network) -> Network:
    """Xavier's initialisation for every linear layer, biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return module


def lecun(module: Network) -> Network:
    """Variance 1 / fan in, which self-normalising networks ask for."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)
    return module


def mlp(
    inputs: int = 64,
    outputs: int = 10,
    hidden: Sequence[int] = (64, 64),
    activation: Callable[[], nn.Module] = nn.ReLU,
    *,
    norm: Callable[[int], nn.Module] | None = None,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Linear layers, each followed by a norm (if any), an activation, a dropout (if any)."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers.append(nn.Linear(inputs, width))
        layers.extend([norm(width)] if norm else [])
        layers.append(activation())
        layers.extend([nn.Dropout(dropout)] if dropout else [])
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class Residual(nn.Module):
    """x + scale * inner(norm(x)); the scale may be learned and may start at 0."""

    def __init__(self, inner: nn.Module, width: int, *, scale: float | None = None, norm: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.inner = inner
        self.scale = nn.Parameter(torch.tensor(float(scale))) if scale is not None else 1.0

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.inner(self.norm(x))


class Pool(nn.Module):
    """The mean over one dimension."""

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.dim)


class Attention(nn.Module):
    """Multi-head self-attention written out, with an optional mask of what may be seen."""

    def __init__(self, width: int, heads: int = 4, *, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, width = x.shape
        q, k, v = (
            part(x).reshape(batch, steps, self.heads, -1).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        logits = q @ k.transpose(-1, -2) / (width / self.heads) ** 0.5
        if self.causal:
            hidden = torch.ones(steps, steps, dtype=torch.bool, device=x.device).triu(1)
            logits = logits.masked_fill(hidden, float("-inf"))
        return self.out((logits.softmax(-1) @ v).transpose(1, 2).reshape(batch, steps, width))


class LayerScale(nn.Module):
    """A learned factor per channel that starts near 0."""

    def __init__(self, inner: nn.Module, width: int, start: float) -> None:
        super().__init__()
        self.inner, self.gamma = inner, nn.Parameter(torch.full((width,), start))

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * self.inner(x)


def feed_forward(width: int, factor: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, factor * width), nn.GELU(), nn.Linear(factor * width, width))


def block(width: int, *, causal: bool = False, scale: float | None = None) -> nn.Sequential:
    """One pre-norm Transformer block; ``scale`` puts a LayerScale of that start behind each part."""
    parts: list[nn.Module] = [Attention(width, causal=causal), feed_forward(width)]
    if scale is not None:
        parts = [LayerScale(part, width, scale) for part in parts]
    return nn.Sequential(*(Residual(part, width) for part in parts))


class Tokens(nn.Module):
    """Tokens and their places, a body, a norm and a head on the mean or on every place."""

    def __init__(
        self, tokens: nn.Module, length: int, width: int, body: nn.Module, outputs: int, *, every: bool = False
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.places = nn.Parameter(torch.randn(length, width) * 0.1)
        self.body, self.norm, self.head = body, nn.LayerNorm(width), nn.Linear(width, outputs)
        self.every = every

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.body(self.tokens(x) + self.places[: x.shape[1]]))
        return self.head(h if self.every else h.mean(1))


class LastStep(nn.Module):
    """A recurrent layer and a head on its last step."""

    def __init__(self, cell: nn.Module, width: int, outputs: int = 10) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])
