import dataclasses
import json
import os
import pickle

import pytest

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records.lines import Changes, Start, line, lines
from lightning_gradwatch.records.recording import gather
from lightning_gradwatch.sinks.json_lines import JsonLinesSink
from lightning_gradwatch.sinks.reading import read_recording, read_runs
from lightning_gradwatch.sinks.scalars import scalars
from tests.sinks.samples import CONFIG, HOSTILE, anatomy, bare, event, finding, frame, only_file, steps

TOLD = Changes(step=2, findings=(finding(2),), events=(event(2),), notes=("a note",))


def test_json_lines_come_back_whole(tmp_path):
    sink = JsonLinesSink(tmp_path / "run.jsonl", anatomy(), CONFIG)
    frames = tuple(frame(step) for step in (0, 1, 2))
    for made in frames:
        sink.write(made, [])
    sink.announce(0, [finding(0, id="other")], [], ["early"])
    sink.announce(1, [finding(1)], [], [])
    sink.announce(2, [finding(2, resolved=True)], [event(2)], ["late", "early"])
    sink.close()
    recording = read_recording(tmp_path / "run.jsonl")
    assert recording.frames == frames
    assert recording.anatomy == anatomy()
    assert recording.config == CONFIG
    assert recording.findings == (finding(0, id="other"), finding(2, resolved=True))
    assert recording.events == (event(2),)
    assert recording.notes == ("early", "late")


def test_what_a_report_saves_is_read(tmp_path):
    text = "\n".join(lines(anatomy(), [frame(0)], [finding()], [event()], ["note"], config=CONFIG))
    (tmp_path / "report.jsonl").write_text(text)  # without the last line break
    recording = read_recording(tmp_path / "report.jsonl")
    assert (recording.frames, recording.findings, recording.notes) == ((frame(0),), (finding(),), ("note",))


@pytest.mark.parametrize("whole_directory", [True, False], ids=["directory", "event file"])
def test_event_files_come_back(log, whole_directory):
    frames = [frame(step, decades=-0.5 * step) for step in (0, 1, 2)]
    folder = log("run", *frames, told=TOLD)
    recording = read_recording(folder if whole_directory else only_file(folder))
    assert steps(recording) == [0, 1, 2]
    assert (recording.findings, recording.events, recording.notes) == (TOLD.findings, TOLD.events, TOLD.notes)
    assert (recording.anatomy, recording.config) == (anatomy(), CONFIG)
    known = [
        key for key in scalars(frames[0], ()) if not key.endswith("gradient_norm")
    ]  # of all parameters, biases too
    for before, after in zip(frames, recording.frames, strict=True):
        was, now = scalars(before, ()), scalars(after, ())
        assert [now[key] for key in known] == pytest.approx([was[key] for key in known], rel=0.02)


def test_a_loss_that_was_not_known_stays_unknown(log):
    assert read_recording(log("run", frame(0, loss=None))).frames[0].loss is None


def test_runs_are_found_by_their_names_sorted(log, tmp_path):
    log("b/version_0", frame(0))
    log("a", frame(1), frame(2))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "notes.txt").write_text("nothing of ours")
    runs = read_runs(tmp_path)
    assert {name: steps(recording) for name, recording in runs.items()} == {"a": [1, 2], "b/version_0": [0]}
    assert list(runs) == ["a", "b/version_0"]
    with pytest.raises(UnreadableRecord, match=r"holds 2 runs, name one of them: 'a', 'b/version_0'\.$"):
        read_recording(tmp_path)


def test_a_log_without_the_watch_holds_no_recording(tmp_path, summary_writer):
    writer = summary_writer(str(tmp_path / "run"))
    writer.add_scalar("gradwatch/loss", 1.0, 0)  # somebody's own curve is not a recording
    writer.close()
    with pytest.raises(UnreadableRecord, match="holds no recording of lightning-gradwatch"):
        read_recording(tmp_path)


def test_a_resume_into_the_same_directory_goes_on_where_the_checkpoint_was(log):
    early = Changes(step=4, findings=(finding(4, id="abandoned"),), notes=("abandoned",))
    log("run", *(frame(step, loss=1.0) for step in range(5)), told=early, suffix=".1")
    folder = log("run", *(frame(step, loss=2.0) for step in (2, 3)), told=Changes(step=3, notes=("kept",)), suffix=".2")
    recording = read_recording(folder)
    assert steps(recording) == [0, 1, 2, 3]
    assert [made.loss for made in recording.frames] == [1.0, 1.0, 2.0, 2.0]
    assert recording.findings == ()
    assert recording.notes == ("kept",)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        pytest.param([0, 1, 2, 3], [0, 1, 2, 3], id="no resume"),
        pytest.param([0, 1, 2, 3, 2, 3, 4], [0, 1, 2, 3, 4], id="resume"),
        pytest.param([0, 1, 1], [0, 1], id="a step twice"),
        pytest.param([5, 6, 0], [0], id="from the beginning"),
        pytest.param([0, 9, 4, 8, 6], [0, 4, 6], id="resumed twice"),
    ],
)
def test_resumes_are_taken_out(written, kept):
    recording = gather([frame(step, loss=float(i)) for i, step in enumerate(written)])
    assert steps(recording) == kept
    assert recording.frames[-1].loss == len(written) - 1


