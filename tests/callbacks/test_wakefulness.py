import json
import math

import pytest

from lightning_gradwatch.callbacks.wakefulness import Wakefulness
from lightning_gradwatch.measure.vigil import Look

CALM = [Look(0, {"0": 0.1, "2": 0.2, "4": 0.4}), Look(-1, {"loss": 2.0})]


def calm(until=100):
    """One that has seen a steady fit up to that step."""
    made = Wakefulness()
    for step in range(0, until, 5):
        made.hears(step, CALM)
    return made


def test_looks_at_one_step_in_five():
    made = Wakefulness()
    seen = []
    for step in range(23):
        if made.looks_at(step):
            made.hears(step, CALM)
            seen.append(step)
    assert seen == [0, 5, 10, 15, 20]


def test_a_step_without_an_optimizer_s_is_made_up_for():
    made = calm()
    assert [step for step in (100, 101, 102) if made.looks_at(step)] == [100, 101, 102]
    made.hears(102, CALM)
    assert [step for step in range(103, 107) if made.looks_at(step)] == [105, 106]


NEWS = {
    "a layer fades": [Look(0, {"0": 1e-3, "2": 0.2, "4": 0.4})],
    "the largest fades": [Look(0, {"0": 0.1, "2": 0.2, "4": 4e-5})],
    "all fade": [Look(0, {"0": 1e-5, "2": 2e-5, "4": 4e-5})],
    "all grow": [Look(0, {"0": 1e3, "2": 2e3, "4": 4e3})],
    "a layer gets nothing": [Look(0, {"0": 0.0, "2": 0.2, "4": 0.4})],
    "all get nothing": [Look(0, {"0": 0.0, "2": 0.0, "4": 0.0})],
    "one is not finite": [Look(0, {"0": 0.1, "2": math.nan, "4": 0.4})],
    "the loss jumps": [Look(-1, {"loss": 20.0})],
    "the loss is not finite": [Look(-1, {"loss": math.inf})],
}
NO_NEWS = {
    "the same": CALM,
    "a little less": [Look(0, {"0": 0.02, "2": 0.03, "4": 0.08}), Look(-1, {"loss": 0.5})],
    "a loss of 0": [Look(-1, {"loss": 0.0})],
    "a new optimizer": [Look(1, {"0": 1e-9})],
    "a new loss": [Look(-1, {"loss[1]": 1e9})],
    "an overflow at a scale that will fall": [Look(0, {"0": math.inf, "2": 0.2, "4": 0.4}, is_true=False)],
    "all grow with the scale": [Look(0, {"0": 1e3, "2": 2e3, "4": 4e3}, is_true=False)],
    "nothing seen": [],
    "an optimizer without gradients": [Look(0, {})],
}


@pytest.mark.parametrize("looks", NEWS.values(), ids=NEWS.keys())
def test_news_wakes_for_ten_steps(looks):
    made = calm()
    made.hears(100, looks)
    assert all(made.waking.due(step) for step in range(101, 111))
    assert not made.waking.due(111)


@pytest.mark.parametrize("looks", NO_NEWS.values(), ids=NO_NEWS.keys())
def test_all_else_does_not(looks):
    made = calm()
    made.hears(100, looks)
    assert not made.waking.due(101)


def test_flow_is_told_from_scale_where_the_scale_is_unknown():
    made = Wakefulness()
    for step in range(0, 100, 5):
        made.hears(step, [Look(0, {"0": 0.1 * 2**step, "2": 0.4 * 2**step}, is_true=False)])
        assert not made.waking.due(step + 1)
    made.hears(100, [Look(0, {"0": 1e-4, "2": 0.4}, is_true=False)])
    assert made.waking.due(101)


def test_a_loss_that_breaks_wakes_for_its_own_step_and_once():
    made = calm()
    assert made.hears_broken(97, "loss", math.nan)
    assert made.waking.due(97)
    assert not made.hears_broken(98, "loss", math.nan)


def test_a_loss_that_was_never_known_is_no_news():
    assert not Wakefulness().hears_broken(0, "loss", math.nan)


def test_without_credit_it_is_heard_later():
    made = calm()
    made.waking.credit, made.waking.counted = 0, 100
    faded = NEWS["a layer fades"]
    made.hears(100, faded)
    assert not made.waking.due(101)
    made.hears(150, faded)
    assert not made.waking.due(151)
    made.hears(200, faded)
    assert made.waking.due(201)


def test_goes_on_from_its_state():
    made, other = calm(), Wakefulness()
    made.hears(100, NEWS["a layer fades"])
    made.carried = [Look(0, {"0": 3.0}, is_true=False), Look(-1, {"loss": 1.0})]
    other.restore(json.loads(json.dumps(made.state())))
    assert other == made


def test_state_is_small():
    made = Wakefulness()
    for step in range(0, 50, 5):
        made.hears(step, [Look(0, {str(i): 0.1 + i / 7 for i in range(64)}), Look(-1, {"loss": math.pi})])
    assert len(json.dumps(made.state())) < 8_000
