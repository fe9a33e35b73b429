"""Transformers: pre-norm and post-norm, tied, shared, masked, with gates that start near 0."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import _healthy_data as data
from ._healthy_networks import Pool, Tokens, block
from ._healthy_task import adam, adamw, healthy, recipe

WIDTH = 32
text = partial(data.next_bytes, 32)


def rows(layers: int, scale: float | None = None) -> nn.Module:
    """Pre-norm blocks over the eight rows of a digit."""
    return Tokens(nn.Linear(8, WIDTH), 8, WIDTH, nn.Sequential(*(block(WIDTH, scale=scale) for _ in range(layers))), 10)


def encoder(layers: int, *, norm_first: bool) -> nn.Module:
    """Torch's own encoder over rows."""
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.0, batch_first=True, norm_first=norm_first)
    return nn.Sequential(
        nn.Linear(8, WIDTH),
        nn.TransformerEncoder(layer, layers, enable_nested_tensor=False),
        Pool(),
        nn.Linear(WIDTH, 10),
    )


class Language(nn.Module):
    """A causal model of bytes whose head is its embedding."""

    def __init__(self, layers: int, *, tied: bool = True) -> None:
        super().__init__()
        body = nn.Sequential(*(block(WIDTH, causal=True) for _ in range(layers)))
        self.model = Tokens(nn.Embedding(128, WIDTH), 32, WIDTH, body, 128, every=True)
        nn.init.normal_(self.model.tokens.weight, std=0.1)
        if tied:
            self.model.head.weight = self.model.tokens.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).transpose(1, 2)


class Shared(nn.Module):
    """One block, used six times."""

    def __init__(self) -> None:
        super().__init__()
        self.block = block(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(6):
            x = self.block(x)
        return x


class Padded(nn.Module):
    """Rows of which some are padding: masked with -inf in torch's attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        padding = x.abs().sum(2) == 0
        hidden = self.encoder(self.embed(x), src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(2).to(hidden.dtype)
        return self.head((hidden.nan_to_num() * kept).sum(1) / kept.sum(1).clamp_min(1))


def padded(seed: int) -> data.Table:
    """Digits cut to between four and eight rows, the rest 0."""
    draw = torch.Generator().manual_seed(seed)

    def cut(x: Tensor) -> Tensor:
        x = x + 0.01  # no row of the digit itself is all 0
        length = torch.randint(5, 9, (len(x), 1, 1), generator=draw)
        return x * (torch.arange(8).reshape(1, 8, 1) < length)

    return data.rows(seed).on(cut)


def right_bytes(out: Tensor, y: Tensor) -> float:
    return (out.argmax(1) == y).float().mean().item()


def warm_up(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    """From 0 to full rate in 40 steps."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 40))


language = partial(recipe, loss=functional.cross_entropy, score=right_bytes, batch=32)

FITS = (
    healthy(
        "transformer-pre-2-rows",
        "transformer",
        "Attention keys' biases have no gradient but rounding.",
        recipe(lambda: rows(2), data.rows, optimizer=adamw(3e-3)),
        seeds=(0, 1),
    ),
    healthy(
        "transformer-pre-6-rows",
        "transformer",
        "Six pre-norm blocks.",
        recipe(lambda: rows(6), data.rows, optimizer=adamw(2e-3)),
        steps=100,
    ),
    healthy(
        "transformer-pre-12-rows",
        "transformer",
        "Twelve pre-norm blocks.",
        recipe(lambda: rows(12), data.rows, batch=32, optimizer=adamw(1e-3)),
        steps=80,
    ),
    healthy(
        "transformer-layerscale-1e-4",
        "transformer",
        "Inside the blocks gradients are 1e-4 of those on the stream.",
        recipe(lambda: rows(4, 1e-4), data.rows, optimizer=adamw(3e-3)),
        steps=120,
        seeds=(0, 1),
    ),
    healthy(
        "transformer-layerscale-1e-6",
        "transformer",
        "The same at 1e-6: Adam opens the gates all the same.",
        recipe(lambda: rows(3, 1e-6), data.rows, optimizer=adamw(5e-3)),
        steps=150,
    ),
    healthy(
        "transformer-post-2-warm-up",
        "transformer",
        "Post-norm, small, warmed up from rate 0.",
        recipe(lambda: encoder(2, norm_first=False), data.rows, optimizer=adam(2e-3), schedule=warm_up),
        steps=150,
    ),
    healthy(
        "transformer-torch-pre-3",
        "transformer",
        "torch's own encoder, its fused projections and paths.",
        recipe(lambda: encoder(3, norm_first=True), data.rows, optimizer=adam(2e-3)),
        steps=120,
    ),
    healthy(
        "transformer-language-tied",
        "transformer",
        "The embedding is the head too: two gradients in one weight.",
        language(lambda: Language(2), text),
        steps=120,
        seeds=(0, 1),
    ),
    healthy(
        "transformer-language-untied",
        "transformer",
        "Rare bytes: most rows of the embedding have no gradient.",
        language(lambda: Language(2, tied=False), text),
        steps=120,
    ),
    healthy(
        "transformer-shared-6",
        "transformer",
        "One block used six times, as in ALBERT.",
        recipe(lambda: Tokens(nn.Linear(8, WIDTH), 8, WIDTH, Shared(), 10), data.rows, optimizer=adamw(2e-3)),
        steps=100,
    ),
    healthy(
        "transformer-padding-masked",
        "transformer",
        "Padding is masked with -inf, on purpose.",
        recipe(Padded, padded, optimizer=adam(3e-3)),
        steps=150,
    ),
)
