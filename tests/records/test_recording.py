import pytest

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records.codec import FORMAT
from lightning_gradwatch.records.lines import Changes, Start, line
from lightning_gradwatch.records.recording import read_lines as read
from tests.report.samples import DECAY, frame, vanishing


def write(path, *records, end="\n"):
    path.write_text("\n".join(r if isinstance(r, str) else line(r) for r in records) + end)
    return path


def test_in_order(tmp_path):
    book = read(
        write(
            tmp_path / "a",
            Start(config={"every_n_steps": 5}, name="mine"),
            frame(0),
            Changes(step=0, findings=(vanishing(["a"]),)),
            frame(1),
            Changes(step=1, findings=(vanishing(["a"], resolved=True),), events=(DECAY,), notes=("n",)),
        )
    )
    assert (book.config, book.name) == ({"every_n_steps": 5}, "mine")
    assert [f.step for f in book.frames] == [0, 1]
    assert [f.resolved for f in book.findings] == [True]
    assert (book.events, book.notes) == ((DECAY,), ("n",))


def test_a_resumed_fit_goes_over_steps_again(tmp_path):
    steps = (0, 10, 20, 30, 20, 40)
    book = read(write(tmp_path / "a", Start(), *map(frame, steps)))
    assert [f.step for f in book.frames] == [0, 10, 20, 40]


def test_half_a_last_line_costs_that_line_only(tmp_path):
    book = read(write(tmp_path / "a", Start(), frame(0), line(frame(1))[:-20], end=""))
    assert [f.step for f in book.frames] == [0]
    assert book.notes == ("The last line of 'a' is half written: the fit was cut off there.",)


def test_whole_last_line_without_line_break(tmp_path):
    book = read(write(tmp_path / "a", Start(), frame(0), end=""))
    assert (len(book.frames), book.notes) == (1, ())


def test_kinds_of_later_versions_are_passed_over(tmp_path):
    assert len(read(write(tmp_path / "a", Start(), f'{{"format":{FORMAT},"kind":"new"}}', frame(0))).frames) == 1


BAD = {
    "empty": (b"", "is empty: it holds no recording of lightning-gradwatch"),
    "a picture": (b"\x89PNG\r\n\x1a\n\xff\xfe", "not text"),
    "prose": (b"hello\n", "line 1: not JSON"),
    "half a first line": (b'{"format":1,', "line 1: not JSON"),
    "a list": (b"[1]\n", "line 1: not a record"),
    "newer": (b'{"format":99,"kind":"start","start":{}}\n', "format 99 is newer"),
    "foreign": (b'{"epoch":1,"loss":2.0}\n', "no format number"),
    "a hole": (line(Start()).encode() + b"\n\n" + line(frame(0)).encode() + b"\n", "line 2: not JSON"),
    "a wrong type": (line(frame(0)).replace('"epoch":0', '"epoch":"x"').encode() + b"\n", "expected int"),
    "deep": (b"[" * 100_000 + b"\n", "line 1: not JSON"),
}


@pytest.mark.parametrize(("data", "sentence"), BAD.values(), ids=BAD)
def test_damaged_or_foreign_files_are_one_sentence(tmp_path, data, sentence):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(data)
    with pytest.raises(UnreadableRecord, match=sentence) as caught:
        read(path)
    assert "bad.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["missing", "."], ids=["missing", "a folder"])
def test_unreadable_paths_are_one_sentence(tmp_path, where):
    with pytest.raises(UnreadableRecord, match="cannot be read"):
        read(tmp_path / where)
