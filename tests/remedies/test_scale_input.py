"""Inputs out of scale, and batches out of line."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch.records import Kind, Quantity
from lightning_gradwatch.remedies.scale_input import ScaleInput
from tests.fits.modules import fingerprint
from tests.remedies.findings import cause, finding, stack
from tests.remedies.treatments import fitted, trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
]
RULE = ScaleInput()


def told(code, given):
    blamed = replace(cause("data"), code=code, evidence=(Quantity(name="root mean square of the input", value=given),))
    return RULE.weigh(finding(blamed, kind=Kind.SATURATION), stack())


def test_raw_pixels():
    said = told("GW311", 80.0)
    assert said.title == "standardised inputs"
    assert "a size of 80." in said.reason


def test_one_odd_batch_is_looked_at():
    for said in (told("GW312", 80.0), told("GW311", math.nan)):
        assert said.title == "data without outliers"
        assert "Look at the batch" in said.advice


# --- the treatment ----------------------------------------------------------------------------------------------------


def pixels():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def raw(batches=4):
    x = 255 * torch.rand(4 * batches, 4, generator=torch.Generator().manual_seed(1))
    return DataLoader(TensorDataset(x, x.mean(1, keepdim=True)), batch_size=4)


def test_by_hand_and_back():
    model, x = pixels(), next(iter(raw()))[0]
    before = model(x)
    applied = ScaleInput().apply(model, batches=raw)
    assert applied.changed == ("0",)
    scaled = model[0].input_scale(torch.cat([batch[0] for batch in raw()]))
    assert torch.allclose(scaled.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(scaled.std(0, correction=0), torch.ones(4), atol=1e-5)
    assert applied.parameters == 0
    applied.undo()
    assert torch.equal(model(x), before)


def test_where_it_is_asked_for():
    model = nn.Sequential(pixels(), pixels()[2:])
    assert ScaleInput(where=["1"]).apply(model).changed == ("1.2",)


def test_without_data_it_waits():
    applied = ScaleInput().apply(pixels())
    assert applied.did == ("0: what it gets is standardised as soon as the first batches are there.",)


def test_twice_is_once():
    model = pixels()
    ScaleInput().apply(model, batches=raw)
    assert ScaleInput().apply(model, batches=raw).left == ("It is standardised by an earlier treatment.",)


def test_text_is_left_alone():
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 1))
    assert "nothing but embeddings" in ScaleInput().applies_to(model).why_not
    assert not ScaleInput().apply(model)


def test_a_fit_measures_before_its_first_step_and_says_so(caplog):
    module = fitted(network=pixels())
    with caplog.at_level("INFO", "lightning_gradwatch"):
        trainer(callbacks=[ScaleInput(batches=2)]).fit(module, raw())
    assert int(module.net[0].input_scale.seen) == 8
    assert [record.message.partition(": ")[0] for record in caplog.records if record.name == "lightning_gradwatch"] == [
        "GradWatch treated the network",
        "GradWatch measured the input",
    ]


def test_a_resumed_fit_keeps_what_was_measured(tmp_path):
    def go(epochs, data, path=None):
        module = fitted(network=pixels(), optimizer="Adam")
        saver = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1)
        runner = trainer(callbacks=[ScaleInput(), saver], max_epochs=epochs, enable_checkpointing=True)
        runner.fit(module, data, ckpt_path=path)
        return module.state_dict()

    through = go(2, raw())
    later = raw()
    other = go(2, later, str(tmp_path / "epoch=0.ckpt"))
    assert fingerprint(through) == fingerprint(other)


def test_sigmoids_learn_from_raw_pixels_that_could_not():
    losses = {}
    for treated in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        x = 255 * torch.rand(256, 4)
        y = (x[:, :1] - x[:, 1:2]) / 255
        if treated:
            ScaleInput().apply(model, batches=lambda x=x: [x])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(200):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
        losses[treated] = loss.item()
    assert losses[True] < 0.1 * losses[False]
