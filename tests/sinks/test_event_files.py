import os
import pickle

import pytest

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.sinks.event_files import HalfWritten, values
from lightning_gradwatch.sinks.reading import read_recording
from tests.sinks.samples import frame, only_file, steps


def test_only_values_under_our_prefix_in_the_order_of_writing(log):
    found = [(step, value.tag) for step, value in values(only_file(log("run", frame(0), frame(50))))]
    assert found[0] == (0, "gradwatch/start")
    assert [step for step, tag in found if tag == "gradwatch/loss"] == [0, 50]
    assert all(tag.startswith("gradwatch/") for _, tag in found)


def test_what_is_whole_comes_before_the_word_that_the_rest_is_not(log):
    file = only_file(log("run", frame(0), frame(50)))
    os.truncate(file, file.stat().st_size - 1)
    seen = []
    with pytest.raises(HalfWritten):
        seen.extend(step for step, value in values(file) if value.tag == "gradwatch/loss")
    assert seen == [0]


@pytest.mark.parametrize("lost", [1, 5, 30, 500], ids=["checksum", "checksum and content", "content", "most of it"])
def test_a_half_written_last_event_is_told(log, lost):
    file = only_file(log("run", *(frame(step) for step in range(4))))
    os.truncate(file, file.stat().st_size - lost)
    recording = read_recording(file)
    assert steps(recording) == [0, 1, 2]
    assert ["half written" in note for note in recording.notes] == [True]


def test_a_flipped_bit_is_found(log):
    file = only_file(log("run", *(frame(step) for step in range(4))))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(UnreadableRecord, match=r"damaged \(a checksum is wrong\)"):
        read_recording(file)


@pytest.mark.parametrize("content", [b"x" * 100, pickle.dumps({}) * 9, b"\xff" * 64], ids=["x", "pickle", "ff"])
def test_what_is_no_event_file_is_one_sentence(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UnreadableRecord, match="not an event file, or damaged"):
        list(values(tmp_path / "file"))
