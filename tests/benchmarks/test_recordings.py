"""Frames to small files and back."""

import gzip

import pytest
import recordings
from replay import judged

from lightning_gradwatch.records import Anatomy, Finding, Frame, Kind, Layer, ParameterReading, Severity
from lightning_gradwatch.records.lines import lines

ANATOMY = Anatomy(layers=(Layer(name="net", type="Linear", family="linear", parameters=6, trainable=True),))


def frame(step, **reading):
    parameter = ParameterReading(
        **{
            "name": "net.weight",
            "size": 6,
            "optimizer": 0,
            "norm": 1 / 3,
            "rms": 0.1,
            "max": 0.2,
            "zeros": 0.0,
            **reading,
        }
    )
    return Frame(step=step, global_step=step, epoch=0, batch=step, loss=2 / 3, parameters=(parameter,))


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "_CACHE", tmp_path / "cache")
    finding = Finding(
        id="one", kind=Kind.STALLED, severity=Severity.INFO, summary="", layers=(), first_step=0, last_step=0
    )
    frames = [frame(0), frame(1), frame(2, nonfinite=1, norm=float("nan"))]
    text = "\n".join(lines(ANATOMY, frames, [finding], [], [], config={}))
    (tmp_path / "whole.jsonl").write_text(text)
    recordings.keep(tmp_path / "whole.jsonl", tmp_path / "small" / "one.jsonl.gz")
    return tmp_path / "small" / "one.jsonl.gz"


def test_frames_and_anatomy_come_back_with_six_digits_and_no_verdict(file):
    assert b"finding" not in gzip.decompress(file.read_bytes())
    anatomy, frames = recordings.load(file)
    assert anatomy == ANATOMY
    assert [one.step for one in frames] == [0, 1, 2]
    assert (frames[0].loss, frames[0].parameters[0].norm) == (0.666667, 0.333333)


def test_what_was_decoded_once_is_the_same_the_second_time(file):
    first, second = recordings.load(file), recordings.load(file)
    assert repr(first) == repr(second)  # nan is not nan
    assert len([*(file.parent.parent / "cache").iterdir()]) == 2  # it, and what git is told


def test_replay_judges_as_the_watch_does_now(file):
    found, rang = judged(file)
    assert [(finding.kind, finding.layers) for finding in found] == [("nonfinite", ("net",))]
    assert rang == {"nonfinite": (2, "critical")}
