"""Where a way around the blocks helps, and what it costs."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from lightning_gradwatch import WrongArgument
from lightning_gradwatch.records import Anatomy
from lightning_gradwatch.remedies.add_residual import AddResidual
from tests.callbacks.fits import both_namespaces
from tests.remedies import nets
from tests.remedies.findings import cause, finding, layer, stack, with_layers

RULE = AddResidual()
FOUND = finding(cause("depth"))


def test_layers_that_keep_their_shape_suit_best():
    square, mixed = stack("ReLU"), Anatomy(layers=tuple(layer(str(i), fans=(64, 32)) for i in range(9)))
    assert "20 of 21 layers keep their shape; the others need a projection" in RULE.weigh(FOUND, square).reason
    assert "No layer of the 9 keeps its shape" in RULE.weigh(FOUND, mixed).reason
    assert RULE.weigh(FOUND, square).fit > RULE.weigh(FOUND, mixed).fit


@pytest.mark.parametrize(
    ("found", "anatomy"),
    [
        pytest.param(finding(cause("depth"), **{"residual blocks": 12.0}), stack("ReLU"), id="there already"),
        pytest.param(FOUND, stack("ReLU", depth=1), id="nothing to lead around"),
        pytest.param(finding(cause("depth"), layers=("rnn",)), with_layers(stack("ReLU"), "RNN"), id="over time"),
    ],
)
def test_does_not_apply(found, anatomy):
    assert RULE.weigh(found, anatomy) is None


def test_evidence_of_no_blocks_counts_none():
    assert RULE.weigh(finding(cause("depth"), **{"residual blocks": 0.0}), stack("ReLU")) is not None


def test_sums_that_are_there_already_get_a_scale():
    said = AddResidual().weigh(finding(cause("residual"), **{"residual blocks": 12.0}), stack("ReLU"))
    assert "at zero; leave the skip alone" in said.advice


SCALES = pytest.mark.parametrize("scale", ["auto", None, 0.3])
EVERY_NET = pytest.mark.parametrize("name", nets.NETS)


@SCALES
@EVERY_NET
def test_undo_restores_every_bit(scale, name):
    nets.assert_undone_bit_for_bit(AddResidual(scale), name)


@SCALES
@EVERY_NET
def test_copies_pickles_and_states_compute_the_same(scale, name):
    nets.assert_travels(AddResidual(scale), name)


@pytest.mark.parametrize("name", ["named", "images"])
@SCALES
def test_compiles_into_one_graph(scale, name):
    nets.assert_compiles(AddResidual(scale), name)


def test_the_scale_begins_at_zero_and_is_trained():
    model, x = nets.made("sequential")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    applied = AddResidual().apply(model, optimizer)
    assert applied.parameters == 4
    assert torch.equal(model(x), model[-1](x)), "every layer is its own way around"
    nets.step(model, optimizer, x)
    assert all(model[place].skip_scale != 0 for place in (0, 2, 4, 6))


def test_the_projections_come_from_the_seed():
    def weights(seed):
        model, _ = nets.made("named")
        AddResidual(seed=seed).apply(model)
        return model.fc1.skip.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_only_where_asked():
    model, _ = nets.made("untraceable")
    assert AddResidual(where=["body.[01]"]).apply(model).changed == ("body.0", "body.1")


@both_namespaces
def test_as_a_callback(namespace):
    nets.assert_fits(AddResidual(), namespace)


@pytest.mark.parametrize(("activation", "bound"), [(nn.Sigmoid, -15), (nn.ReLU, -7)])
@SCALES
def test_gradients_flow(activation, bound, scale):
    torch.manual_seed(0)
    model = nn.Sequential(*nets.sequential(activation, 20, 64)[:-1], nn.Linear(64, 10))
    assert nets.decades(model) < bound
    AddResidual(scale).apply(model)
    assert abs(nets.decades(model)) < 2


def test_says_what_has_nothing_to_lead_around():
    assert "No two layers" in AddResidual().applies_to(nn.Linear(2, 2)).why_not
    assert "already" in AddResidual().applies_to(treated := _treated()).why_not
    assert not AddResidual().apply(treated)


def _treated():
    model, _ = nets.made("sequential")
    assert AddResidual().applies_to(model)
    AddResidual().apply(model)
    return model


@pytest.mark.parametrize("scale", ["auto", None, 0.25])
def test_the_block_to_write_runs(scale):
    names = {"nn": nn, "torch": torch}
    exec(AddResidual(scale).snippet(nn.Linear(2, 2)), names)
    block, x = names["ResidualBlock"](nn.Linear(3, 3)), torch.ones(1, 3)
    by = {"auto": 0, None: 1}.get(scale, scale)
    assert torch.allclose(block(x), x + by * block.inside(x))


@pytest.mark.parametrize(
    ("scale", "rule"),
    [
        ("one", "one of the words below"),
        (0, 'not 0, which no layer would come back from ("zero" is learned)'),
        (True, 'a number, "zero", "auto" or None'),
        (float("nan"), 'a number, "zero", "auto" or None'),
    ],
)
def test_wrong_arguments(scale, rule):
    with pytest.raises(WrongArgument, match=re.escape(f"`scale` must be {rule}, got {scale!r}")):
        AddResidual(scale)
