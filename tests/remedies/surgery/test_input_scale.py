"""The small module in front of layers that get the raw input, and which these are."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from lightning_gradwatch.remedies.surgery.input_scale import entries, insert, layout_of, scales_in

LAYERS = {
    "linear": (lambda: nn.Linear(3, 2), (5, 3), 3, -1),
    "linear over time": (lambda: nn.Linear(3, 2), (5, 7, 3), 3, -1),
    "conv1d": (lambda: nn.Conv1d(3, 2, 3), (5, 3, 9), 3, -2),
    "conv2d": (lambda: nn.Conv2d(3, 2, 3), (5, 3, 9, 9), 3, -3),
    "conv2d without a batch": (lambda: nn.Conv2d(3, 2, 3), (3, 9, 9), 3, -3),
    "transposed": (lambda: nn.ConvTranspose2d(3, 2, 3), (5, 3, 9, 9), 3, -3),
    "lstm": (lambda: nn.LSTM(3, 2, batch_first=True), (5, 7, 3), 3, -1),
    "cell": (lambda: nn.GRUCell(3, 2), (5, 3), 3, -1),
}


def output(layer, x):
    out = layer(x)
    return out[0] if isinstance(out, tuple) else out


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gets_what_is_standardised(name):
    make, shape, features, axis = LAYERS[name]
    layer = make()
    assert layout_of(layer) == (features, axis)
    plain, x = copy.deepcopy(layer), torch.randn(shape) * 9 + 4
    scale = insert(layer)
    assert torch.equal(output(layer, x), output(plain, x)), "before it is measured it changes nothing"
    scale.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    scale.std.copy_(torch.tensor([2.0, 4.0, 8.0]))
    by_hand = x.movedim(axis, -1)
    by_hand = ((by_hand - scale.mean) / scale.std).movedim(-1, axis)
    assert torch.equal(output(layer, x), output(plain, by_hand))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(output(twin, x), output(layer, x))


def test_packed_sequences_and_keywords():
    layer = nn.RNN(2, 2, batch_first=True)
    plain, x = copy.deepcopy(layer), torch.randn(2, 4, 2)
    insert(layer).std.fill_(2.0)
    packed = [pack_padded_sequence(one, torch.tensor([4, 2]), batch_first=True) for one in (x, x / 2)]
    assert torch.equal(layer(packed[0])[0].data, plain(packed[1])[0].data)
    assert torch.equal(layer(input=x)[0], plain(x / 2)[0])


def test_half_precision_stays_so():
    layer = nn.Linear(2, 2, dtype=torch.bfloat16)
    insert(layer)
    assert layer(torch.ones(1, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.numbers, self.image = nn.Embedding(9, 4), nn.Linear(3, 4), nn.Conv2d(1, 4, 3)
        self.mixed, self.head = nn.Linear(4, 4), nn.Linear(12, 1)

    def forward(self, words, numbers, image):
        told = self.mixed(self.words(words).mean(1))
        return self.head(torch.cat([told, self.numbers(numbers), self.image(image).amax((2, 3))], 1))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Linear(4, 1), nn.Linear(4, 4)

    def forward(self, x):
        return self.head(torch.relu(self.body(x.flatten(1))))


NETWORKS = {
    "several inputs": (TwoInputs, ["numbers", "image"]),
    "in the order of its code": (Functional, ["body"]),
    "behind a normalisation": (lambda: nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)), []),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(2), nn.Linear(2, 2)), []),
    "attention": (lambda: nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8), nn.Linear(4, 1)), []),
    "nothing": (nn.Identity, []),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_which_layers_get_the_raw_input(name):
    make, names = NETWORKS[name]
    model = make()
    assert [name for layer in entries(model) for name, one in model.named_modules() if one is layer] == names


def test_found_again():
    model = nn.Sequential(nn.Linear(2, 2))
    scale = insert(model[0])
    assert scales_in(model) == [(model[0], scale)]
    assert "InputScale(2, axis=-1)" in repr(model)
    assert [name for name in model.state_dict() if "scale" in name] == [
        f"0.input_scale.{part}" for part in ("mean", "std", "seen")
    ]
