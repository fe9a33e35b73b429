import pytest

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
