"""Convolutions, norms, skips and patches on 8 x 8 digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from . import _healthy_data as data
from ._healthy_networks import Pool, Residual, Tokens, block, feed_forward, he
from ._healthy_task import adam, adamw, healthy, recipe, sgd

BatchNorm, GroupNorm = nn.BatchNorm2d, lambda width: nn.GroupNorm(4, width)


def cnn(norm=nn.Identity, *, inplace: bool = False) -> nn.Sequential:
    """Three convolutions and a head."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), norm(outputs), nn.ReLU(inplace)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10))


class Block(nn.Module):
    """A residual block of two convolutions; its last norm may start at 0."""

    def __init__(self, width: int, norm, *, zero: bool = False) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList([norm(width), norm(width)])
        if zero:
            nn.init.zeros_(self.norms[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norms[1](self.second(self.norms[0](self.first(x)).relu()))
        return (x + inner).relu()


def resnet(blocks: int, norm=BatchNorm, *, zero: bool = False) -> nn.Sequential:
    body = (Block(16, norm, zero=zero) for _ in range(blocks))
    stem = (nn.Conv2d(1, 16, 3, padding=1, bias=False), norm(16), nn.ReLU(inplace=True))
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))


class Dense(nn.Module):
    """Every layer reads all layers before it."""

    def __init__(self, layers: int = 5, growth: int = 8) -> None:
        super().__init__()
        widths = [1 + growth * i for i in range(layers)]
        self.convolutions = nn.ModuleList(nn.Conv2d(width, growth, 3, padding=1) for width in widths)
        self.norms = nn.ModuleList(nn.BatchNorm2d(growth) for _ in widths)
        self.head = nn.Linear(1 + growth * layers, 10)

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = torch.cat([x, norm(convolution(x)).relu()], 1)
        return self.head(x.mean((2, 3)))


class UNet(nn.Module):
    """Down, through the bottom, and up again beside a skip: cleans noisy digits."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.bottom = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(32, 16, 2, stride=2), nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.down(x).relu()
        low = self.bottom(functional.max_pool2d(wide, 2)).relu()
        return self.out(torch.cat([wide, self.up(low)], 1))


class Mixer(nn.Module):
    """An MLP over places, then one over channels."""

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.norm, self.places, self.channels = nn.LayerNorm(width), feed_forward(places), feed_forward(width)
        self.channels = Residual(self.channels, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.channels(x + self.places(self.norm(x).transpose(1, 2)).transpose(1, 2))


def patches(seed: int) -> data.Table:
    """Sixteen patches of 2 x 2 pixels."""
    return data.images(seed).on(lambda x: functional.unfold(x, 2, stride=2).transpose(1, 2).contiguous())


def noisy(seed: int) -> data.Table:
    """Noisy digits and the clean ones."""
    clean = data.images(seed)
    draw = torch.Generator().manual_seed(seed)
    made = clean.on(lambda x: x + 0.3 * torch.randn(x.shape, generator=draw))
    return data.Table(made.x, clean.x, made.held_x, clean.held_x)


def cleaned(out: Tensor, y: Tensor) -> float:
    return 1 - ((out - y) ** 2).mean().item() / y.var().item()


def dead_pixels(seed: int) -> data.Table:
    """A third of the image is 0 in every sample, as from a broken camera."""
    table = data.images(seed)
    mask = torch.ones(8, 8)
    mask[:, 5:] = 0
    return table.on(lambda x: x * mask)


def spectral() -> nn.Module:
    network = he(cnn())
    for i in (0, 3, 6):
        network[i] = parametrizations.spectral_norm(network[i])
    return network


def weighted() -> nn.Module:
    network = he(cnn())
    for i in (0, 3, 6):
        network[i] = parametrizations.weight_norm(network[i])
    return network


FITS = (
    healthy("cnn-plain-he", "cnn", "A plain CNN that learns.", recipe(lambda: he(cnn()), data.images), seeds=(0, 1)),
    healthy(
        "cnn-plain-default-init",
        "cnn",
        "torch's default initialisation is weak for ReLU, and enough for three layers.",
        recipe(cnn, data.images, optimizer=adam(5e-3)),
        steps=200,
    ),
    healthy(
        "cnn-batchnorm-biased",
        "cnn",
        "Biases before batch norm have no gradient but rounding, for ever.",
        recipe(lambda: cnn(BatchNorm, inplace=True), data.images, optimizer=adam(2e-3)),
        seeds=(0, 1),
    ),
    healthy(
        "cnn-spectral-norm",
        "cnn",
        "Spectral norm holds every layer's gain at 1.",
        recipe(spectral, data.images, optimizer=adam(3e-3)),
        steps=250,
    ),
    healthy("cnn-weight-norm", "cnn", "Weights as length times direction.", recipe(weighted, data.images), steps=120),
    healthy(
        "cnn-dead-pixels",
        "cnn",
        "A third of the inputs is constant: their weights never move.",
        recipe(lambda: he(cnn()), dead_pixels),
        steps=200,
    ),
    healthy("resnet-4-batchnorm", "cnn", "Residual blocks.", recipe(lambda: resnet(4), data.images), steps=80),
    healthy(
        "resnet-6-zero-gamma",
        "cnn",
        "The last norm of each block starts at 0: its convolutions wake up a step later.",
        recipe(lambda: resnet(6, zero=True), data.images, optimizer=sgd(0.02)),
        steps=120,
        seeds=(0, 1),
    ),
    healthy("resnet-4-groupnorm", "cnn", "Group norm.", recipe(lambda: resnet(4, GroupNorm), data.images), steps=80),
    healthy(
        "densenet-5", "cnn", "Every layer reads all before it: a short trunk.", recipe(Dense, data.images), steps=120
    ),
    healthy(
        "unet-denoising",
        "autoencoder",
        "Most of the gradient takes the skip; the bottom learns beside it.",
        recipe(UNet, noisy, loss=functional.mse_loss, score=cleaned),
        seeds=(0, 1),
    ),
    healthy(
        "vit-patches-4",
        "transformer",
        "A small vision Transformer.",
        recipe(
            lambda: Tokens(nn.Linear(4, 32), 16, 32, nn.Sequential(*(block(32) for _ in range(3))), 10),
            patches,
            optimizer=adamw(3e-3),
        ),
        steps=120,
    ),
    healthy(
        "mixer-patches-3",
        "mlp",
        "An MLP-Mixer.",
        recipe(
            lambda: nn.Sequential(
                nn.Linear(4, 32), *(Mixer(16, 32) for _ in range(3)), nn.LayerNorm(32), Pool(), nn.Linear(32, 10)
            ),
            patches,
        ),
        steps=120,
    ),
)
