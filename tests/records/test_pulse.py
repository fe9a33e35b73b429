import math

from lightning_gradwatch.records.codec import decode, dumps, loads
from lightning_gradwatch.records.pulse import Pulse, pulse
from tests.reference.records import chain, frame


def test_a_frame_in_a_few_numbers():
    ours = pulse(frame(7, chain(-0.5, -0.5, -0.5), loss=2.0))
    assert (ours.step, ours.skipped, ours.loss) == (7, False, 2.0)
    assert ours.norm == frame(7, chain(-0.5)).norm
    assert ours.flows == {"loss": min(ours.flows.values())}
    assert ours.flows["loss"] < 0


def test_there_and_back():
    ours = Pulse(step=3, loss=math.inf, norm=0.5, flows={"loss": -math.inf, "loss[1]": -2.0})
    assert decode(Pulse, loads(dumps(ours))) == ours
