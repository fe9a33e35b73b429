from dataclasses import replace

from tests.diagnose.made import answer, causes, found, layer, net, weight
from tests.reference.records import chain, frame, reading

SILENT = (weight("head"), reading("net.0.weight", None), reading("net.1.weight", None))


def test_the_front_of_a_network():
    one = frame(5, chain(0.0, 0.0, 0.0), parameters=(weight("net.2"), *SILENT))
    one = replace(one, ledgers=(replace(one.ledgers[0], target_layer="net.2"),))
    told = answer("GW211", found("disconnected", None, "net.0", "net.1"), one)
    assert told.sentence == "the graph ends at net.2: what it is given was detached, or computed without gradients"


def test_single_layers():
    one = frame(5, chain(0.0), parameters=SILENT)
    frozen = net(3, 0.1, layer("stem", trainable=False))
    told = answer("GW211", found("disconnected", None, "net.1"), one, frozen)
    assert told.sentence.startswith("no path leads from the loss to net.1: unused, detached")
    assert "1 layers beside them are frozen on purpose" in told.sentence
    assert causes(found("disconnected", None, "net.1"), one) == {"GW211": 1.0}


def test_multiplied_by_zero():
    one = frame(5, parameters=(weight("head"), weight("net.0", norm=0.0)))
    assert "multiplies by exactly zero" in answer("GW211", found("disconnected", "zero"), one).sentence


def test_everything_is_fed():
    assert not answer("GW211", found("disconnected"), frame(5)).holds
    assert answer("GW211", found("disconnected", "unowned"), frame(5)) is None


def test_in_no_optimizer():
    one = frame(5, unowned=("net.0.weight", "net.0.bias"))
    told = answer("GW212", found("disconnected", "unowned"), one)
    assert told.sentence == "net.0.weight and 1 more get a gradient, and no optimizer has them"
    assert causes(found("disconnected", "unowned"), one) == {"GW212": 1.0}


def test_all_are_owned():
    assert not answer("GW212", found("disconnected", "unowned"), frame(5)).holds
    assert answer("GW212", found("disconnected"), frame(5)) is None
