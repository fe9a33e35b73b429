import math
from dataclasses import replace

import pytest

from lightning_gradwatch.diagnose.gains import gained
from lightning_gradwatch.diagnose.losses import GAIN, MILD
from lightning_gradwatch.records import Operation
from tests.diagnose.made import layer, net, past, weight
from tests.reference.records import chain, frame, segment


def told(ledger, anatomy=None, history=None, parameters=None):
    return gained(ledger, "net.0", frame(0, ledger, parameters=parameters), anatomy or net(), history or past())


def residual(blocks, decades, *between):
    """A head over residual blocks, each with what stands behind it."""
    plain = chain(0.0)
    block = segment("block", decades, "Add", "block", modules=("net.1",))
    block = replace(block, operations=(*block.operations, Operation(name="Addmm", family="linear", share=0.5)))
    return replace(plain, segments=(*plain.segments[:2], *((*between, block) * blocks)))


def test_hand_worked():
    """A ReLU takes 0.15 decades and He's weights give them back; 0.65 each are 0.5 too much, 0.05 of it mild."""
    ledger = chain(*[-GAIN["Relu"]] * 10, linear=GAIN["Relu"] + 0.5, activation="Relu")
    gains = told(ledger)
    assert gains.weights == pytest.approx(10 * (0.5 - MILD))
    assert gains.depth == pytest.approx(10 * MILD)
    assert gains.total == pytest.approx(5.0)
    assert (gains.residual, gains.norm, gains.recurrence, gains.trained) == (0.0, 0.0, 0.0, 0.0)


def test_shapes_are_no_fault_of_the_weights():
    wide = net(0, 0.125, layer("net.1", fans=(16, 1600)))
    assert told(chain(0.0, 0.0, 0.0, linear=0.5, activation="Tanh"), wide).weights == pytest.approx(2 * 0.45)


def test_weights_that_grew_are_training_s():
    """Ten times Xavier's on the first step, a hundred times now: half of it came since."""
    parameters = (weight("net.0", 12.5),)
    ledger = chain(*[0.0] * 10, linear=0.5)
    gains = told(ledger, net(1, 1.25), past(weights={"net.0.weight": 1.25}), parameters)
    assert gains.trained == pytest.approx(10 * 0.45 / 2, rel=0.01)
    assert gains.weights == pytest.approx(10 * 0.45 / 2, rel=0.01)
    fair = told(ledger, history=past(weights={"net.0.weight": 0.1}), parameters=parameters)
    assert fair.trained == pytest.approx(10 * 0.45)


def test_residual_sums():
    gains = told(residual(30, 0.15))
    assert gains.residual == pytest.approx(4.5)
    assert (gains.weights, gains.depth, gains.blocks) == (0.0, 0.0, 30)


def test_residual_branches_of_large_weights_are_the_weights():
    gains = told(residual(10, 0.65), net(std=1.25))
    assert gains.weights == pytest.approx(10 * (0.65 - 0.5 * math.log10(2)))
    assert gains.residual == pytest.approx(10 * 0.5 * math.log10(2))


def test_a_normalisation_that_gives_back_what_sums_gained():
    norm = segment("block.norm", -0.15, "NativeLayerNorm", "norm")
    assert told(residual(30, 0.15, norm)).residual == pytest.approx(0.0)


def test_normalisation_and_recurrence_that_gain():
    plain = chain(0.0)
    more = (segment("bn", 2.0, "NativeBatchNorm", "norm"), segment("rnn", 3.0, "CudnnRnn", "recurrent"))
    gains = told(replace(plain, segments=(*plain.segments[:2], *more)))
    assert (gains.norm, gains.recurrence) == (2.0, 3.0)
