"""Back to the shape of the input, from whatever the next layer is given."""

from __future__ import annotations

import pytest
import torch
from torch import Size, nn

from lightning_gradwatch.remedies.surgery.decoding import decoder_for, spread


def back(layer, after, shape):
    given = torch.randn(shape)
    gave = layer(given)
    code = after(gave)
    decoder = decoder_for(layer, given.shape, gave.shape, code)
    return decoder, None if decoder is None else decoder(code).shape == given.shape


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(2, 6, 3), (4, 2, 15)),
        (nn.Conv2d(2, 6, 3, stride=2, padding=1), (4, 2, 9, 12)),
        (nn.Conv2d(2, 6, (3, 5), dilation=2, padding="same"), (4, 2, 9, 12)),
        (nn.Conv2d(4, 6, 3, padding="valid", groups=2), (4, 4, 8, 8)),
        (nn.Conv3d(1, 6, 3, padding=1), (4, 1, 4, 4, 4)),
    ],
    ids=["1d", "stride", "same", "groups", "3d"],
)
@pytest.mark.parametrize("after", ["nothing", "flat", "pooled"])
def test_of_convolutions(layer, shape, after):
    pool = {1: nn.functional.avg_pool1d, 2: nn.functional.avg_pool2d, 3: nn.functional.avg_pool3d}[len(shape) - 2]
    then = {"nothing": torch.tanh, "flat": lambda z: z.flatten(1), "pooled": lambda z: pool(z, 2)}[after]
    decoder, right = back(layer, then, shape)
    assert right
    assert isinstance(decoder.map, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))


def test_of_linear_layers():
    assert isinstance(back(nn.Linear(3, 5), torch.tanh, (4, 7, 3))[0], nn.Linear)
    assert back(nn.Linear(3, 8), lambda z: z.reshape(4, 2, 2, 2), (4, 3))[1]  # a generator's first layer
    assert back(nn.Linear(3, 8), lambda z: z.mean(1), (4, 7, 3))[1]
    assert back(nn.Linear(3, 8), lambda z: z.flatten(0, 1), (4, 7, 3))[0] is None
    assert decoder_for(nn.Linear(1, 1), Size((1, 3000)), Size((1, 2)), torch.zeros(1, 2, 2000)) is None


def test_hand_worked_spread():
    assert spread(Size((8, 6 * 3 * 4)), Size((8, 6, 6, 8))) == (6, 3, 4)
    assert spread(Size((8, 7)), Size((8, 6, 6, 8))) is None
    assert spread(Size((8, 6 * 11)), Size((8, 6, 6, 8))) is None
    assert spread(Size((8, 3, 5)), Size((8, 6, 9))) == (3, 5)


def test_has_the_precision_of_the_code():
    assert (
        decoder_for(nn.Linear(2, 2), Size((3, 2)), Size((3, 2)), torch.zeros(3, 2).double()).weight.dtype
        is torch.float64
    )