def test_a_resume_drops_what_was_found_after_it_but_not_before():
    def told(step, name):
        return Changes(step=step, findings=(finding(step, id=name),), events=(event(step),), notes=(name,))

    recording = gather([frame(1), told(1, "a"), frame(5), told(5, "b"), frame(3), told(3, "c"), Start(config={"x": 1})])
    assert [f.id for f in recording.findings] == ["a", "c"]
    assert [e.step for e in recording.events] == [1, 3]
    assert recording.notes == ("a", "c")
    assert recording.config == {"x": 1}


def test_a_note_ahead_of_a_late_frame_is_no_resume():
    recording = gather([frame(0), Changes(step=2, notes=("ahead",)), frame(1), Changes(step=1, notes=("behind",))])
    assert recording.notes == ("ahead", "behind")


def test_a_half_written_last_line_is_told(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text(line(Start()) + "\n" + line(frame(0)) + "\n" + line(frame(1))[:-30])
    recording = read_recording(path)
    assert steps(recording) == [0]
    assert recording.notes == ("The last line of 'run.jsonl' is half written: the fit was cut off there.",)


class Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\n\n", "not JSON", id="blank lines"),
        pytest.param(pickle.dumps(Bomb()), "line 1: not", id="a pickle"),
        pytest.param(b"\x00" * 1000, "line 1: not JSON", id="zeros"),
        pytest.param(b"step,loss\n0,1\n", "line 1: not JSON", id="a table"),
        pytest.param(b'{"a":1}\n', "line 1: not a record", id="foreign JSON"),
        pytest.param(b'{"format":99,"kind":"frame"}\n', "newer", id="a newer format"),
        pytest.param(line(Start()).encode() + b"\n{}\n" + line(bare()).encode(), "line 2: not a record", id="middle"),
        pytest.param(line(Start()).encode() + b"\n{\n" + line(bare()).encode(), "line 2: not JSON", id="torn middle"),
        pytest.param(b'{"format":1,"kind":"frame","frame":' + b"[" * 100_000, "not JSON", id="deep"),
        pytest.param(line(Start()).encode()[:20], "line 1: not JSON", id="nothing but half a line"),
    ],
)
def test_damaged_foreign_and_hostile_lines_are_one_sentence(tmp_path, content, says):
    (tmp_path / "run.jsonl").write_bytes(content)
    with pytest.raises(UnreadableRecord, match=says) as caught:
        read_recording(tmp_path / "run.jsonl")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"x" * 100, pickle.dumps(Bomb()) * 3, b"\xff" * 64], ids=["x", "pickle", "ff"])
def test_a_foreign_event_file_is_one_sentence(tmp_path, content):
    (tmp_path / "events.out.tfevents.1").write_bytes(content)
    with pytest.raises(UnreadableRecord, match="not an event file, or damaged"):
        read_recording(tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_a_missing_path_is_one_sentence(tmp_path):
    with pytest.raises(UnreadableRecord, match="there is no such file or directory"):
        read_recording(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may read everything")
def test_a_forbidden_file_is_one_sentence(tmp_path):
    (tmp_path / "run.jsonl").touch(mode=0o000)
    with pytest.raises(UnreadableRecord, match="Permission denied"):
        read_recording(tmp_path / "run.jsonl")


def test_hostile_names_come_back_as_they_were(log, tmp_path):
    told = Changes(step=0, findings=(finding(summary=HOSTILE, layers=(HOSTILE,)),), notes=(HOSTILE,))
    recording = read_recording(log("run", frame(0), told=told))
    assert recording.findings == told.findings
    assert recording.notes == (HOSTILE,)


def test_a_recording_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        gather([]).frames = ()


def test_reading_loads_no_torch(log, run_python):
    folder = log("run", frame(0), told=TOLD)
    code = """
import sys
from lightning_gradwatch.sinks.reading import read_recording
print(len(read_recording(sys.argv[1]).frames), [name for name in ("torch", "lightning") if name in sys.modules])
"""
    assert run_python(code, str(folder)).strip() == "1 []"


def test_other_peoples_values_under_our_prefix_do_no_harm(log, summary_writer, tmp_path):
    folder = log("run", frame(0))
    writer = summary_writer(str(folder), filename_suffix=".mine")
    writer.add_text("gradwatch/mine", json.dumps({"format": 99}), 0)
    writer.add_scalar("gradwatch/findings_rate", 1.0, 0)
    writer.close()
    assert steps(read_recording(folder)) == [0]
