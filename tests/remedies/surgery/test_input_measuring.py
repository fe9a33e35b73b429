"""Batches are let in as far as the first layers, and nothing of it stays."""

import importlib

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.input_measuring import measure
from lightning_gradwatch.remedies.surgery.input_scale import insert
from tests.fits.modules import fingerprint

DATA = [torch.tensor([[0.0, 10.0], [4.0, 30.0]]), torch.tensor([[2.0, 20.0]])]


def measured(model, layers, batches, most=16):
    scales = [insert(layer) for layer in layers]
    edit = Edit(model)
    measure(edit, batches, most)
    return edit, scales


def test_the_rest_of_the_network_does_not_run():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model[1].forward = lambda x: pytest.fail("went on")
    edit, [scale] = measured(model, [model[0]], DATA)
    assert scale.mean.tolist() == [2.0, 20.0]
    assert scale.seen == 3
    assert edit.changed == ["0"]
    assert not model[0]._forward_pre_hooks.keys() - model[0]._forward_pre_hooks_with_kwargs.keys()
    assert len(model[0]._forward_pre_hooks) == 1


def test_so_many_batches_and_no_more():
    model = nn.Sequential(nn.Linear(2, 3))
    assert measured(model, [model[0]], DATA, most=1)[1][0].seen == 2


FORMS = {"tensor": DATA, "pair": [(x, 0) for x in DATA], "names": [{"input": x, "y": 0} for x in DATA]}


@pytest.mark.parametrize("form", FORMS)
def test_batches_in_every_form(form):
    model = nn.Linear(2, 1)
    assert measured(model, [model], FORMS[form])[1][0].seen == 3


SAID = {
    "standardised already": (torch.randn(400, 2), "its input is standardised already."),
    "zeros and ones": (torch.eye(2), "its input is zeros and ones, and stays as it is."),
}


@pytest.mark.parametrize("case", SAID)
def test_what_is_left_alone(case):
    torch.manual_seed(0)
    data, sentence = SAID[case]
    model = nn.Sequential(nn.Linear(2, 1))
    edit, [scale] = measured(model, [model[0]], [data])
    assert edit.left == [f"0: {sentence}"]
    assert (scale.mean.tolist(), scale.std.tolist()) == ([0, 0], [1, 1])
    assert scale.seen > 0


def test_a_layer_behind_one_that_learns():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    edit, [scale] = measured(model, [model[1]], DATA)
    assert edit.left == ["1: what it gets is computed by layers that learn, and stays as it is."]
    assert scale.std.tolist() == [1, 1]


def test_a_batch_that_cannot_be_used_is_one_sentence():
    model = nn.Sequential(nn.Linear(2, 2))
    edit, [scale] = measured(model, [model[0]], [torch.ones(3, 5)])
    assert len(edit.left) == 1
    assert scale.seen == 0


def test_measured_once():
    model = nn.Sequential(nn.Linear(2, 2))
    _, [scale] = measured(model, [model[0]], DATA)
    again = Edit(model)
    measure(again, [x + 100 for x in DATA], 16)
    assert (scale.mean.tolist(), again.did) == ([2.0, 20.0], [])


def test_a_step_that_moves_the_weights_by_itself_is_not_run():
    pl = importlib.import_module("lightning.pytorch")

    class Manual(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False
            self.norm, self.never, self.one = nn.BatchNorm1d(2), nn.Linear(2, 1), nn.Linear(2, 1)

        def training_step(self, batch, batch_idx):
            self.norm(batch)
            self.one(batch)
            pytest.fail("went on")

    model = Manual()
    before = fingerprint(model.norm.state_dict())
    _, scales = measured(model, [model.one, model.never], [DATA[0]])
    assert [int(scale.seen) for scale in scales] == [2, 0]
    assert fingerprint(model.norm.state_dict()) == before
