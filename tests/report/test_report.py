import dataclasses
import json
import math
import pickle

import pytest

from lightning_gradwatch.errors import MissingExtra, UnreadableRecord
from lightning_gradwatch.records import Kind, Severity
from lightning_gradwatch.records.codec import FORMAT
from lightning_gradwatch.report import Report
from tests.report.samples import DECAY, HOSTILE, chain, frame, healthy, ledger, sick, vanishing

REMARK = vanishing(["a"], id="remark", severity=Severity.INFO)
WARNING = vanishing(["a"], id="warning", severity=Severity.WARNING, first_step=1)
LATER = vanishing(["a"], id="later", severity=Severity.WARNING, first_step=5)
GONE = vanishing(["a"], id="gone", resolved=True)
CRITICAL = vanishing(["a"], id="critical", kind=Kind.NONFINITE, first_step=9)

REPORTS = {
    "empty": Report(),
    "healthy": healthy(),
    "sick": sick(events=(DECAY,), notes=("a note",)),
    "many layers": sick(1000, 2),
    "infinite": Report(frames=(frame(0, ledger(chain(3), activation=-math.inf)),)),
    "hostile": Report(name=HOSTILE, notes=(HOSTILE,), config={HOSTILE: HOSTILE}, findings=(vanishing([HOSTILE]),)),
    "named by the watch": Report(name="w", config={"name": "w"}),
    "named otherwise": Report(name="Net", config={"name": "w"}),
    "nameless": Report(config={"name": "w"}),
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_there_and_back_as_values(report):
    data = report.to_dict()
    assert data["format"] == FORMAT
    assert Report.from_dict(data) == report
    assert Report.from_dict(json.loads(json.dumps(data, allow_nan=False))) == report


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_there_and_back_as_a_file(report, tmp_path):
    report.save(tmp_path / "r.jsonl")
    assert Report.load(str(tmp_path / "r.jsonl")) == report


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_every_view_of_every_report(report):
    assert str(report)
    assert report.to_markdown().startswith("# GradWatch report")
    assert report.to_html().startswith("<!DOCTYPE html>")


def test_nan_survives():
    report = Report(frames=(frame(0, ledger(chain(3), activation=math.nan)),))
    again = Report.from_dict(report.to_dict())
    assert math.isnan(again.frames[0].ledgers[0].segments[2].decades)
    assert again.to_dict() == report.to_dict()


def test_frozen_and_picklable():
    report = sick(events=(DECAY,))
    assert pickle.loads(pickle.dumps(report)) == report
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.name = "x"


def test_alarms_worst_first():
    report = Report(findings=(REMARK, GONE, LATER, WARNING, CRITICAL), frames=(frame(0),))
    assert [finding.id for finding in report.sorted_findings] == ["critical", "warning", "later", "remark", "gone"]
    assert [finding.id for finding in report.alarms] == ["critical", "warning", "later"]
    assert report.worst is CRITICAL


HEALTHY = {
    "nothing measured": (Report(), False),
    "measured": (healthy(), True),
    "alarm": (sick(), False),
    "a remark": (healthy(findings=(REMARK,)), True),
    "resolved": (healthy(findings=(GONE,)), True),
}


@pytest.mark.parametrize(("report", "is_healthy"), HEALTHY.values(), ids=HEALTHY)
def test_healthy(report, is_healthy):
    assert report.healthy is is_healthy
    assert (report.worst is None) == (not report.alarms)


BAD = {
    "nothing": (None, "not a report"),
    "a list": ([], "not a report"),
    "foreign": ({"findings": []}, "not a report"),
    "newer": ({**Report().to_dict(), "format": FORMAT + 1}, "is newer"),
    "no format": ({**Report().to_dict(), "format": "1"}, "no format number"),
    "true is no format": ({**Report().to_dict(), "format": True}, "no format number"),
    "damaged": ({**Report().to_dict(), "findings": "x"}, "findings: expected a list"),
    "damaged inside": ({**Report().to_dict(), "events": [{"step": 1}]}, r"events\[0\]: the field 'action' is missing"),
}


@pytest.mark.parametrize(("data", "sentence"), BAD.values(), ids=BAD)
def test_damaged_or_foreign_data_is_one_sentence(data, sentence):
    with pytest.raises(UnreadableRecord, match=sentence):
        Report.from_dict(data)


def test_load_says_which_file(tmp_path):
    with pytest.raises(UnreadableRecord, match=r"none\.jsonl"):
        Report.load(tmp_path / "none.jsonl")


def test_plot_without_matplotlib_is_one_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"A picture of gradient flow needs matplotlib: .*\[plot\]"):
        sick().plot()


def test_plot_makes_a_figure_or_draws_into_axes(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    from matplotlib import pyplot

    fig, ax = sick().plot()
    try:
        assert ax.figure is fig
        assert ax.lines
        other, (_, right) = pyplot.subplots(1, 2)
        assert healthy().plot(ax=right) == (other, right)
        assert right.lines
    finally:
        pyplot.close("all")
