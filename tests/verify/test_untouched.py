"""A checkup leaves everything of the user's as it was, bit for bit."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch import checkup
from lightning_gradwatch.verify import notes
from tests.verify.networks import X, Y, same, small, state


def with_gradients():
    network = small(nn.BatchNorm1d(8))
    network(X).sum().backward()
    return network


def with_hooks():
    network = small()
    network[0].register_forward_hook(lambda *_: None)
    network[0].weight.register_hook(lambda gradient: gradient)
    network[1].register_full_backward_hook(lambda *_: None)
    return network


def half_in_eval():
    network = small(nn.BatchNorm1d(8), nn.Dropout())
    network[1].eval()
    return network


def frozen():
    network = small()
    network[0].requires_grad_(False)
    return network


def tied():
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, layer, nn.Linear(6, 3))


UNTOUCHED = {
    "batch norm": lambda: small(nn.BatchNorm1d(8)),
    "dropout": lambda: small(nn.Dropout(0.5)),
    "a part in eval mode": half_in_eval,
    "all in eval mode": lambda: small(nn.BatchNorm1d(8)).eval(),
    "gradients of before": with_gradients,
    "hooks": with_hooks,
    "frozen": frozen,
    "spectral norm": lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3))),
    "tied": tied,
    "lazy": lambda: nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3)),
    "float64": lambda: nn.Sequential(small().double()),
}


def numbers():
    return torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()


@pytest.mark.parametrize("make", UNTOUCHED.values(), ids=UNTOUCHED)
def test_the_network_is_as_it_was_bit_for_bit(make):
    network = make()
    x = X.double() if next(network.parameters()).dtype is torch.float64 else X
    before, drawn = state(network), numbers()
    kept = x.clone()
    report = checkup(network, (x, Y), batches=3)
    assert len(report.frames) == 3
    after = state(network)
    assert [key for key in before if not same(before[key], after[key])] == []
    assert torch.equal(x, kept)
    now = numbers()
    assert torch.equal(drawn[0], now[0])
    assert drawn[1:] == now[1:]


def test_also_when_it_fails():
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.norm, self.calls = nn.Linear(6, 3), nn.BatchNorm1d(3), 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 2:
                raise RuntimeError("out of luck")
            return self.norm(self.layer(x))

    network = Breaks().eval()
    before, drawn = state(network), torch.get_rng_state()
    with pytest.raises(RuntimeError, match="out of luck"):
        checkup(network, (X, Y))
    assert same(before, state(network))
    assert torch.equal(drawn, torch.get_rng_state())


def test_a_network_that_changes_its_input_changes_a_copy():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x):
            return self.layer(x.mul_(2))

    x = torch.ones(4, 6)
    checkup(InPlace(), (x, Y[:4]))
    assert torch.equal(x, torch.ones(4, 6))


def test_a_loader_goes_on_drawing_as_if_nobody_had_asked():
    def loader():
        return DataLoader(TensorDataset(X, Y), 4, shuffle=True, generator=torch.Generator().manual_seed(5))

    asked, other = loader(), loader()
    checkup(small(), asked, batches=2)
    assert all(torch.equal(a, b) for one, two in zip(asked, other, strict=True) for a, b in zip(one, two, strict=True))


def test_the_callers_grad_modes_do_not_matter():
    with torch.no_grad():
        quiet = checkup(small(), (X, Y), batches=2)
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        silent = checkup(small(), (X, Y), batches=2)
        assert torch.is_inference_mode_enabled()
    assert len(quiet.frames) == len(silent.frames) == 2


def test_eval_mode_is_said():
    assert notes.EVAL in checkup(small().eval(), (X, Y), batches=2).notes
    assert notes.EVAL not in checkup(half_in_eval(), (X, Y), batches=2).notes


def test_compiled_networks_are_checked_as_they_were_written():
    report = checkup(torch.compile(small(), backend="eager"), (X, Y), batches=2)
    assert notes.UNCOMPILED in report.notes
    assert report.forecast.layer == "0"
