import pytest

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records.lines import Start
from lightning_gradwatch.sinks import event_values
from lightning_gradwatch.sinks.event_reading import EventReader
from lightning_gradwatch.sinks.reading import read_recording
from tests.sinks.samples import CONFIG, frame, only_file


def test_records_come_in_the_order_of_writing_and_are_completed_from_the_curves(log):
    reader = EventReader()
    start, *frames = reader.records(only_file(log("run", frame(0, loss=1.5), frame(50, loss=None))))
    assert isinstance(start, Start)
    assert start.config == CONFIG
    assert [made.loss for made in frames] == [None, None]
    assert [reader.completed(made).loss for made in frames] == [1.5, None]
    assert [reader.completed(made).rate_scale for made in frames] == [0.5, 0.5]
    assert reader.found


@pytest.fixture
def tampered(tmp_path, summary_writer):
    """Writes an event file with one value under our prefix that is none of ours."""

    def write(tag, metadata, **content):
        writer = summary_writer(str(tmp_path / "run"))
        value = event_values._tensor(tag, content.pop("shape"), metadata, **content)
        event_values.add(writer, [value], 3)
        writer.close()
        return tmp_path / "run"

    return write


@pytest.mark.parametrize(
    ("tag", "metadata", "content", "says"),
    [
        ("stats/0", b"{}", {"shape": (1 << 40, 1 << 20), "dtype": "DT_HALF"}, "not a float16 matrix"),
        ("stats/0", b"{}", {"shape": (-1, -2), "dtype": "DT_HALF", "tensor_content": b"1234"}, "not a float16 matrix"),
        ("stats/0", b"{}", {"shape": (1, 1), "dtype": "DT_FLOAT", "tensor_content": b"1234"}, "not a float16 matrix"),
        ("stats/0", b"{}", {"shape": (1, 2), "dtype": "DT_HALF", "tensor_content": b"1234"}, "no format number"),
        ("findings", b'{"version":1}', {"shape": (1,), "dtype": "DT_STRING", "string_val": []}, "not one text"),
        ("findings", b'{"version":1}', {"shape": (1,), "dtype": "DT_STRING", "string_val": [b"\xff"]}, "not text"),
        ("findings", b'{"version":1}', {"shape": (1,), "dtype": "DT_STRING", "string_val": [b"[]"]}, "an object"),
        ("findings", b'{"version":9}', {"shape": (1,), "dtype": "DT_STRING", "string_val": [b"{}"]}, "newer"),
        ("findings", b"\xff", {"shape": (1,), "dtype": "DT_STRING", "string_val": [b"{}"]}, "not JSON"),
        ("start", b"{}", {"shape": (1,), "dtype": "DT_STRING", "string_val": [b"{}"]}, "no format number"),
    ],
    ids=["endless", "negative", "float32", "no table", "no text", "bytes", "list", "newer", "metadata", "start"],
)
def test_hostile_events_are_one_sentence(tampered, tag, metadata, content, says):
    folder = tampered(f"gradwatch/{tag}", metadata, **content)
    with pytest.raises(UnreadableRecord, match=says) as caught:
        read_recording(folder)
    assert f"'gradwatch/{tag}' at step 3" in str(caught.value)
