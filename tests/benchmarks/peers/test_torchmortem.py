import torch
from peers import torchmortem
from torch import nn

from tests.benchmarks.peers.fitting import fit, network


def test_vanishing_from_the_last_to_the_first():
    assert torchmortem.vanishing([1e-3, 1.0, 0.1])
    assert not torchmortem.vanishing([1e-3, 1.0, 0.09])
    assert not torchmortem.vanishing([1e-33, 1e-31])  # nothing anywhere
    assert torchmortem.vanishing([0.0, 1.0])


def test_stalled_from_three_steps_in_ten():
    assert torchmortem.stalled([1e-9] * 3 + [1.0] * 7)
    assert not torchmortem.stalled([1e-9] * 2 + [1.0] * 8)


def test_dead_and_saturated_outputs():
    assert torchmortem.mostly_dead(torch.tensor([0.0, 1e-7, 1.0]))
    assert not torchmortem.mostly_dead(torch.tensor([0.0, 1.0]))
    assert torchmortem.mostly_saturated(torch.tensor([-0.96, 2.0, 0.0]))
    assert not torchmortem.mostly_saturated(torch.tensor([0.96, 0.0]))


def test_the_loss_diverges_or_stands():
    rising = [1.0 + 0.03 * step for step in range(20)]
    assert torchmortem.diverging(rising)
    assert not torchmortem.diverging(rising[:19])
    assert not torchmortem.diverging(rising[::-1])
    assert torchmortem.plateau([1.0] * 20)
    assert not torchmortem.plateau([1.0] * 19 + [1.1])


def test_it_judges_when_the_fit_is_over():
    peer = torchmortem.TorchMortem()
    fit(network(8, nn.Sigmoid), [peer], steps=10)
    assert peer.alarms[0] == (9, "vanishing")


def test_it_is_silent_on_two_layers_and_as_written_rings_on_all_rules():
    peer, everything = torchmortem.TorchMortem(), torchmortem.TorchMortemAll()
    fit(network(2), [peer, everything], steps=30, rate=0.5)
    assert peer.alarms == []
    assert everything.alarms != []
