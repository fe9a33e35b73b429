import json

import numpy as np
import pytest

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records.lines import Changes, parse
from lightning_gradwatch.sinks.json_lines import JsonLinesSink
from lightning_gradwatch.sinks.reading import read_recording
from tests.sinks.samples import CONFIG, HOSTILE, anatomy, bare, event, finding, frame


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "down" / "run.jsonl"


def recorded(path, *frames):
    sink = JsonLinesSink(path, anatomy(), CONFIG)
    for made in frames:
        sink.write(made, [])
    sink.close()
    return path


def test_every_record_is_on_disk_before_the_next_one(path):
    sink = JsonLinesSink(path, anatomy(), CONFIG)
    counts = [len(path.read_text().splitlines())]
    sink.write(frame(0), [finding()])
    counts.append(len(path.read_text().splitlines()))
    sink.announce(0, [finding(summary=HOSTILE)], [event()], ["note"])
    counts.append(len(path.read_text().splitlines()))
    sink.picture(0, np.zeros((2, 2, 3), np.uint8))
    sink.close()
    sink.close()
    assert counts == [1, 2, 3]
    lines = path.read_text().splitlines()
    assert parse(lines[1]) == frame(0)
    changes = Changes(step=0, findings=(finding(summary=HOSTILE),), events=(event(),), notes=("note",))
    assert parse(lines[2]) == changes


def test_a_recording_of_ours_is_gone_on_with(path):
    recorded(path, frame(0), frame(1))
    recorded(path, frame(2))
    assert [made.step for made in read_recording(path).frames] == [0, 1, 2]


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        pytest.param('{"format":1,"kind":"frame","fra', [0, 5], id="half a line"),
        pytest.param('{"format":1,"kind":"fr\xff', [0, 5], id="half a line with rubbish"),
        pytest.param('{"format":1,"kind":"frame","frame":%s}', [0, 1, 5], id="a line without its end"),
    ],
)
def test_what_a_killed_fit_left_is_mended(path, tail, kept):
    recorded(path, frame(0))
    whole = json.loads(path.read_text().splitlines()[1])["frame"] | {"step": 1}
    with path.open("ab") as file:
        file.write((tail.replace("%s", json.dumps(whole))).encode("latin-1"))
    recorded(path, frame(5))
    assert [made.step for made in read_recording(path).frames] == kept


def test_a_fit_killed_in_its_first_line_can_be_started_again(path):
    recorded(path)
    path.write_bytes(path.read_bytes()[:40])
    recorded(path, bare(3))
    assert [made.step for made in read_recording(path).frames] == [3]


@pytest.mark.parametrize("content", [b"my thesis", b"my thesis\n", b"\x80\x04pickle", b'{"a": 1}\n', b"\n"])
def test_what_is_not_ours_is_refused_and_not_touched(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(WrongArgument, match="`path` must be a new file or a recording of lightning-gradwatch"):
        JsonLinesSink(path)
    assert path.read_bytes() == content


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(WrongArgument, match="`path` must be a file"):
        JsonLinesSink(tmp_path)


def test_an_empty_file_is_a_new_file(tmp_path):
    (tmp_path / "run.jsonl").touch()
    assert read_recording(recorded(tmp_path / "run.jsonl", bare())).frames == (bare(),)
