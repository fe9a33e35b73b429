import math

import pytest

from lightning_gradwatch.diagnose.hidden import Inside, inside
from lightning_gradwatch.diagnose.losses import split
from lightning_gradwatch.records import Anatomy, Layer, Ledger
from tests.reference.records import frame, reading


def layer(name, std=0.1, fan=16):
    facts = {"fan_in": fan, "fan_out": fan, "weight_std": std}
    return Layer(name=name, type="Linear", family="linear", parameters=1, trainable=True, **facts)


NAMES = ("net.4", "net.2", "net.0")
LEDGER = Ledger(
    name="loss", target="net.4.weight", target_layer="net.4", segments=(), start=0.0, end=0.0,
    closed=("compiled regions",), below=NAMES,
)  # fmt: skip
FRAME = frame(
    0, LEDGER, parameters=tuple(reading(f"{n}.weight", 10.0**-d, fan=1) for n, d in zip(NAMES, (0, 1, 3), strict=True))
)
SIGMOIDS = (("net.1", "Sigmoid"), ("net.3", "Sigmoid"))
ANATOMY = Anatomy(layers=tuple(map(layer, reversed(NAMES))), activations=(*SIGMOIDS, ("elsewhere", "Tanh")))


def test_what_weights_leave_is_the_activations():
    """Two weights of spread 0.1 and fan 16 multiply a gradient by 0.4 each; 3 decades are lost in all."""
    found = inside(FRAME, LEDGER, "net.0", ANATOMY)
    assert [one.name for one in found.layers] == ["net.4", "net.2"]
    assert found.lost == pytest.approx(3.0)
    assert found.weights == pytest.approx([math.log10(0.4)] * 2)
    assert found.names == ("Sigmoid", "Sigmoid")
    assert found.per_activation == pytest.approx((-3.0 - 2 * math.log10(0.4)) / 2)
    assert found.unexplained == 0.0


def test_parts_add_up_to_the_whole():
    losses = split(LEDGER, "net.0", ANATOMY, inside(FRAME, LEDGER, "net.0", ANATOMY))
    assert losses.activation + losses.weights + losses.depth == pytest.approx(3.0) == losses.total
    assert losses.reckoned
    assert losses.activations == (("Sigmoid", 2),)


def test_without_activation_modules_the_rest_is_depth():
    nameless = Anatomy(layers=ANATOMY.layers)
    losses = split(LEDGER, "net.0", nameless, inside(FRAME, LEDGER, "net.0", nameless))
    assert losses.activation == 0.0
    assert losses.weights + losses.depth == pytest.approx(3.0)


def test_an_anatomy_that_knows_nothing_breaks_nothing():
    losses = split(LEDGER, "net.0", Anatomy(), inside(FRAME, LEDGER, "net.0", Anatomy()))
    assert (losses.activation, losses.weights, losses.depth) == (0.0, 0.0, pytest.approx(3.0))


def test_an_open_ledger_hides_nothing():
    plain = Ledger(name="loss", target="a.weight", target_layer="a", segments=(), start=0.0, end=0.0)
    assert inside(frame(0, plain), plain, "a", ANATOMY) == Inside()
