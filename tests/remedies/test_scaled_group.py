"""One group: written, recognised, restored."""

from __future__ import annotations

import pytest
import torch

from lightning_gradwatch.remedies.scaled_group import ScaledGroup


def group(rate):
    return {"lr": rate, "params": []}


@pytest.mark.parametrize("rate", [0.1, 1, 1e-320], ids=str)
def test_a_number_comes_back_as_the_same_object(rate):
    mine = group(rate)
    scaled = ScaledGroup.write(mine, 0.05)
    assert mine["lr"] == 0.05
    scaled.restore()
    assert mine["lr"] is rate


def test_a_tensor_keeps_its_identity_and_bits():
    rate = torch.tensor(0.1)
    mine, bits = group(rate), rate.clone()
    scaled = ScaledGroup.write(mine, torch.tensor(0.05))
    assert mine["lr"] is rate
    assert rate.item() == pytest.approx(0.05)
    assert scaled.intact
    scaled.restore()
    assert torch.equal(rate, bits)


@pytest.mark.parametrize(
    ("rate", "write"),
    [
        pytest.param(0.1, lambda g: g.update(lr=0.7), id="another number"),
        pytest.param(0.1, lambda g: g.update(lr=torch.tensor(0.7)), id="a tensor in place of a number"),
        pytest.param(torch.tensor(0.1), lambda g: g["lr"].fill_(0.7), id="into the tensor"),
        pytest.param(torch.tensor(0.1), lambda g: g.update(lr=0.7), id="a number in place of a tensor"),
    ],
)
def test_what_a_user_wrote_stays(rate, write):
    mine = group(rate)
    scaled = ScaledGroup.write(mine, rate * 0.5)
    write(mine)
    assert not scaled.intact
    scaled.restore()
    assert float(mine["lr"]) == pytest.approx(0.7)


def test_the_value_that_we_wrote_is_a_write_too_where_it_is_a_tensor():
    mine = group(torch.tensor(0.1))
    scaled = ScaledGroup.write(mine, torch.tensor(0.05))
    mine["lr"].fill_(0.05)
    assert not scaled.intact
