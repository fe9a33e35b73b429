import pytest

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.measure.schedule import Schedule


@pytest.mark.parametrize(
    ("every", "last", "expected"),
    [
        (1, 30, list(range(30))),
        (4, 21, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 20]),
        (50, 151, [*range(10), 11, 16, 23, 32, 45, 50, 100, 150]),
        (1000, 500, [*range(10), 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362]),
    ],
)
def test_steps(every, last, expected):
    assert [step for step in range(last) if Schedule(every).due(step)] == expected


def test_share_of_measured_steps_falls_to_one_in_every():
    due = sum(Schedule(50).due(step) for step in range(100_000))
    assert due / 100_000 == pytest.approx(1 / 50, rel=0.01)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "50", None])
def test_wrong_distance(wrong):
    with pytest.raises(WrongArgument, match=r"`every_n_steps` must be a whole number of at least 1, got"):
        Schedule(wrong)


def test_wrong_dense():
    with pytest.raises(WrongArgument, match="`dense` must be a whole number of at least 0, got -1"):
        Schedule(10, dense=-1)
