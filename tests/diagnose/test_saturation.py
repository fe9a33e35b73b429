from tests.diagnose.made import XAVIER, answer, causes, found, given, net, op, past
from tests.reference.records import frame

FLAT = found("saturation", None, "net.0", "net.1", "net.2")


def flat(rms=1.0):
    return frame(20, given(rms), operations=tuple(op(f"net.{i}", slope=0.01) for i in range(3)), rates=(0.1,))


SHUT = {f"net.{i}": 0.01 for i in range(3)}
OPENED = {f"net.{i}": 0.9 for i in range(3)}


def test_holds_where_nobody_else_did_it():
    told = answer("GW102", FLAT, flat(), history=past(slopes=SHUT))
    assert told.holds
    assert told.weight == 6.0  # three layers at a hundredth of their slope
    assert "neither weights nor input nor steps" in told.sentence


def test_does_not_hold_where_the_weights_did():
    assert not answer("GW102", FLAT, flat(), net(std=10 * XAVIER), past(slopes=SHUT)).holds


def test_does_not_apply_without_slopes():
    assert answer("GW102", FLAT, frame(20)) is None


def test_who_did_it():
    """Cross: one picture, four reasons."""
    bold = past(slopes=OPENED, boldest=(0.5, "net.0.weight", 3))
    assert next(iter(causes(FLAT, flat(), net(), past(slopes=SHUT)))) == "GW102"
    assert causes(FLAT, flat(), net(std=10 * XAVIER), past(slopes=SHUT)) == {"GW302": 1.0}
    assert causes(FLAT, flat(), net(std=10 * XAVIER), bold) == {"GW601": 1.0}
    first_only = frame(20, given(100.0), operations=(op("net.0", slope=0.01), op("net.1", slope=0.9)))
    assert causes(FLAT, first_only, net(), past(slopes={"net.0": 0.01})) == {"GW311": 1.0}
