import zlib

import pytest

from lightning_gradwatch.callbacks import keeping
from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records.codec import FORMAT


def test_there_and_back():
    state = {"notes": ["a", "b"], "rate_scale": 0.1}
    assert keeping.unpack(keeping.pack(state)) == state


def test_a_state_of_the_days_before_compression_is_read():
    assert keeping.unpack({"format": 1, "gradwatch": '{"notes":[]}'}) == {"notes": []}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "its format is None"),
        ({"format": FORMAT + 1, "gradwatch": "{}"}, f"its format is {FORMAT + 1}"),
        ({"format": True, "gradwatch": "{}"}, "its format is True"),
        ({"format": FORMAT}, "holds no record"),
        ({"format": FORMAT, "gradwatch": b"no"}, "it is damaged"),
        ({"format": FORMAT, "gradwatch": zlib.compress(b'{"notes":[]}')[:-3]}, "it is cut off, or too long"),
        ({"format": FORMAT, "gradwatch": zlib.compress(b"\xff")}, "not JSON"),
        ({"format": FORMAT, "gradwatch": "[]"}, "no record of a watch"),
    ],
    ids=["empty", "newer", "no number", "nothing in it", "no stream", "cut off", "no text", "foreign"],
)
def test_what_cannot_be_read_is_told(state, words):
    with pytest.raises(UnreadableRecord, match=words):
        keeping.unpack(state)


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(keeping, "_LONGEST", 1000)
    with pytest.raises(UnreadableRecord, match="too long"):
        keeping.unpack({"format": FORMAT, "gradwatch": zlib.compress(b" " * 1001)})


@pytest.mark.parametrize(
    ("states", "taken", "left"),
    [
        ({"GradWatch{'name': 'old'}": 1, "Other": 2}, ["own"], {"own": 1, "Other": 2}),
        ({"GradWatch{'name': 'old'}": 1}, ["own", "GradWatch{'name': 'old'}"], {"GradWatch{'name': 'old'}": 1}),
        ({"own": 1, "GradWatch{'name': 'old'}": 2}, ["own"], {"own": 1, "GradWatch{'name': 'old'}": 2}),
        ({"GradWatch{'a'}": 1, "GradWatch{'b'}": 2}, ["own"], {"GradWatch{'a'}": 1, "GradWatch{'b'}": 2}),
        ({"Other": 2}, ["own"], {"Other": 2}),
    ],
    ids=["renamed", "another watch's", "has its own", "which one?", "none"],
)
def test_adopt(states, taken, left):
    keeping.adopt(states, "own", taken)
    assert states == left
