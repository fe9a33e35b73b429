import pytest

from lightning_gradwatch.detect.memory import Memory
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
    assert Memory(losses).progress == progress


def test_stays_small_and_spans_the_whole_fit():
    memory = Memory()
    for step in range(10_000):
        memory.add(frame(step, loss=float(step)))
    assert len(memory.losses) <= 65
    assert memory.losses[0] == 0.0
    assert memory.losses[-1] == 9_999.0


def test_losses_that_are_no_numbers_are_left_out():
    memory = Memory()
    for loss in (None, float("nan"), float("inf"), 1.0):
        memory.add(frame(0, loss=loss))
    assert memory.losses == [1.0]


def test_remembers_who_was_fed():
    memory = Memory()
    memory.add(frame(0, parameters=(reading("a"), reading("b", 0.0), reading("c", None))))
    assert memory.fed == {"a"}
