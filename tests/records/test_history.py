import pytest

from lightning_gradwatch.records import OperationReading
from lightning_gradwatch.records.history import History
from tests.reference.records import frame, reading


@pytest.mark.parametrize(
    ("losses", "progress"),
    [
        ([1.0] * 5, None),
        ([2.0, 2, 2, 1, 1, 1], 0.5),
        ([1.0, 1, 1, 2, 2, 2], -1.0),
        ([-1.0, -1, -1, -2, -2, -2], 1.0),
        ([0.0] * 6, None),
        ([1.0, 1, 1e9, 1, 1, 1, 1, 1, 1], 0.0),
    ],
    ids=["too few", "falls", "rises", "negative", "zero", "one odd batch"],
)
def test_progress(losses, progress):
    assert History.of_losses(*losses).progress == progress


def test_stays_small_and_spans_the_whole_fit():
    history = History()
    for step in range(10_000):
        history.add(frame(step, loss=float(step)))
    assert len(history.moments) <= 65
    assert history.losses[0] == 0.0
    assert history.losses[-1] == 9_999.0


def test_losses_that_are_no_numbers_are_left_out():
    history = History()
    for loss in (None, float("nan"), float("inf"), 1.0):
        history.add(frame(0, loss=loss))
    assert history.losses == [1.0]


def test_remembers_who_was_fed():
    history = History()
    history.add(frame(0, parameters=(reading("a"), reading("b", 0.0), reading("c", None))))
    assert history.fed == {"a"}


def test_layers_that_go_flat_at_once_are_remembered():
    history = History()
    for step, slope in enumerate([0.8, 0.3, 0.05, 0.8, 0.02]):
        one = OperationReading(layer="a", operation="Tanh", family="activation", slope=slope)
        history.add(frame(step, operations=(one,)))
    assert history.flattened == {"a": 4}  # from 0.3 to 0.05 it went by degrees
    assert History.restored(history.state()).flattened == {"a": 4}


def test_who_misses_its_gradient_for_how_long():
    history = History()
    for step, norm in enumerate([1.0, None, None]):
        history.add(frame(step, parameters=(reading("a", norm), reading("b", None))))
    assert history.unfed == {"a": 2}
    assert History.restored(history.state()).unfed == {"a": 2}
    history.add(frame(3, parameters=(reading("a"),)))
    assert history.unfed == {}


@pytest.mark.parametrize(
    ("losses", "flat", "flat_now", "stands"),
    [
        ([2.0] * 20, True, True, False),
        ([2.0] * 45, True, True, True),
        ([2.0 - 0.04 * i for i in range(45)], False, False, False),
        ([2.0 - 0.04 * min(i, 20) for i in range(45)], False, True, False),
        ([2.0] * 5, False, False, False),
    ],
    ids=["too early to stand", "stands", "falls", "fell, and rests", "too few"],
)
def test_a_loss_that_stands(losses, flat, flat_now, stands):
    history = History.of_losses(*losses)
    assert (history.flat, history.flat_now, history.stands) == (flat, flat_now, stands)
