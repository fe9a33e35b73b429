"""Which normalisation, and where there is none to insert."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lightning_gradwatch.records import Anatomy
from lightning_gradwatch.remedies.insert_normalization import InsertNormalization
from tests.remedies.findings import cause, finding, stack, with_layers

RULE = InsertNormalization()


@pytest.mark.parametrize(
    ("anatomy", "module"),
    [
        pytest.param(stack("ReLU"), "BatchNorm1d", id="linear"),
        pytest.param(stack("ReLU", kind="Conv2d"), "BatchNorm2d", id="images"),
        pytest.param(stack("ReLU", kind="ConvTranspose3d"), "BatchNorm3d", id="volumes"),
        pytest.param(with_layers(stack("ReLU"), "Embedding"), "LayerNorm", id="text"),
        pytest.param(with_layers(stack("ReLU"), "LSTM"), "LayerNorm", id="sequences"),
    ],
)
def test_by_what_the_layers_work_on(anatomy, module):
    advice = RULE.weigh(finding(cause("depth")), anatomy)
    assert f"Insert torch.nn.{module} after" in advice.advice
    assert (advice.title == "layer normalisation") is (module == "LayerNorm")


@pytest.mark.parametrize(
    ("found", "anatomy"),
    [
        pytest.param(finding(cause("depth")), with_layers(stack("ReLU"), "BatchNorm1d"), id="there already"),
        pytest.param(
            finding(cause("depth"), **{"NativeLayerNorm segments": 4.0}), stack("ReLU"), id="there as a function"
        ),
        pytest.param(
            finding(cause("depth"), layers=("rnn",)), with_layers(stack("ReLU"), "RNN"), id="lost over time steps"
        ),
        pytest.param(finding(cause("depth")), Anatomy(), id="no layer"),
    ],
)
def test_does_not_apply(found, anatomy):
    assert RULE.weigh(found, anatomy) is None


def test_a_gradient_norm_is_no_normalisation():
    assert RULE.weigh(finding(cause("depth"), **{"gradient norm": 3.0}), stack("ReLU")) is not None


@pytest.mark.parametrize(("code", "words"), [("GW402", "norm_first=True"), ("GW403", "GroupNorm")])
def test_one_that_is_there_already_is_moved_or_replaced(code, words):
    found = finding(replace(cause("normalization"), code=code))
    assert words in InsertNormalization().weigh(found, with_layers(stack("ReLU"), "BatchNorm1d")).advice
