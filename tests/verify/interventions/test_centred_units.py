"""Dead units live again once their bias is right, if it was the bias."""

import torch
from torch import nn

from lightning_gradwatch.cases.networks import cnn, mlp
from lightning_gradwatch.records import Kind
from lightning_gradwatch.verify.interventions.centred_units import centred_units
from tests.verify.proofs import digits, scene, tried


def dead(value):
    network = mlp(4, activation="relu", init="he")
    with torch.no_grad():
        network[2].bias.fill_(value)
    return network


def test_units_killed_by_their_bias_live():
    found = tried(dead(-20.0), "GW303", name="dead_units", kind=Kind.DEAD_UNITS, layers=("2",))
    assert found.recovered > 0.95
    assert found.proof.endswith("0 % of the units are dead in place of 100 %.")


def test_units_that_see_nothing_do_not():
    network = dead(-1.0)
    nn.init.zeros_(network[2].weight)
    found = tried(network, "GW303", name="dead_units", kind=Kind.DEAD_UNITS, layers=("2",))
    assert found.recovered == 0.0, "no bias helps where the input is the same for all samples"


def test_each_unit_or_channel_is_above_zero_for_half_of_the_values():
    for network, layer in ((mlp(2, activation="relu"), "0"), (cnn(2), "1")):
        known = scene(network, name="dead_units", layers=(layer,))
        assert centred_units(known).told() == "the biases of 1 layer set so that half of the values pass"
        made = known.modules[layer](digits()[0] if layer == "0" else digits()[0].view(-1, 1, 8, 8))
        share = (made > 0).float().movedim(1, 0).flatten(1).mean(1)
        assert (share - 0.5).abs().max() < 0.05


def test_names_that_the_copy_does_not_have_are_no_trial():
    assert centred_units(scene(mlp(2, activation="relu"), layers=("elsewhere",))) is None
