import math
from dataclasses import replace

import pytest

from lightning_gradwatch.diagnose.stall import head_gradient, stall
from tests.diagnose.made import net, optimizer, weight
from tests.reference.records import chain, frame, segment


def still(kind="SGD", rate=1e-6, norm=1.0, eps=None, size=0.125):
    readings = (weight("net.0", size, norm, 1e-8), weight("net.1", size, norm, 1e-8))
    return frame(0, parameters=readings, rates=(rate,), optimizers=(optimizer(kind, eps),))


def test_a_rate_is_compared_with_its_optimizer_s():
    assert stall(still("SGD", 1e-6), None, net()).rate == pytest.approx(4.0)
    assert stall(still("AdamW", 1e-6), None, net()).rate == pytest.approx(3.0)
    assert stall(still("SGD", 0.1), None, net()).rate == 0.0
    assert stall(still("SGD", 0.0), None, net()).rate == 0.0


def test_what_eps_takes():
    """A root mean square of 1/64 beside an eps of 1: 1 / (1 + 64) is left of the step."""
    assert stall(still("Adam", eps=1.0), None, net()).eps == pytest.approx(math.log10(65))
    assert stall(still("Adam", eps=1e-8), None, net()).eps == 0.0
    assert stall(still("SGD"), None, net()).eps is None


def test_weights_above_xavier():
    assert stall(still(size=12.5), None, net()).weights == pytest.approx(2.0)
    assert stall(still(size=0.01), None, net()).weights == 0.0


def test_the_loss_s_own_gradient_with_its_averaging_undone():
    """A loss x 1e-6 over 64 samples of 10 classes: its norm is 1e-6 / sqrt(640) for each of 640 elements of 1."""
    plain = chain(0.0, 0.0)
    first = segment("head", -6 - 0.5 * math.log10(640), "NllLoss")
    head = segment("head", 0.0, size=640)
    scaled = replace(plain, segments=(first, head, *plain.segments[2:]))
    assert head_gradient(scaled) == pytest.approx(-6.0)
    assert head_gradient(plain) is None  # sizes were not recorded
    assert stall(still(), scaled, net()).head == pytest.approx(-6.0)


def test_nothing_is_known():
    told = stall(frame(0, parameters=()), None, net(std=None))
    assert (told.update, told.eps, told.gradient, told.head, told.weights) == (None, None, None, None, 0.0)
