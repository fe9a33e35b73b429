import random

import pytest

from lightning_gradwatch.measure.waking import LENGTH, ONE_IN, Waking


def measured(waking, steps, *, wakes=lambda step: False, suspicious=lambda step: False, every=50):
    """The steps that are measured beside the scheduled ones."""
    beside = []
    for step in steps:
        woken = waking.due(step) and step % every != 0
        if woken:
            waking.spend()
            beside.append(step)
        if woken or step % every == 0:
            waking.attend(step, suspicious(step))
        if wakes(step):
            waking.wake(step)
    return beside


def test_a_reason_is_looked_at_for_ten_steps():
    assert measured(Waking(), range(200), wakes=lambda step: step == 105) == list(range(106, 116))


def test_a_new_reason_while_awake_prolongs_it():
    assert measured(Waking(), range(200), wakes=lambda step: step in (105, 110)) == list(range(106, 121))


def test_a_symptom_is_looked_at_until_it_is_told_or_gone():
    assert measured(Waking(), range(200), suspicious=lambda step: 100 <= step < 103) == [101, 102, 103]


def test_a_symptom_that_is_neither_is_left_alone_after_ten_steps():
    waking = Waking()
    assert measured(waking, range(101, 150), suspicious=lambda step: True, every=1000) == []
    assert measured(waking, range(150, 199), suspicious=lambda step: True) == list(range(151, 161))


@pytest.mark.parametrize("every", [5, 50, 1000])
def test_in_the_long_run_one_step_in_ten(every):
    generator = random.Random(0)
    noisy = lambda step: generator.random() < 0.2  # noqa: E731
    doubtful = lambda step: generator.random() < 0.7  # noqa: E731
    beside = measured(Waking(), range(20_000), wakes=noisy, suspicious=doubtful, every=every)
    assert len(beside) <= 20_000 / ONE_IN + 2 * LENGTH
    assert len(beside) > 1_000


def test_who_finds_no_credit_is_told():
    waking = Waking()
    for step in range(20):
        waking.wake(step)
        assert waking.due(step + 1)
        waking.spend()
    assert not waking.wake(40)
    assert not waking.due(41)
    assert waking.wake(130)


def test_a_step_that_was_none_is_paid_back():
    waking = Waking()
    waking.wake(100)
    waking.spend()
    waking.refund()
    assert waking == Waking(counted=100, until=110)


def test_goes_on_from_its_state():
    waking, other = Waking(), Waking()
    waking.wake(30)
    waking.spend()
    waking.attend(31, True)
    other.restore(waking.state())
    assert other == waking
    assert Waking() != waking
