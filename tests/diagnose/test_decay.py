import pytest

from lightning_gradwatch.diagnose.decay import share_of_decay
from tests.diagnose.made import answer, causes, found, net, optimizer, past, weight
from tests.reference.records import chain, frame

FADED = found("vanishing", "vanishing:loss")
BEGAN = past(weights={"net.0.weight": 0.1, "head.weight": 0.1})


def faded(size, decay=0.5):
    readings = (weight("net.0", size), weight("head", size))
    ledger = chain(*[0.0] * 10, linear=-0.65, activation="Tanh")
    return frame(60, ledger, parameters=readings, rates=(0.05,), optimizers=(optimizer("SGD", decay=decay),))


def test_takes_over_what_weights_have_lost_since_the_start():
    """A tenth of their size is left: nine tenths of what they fall short are the decay's."""
    told = answer("GW604", FADED, faded(0.01), net(10), BEGAN)
    assert told.weight == pytest.approx(10 * 0.6 * 0.9)
    assert (
        told.sentence
        == "weights are down to 10% of their size at the start, under a weight decay of 0.5 at a rate of 0.05"
    )


def test_init_or_decay():
    assert next(iter(causes(FADED, faded(0.01), net(10), BEGAN))) == "GW604"
    assert next(iter(causes(FADED, faded(0.1), net(10), BEGAN))) == "GW301"
    assert next(iter(causes(FADED, faded(0.01, 0.0), net(10), BEGAN))) == "GW301"


@pytest.mark.parametrize(("size", "decay", "share"), [(0.02, 0.5, 0.8), (0.05, 0.5, 0.0), (0.01, 0.0, 0.0)])
def test_share(size, decay, share):
    assert share_of_decay(faded(size, decay), BEGAN) == pytest.approx(share)


def test_weights_that_kept_their_size():
    assert not answer("GW604", FADED, faded(0.09), net(10), BEGAN).holds


def test_the_start_is_not_known():
    assert answer("GW604", FADED, faded(0.01), net(10), past()) is None


def test_a_fit_that_stalls():
    assert next(iter(causes(found("stalled"), faded(0.01), net(10), BEGAN))) == "GW604"
