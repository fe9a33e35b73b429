import math

from lightning_gradwatch.callbacks.monitored import Monitored
from lightning_gradwatch.sinks import SCALARS, scalars
from tests.reference.records import FINDING, chain, frame


def test_all_keys_are_there_from_the_start():
    values = Monitored().values
    assert list(values) == list(SCALARS)
    assert all(map(math.isnan, values.values()))


def test_what_a_step_knows_replaces_what_was_known():
    monitored, last = Monitored(), frame(1, chain(-0.5, -0.5), loss=1.0)
    monitored.learn([frame(0, chain(-0.1), loss=2.0), last], [FINDING])
    known = {key: value for key, value in scalars(last, [FINDING]).items() if not math.isnan(value)}
    assert monitored.values.items() >= known.items()
    assert monitored.values["gradwatch/loss"] == 1.0


def test_what_a_step_does_not_know_stays():
    monitored = Monitored()
    monitored.learn([frame(0, chain(-0.5, -0.5), loss=2.0)], ())
    before = dict(monitored.values)
    monitored.learn([frame(1, loss=None)], ())
    assert monitored.values["gradwatch/decades_lost"] == before["gradwatch/decades_lost"]
    assert monitored.values["gradwatch/loss"] == 2.0
