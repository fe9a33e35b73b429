"""What a fit was healed with is told for the network's own source, and never as markup."""

from dataclasses import replace

from lightning_gradwatch.records import Event
from lightning_gradwatch.report.report import Report

TREAT = Event(
    step=3,
    action="treat",
    finding="vanishing:loss",
    reason="proved",
    treatment="ReplaceActivation('relu')",
    patch="--- net.py\n+++ net.py\n-\tnn.Sigmoid()\n+\tnn.ReLU()  # <b>```",
)
UNDO = Event(step=60, action="undo_treat", finding="vanishing:loss", reason="harm")


def test_the_patch_is_that_of_what_stands():
    assert Report(events=(TREAT,)).patch == TREAT.patch
    assert Report(events=(TREAT, UNDO)).patch == ""
    assert Report(events=(TREAT, replace(TREAT, patch=None))).patch == TREAT.patch


def test_every_form_of_the_report_has_it_line_by_line():
    report = Report(events=(TREAT,))
    assert "    +    nn.ReLU()  # <b>```" not in str(report)
    assert "  +   nn.ReLU()  # <b>```" in str(report)
    assert "\n+   nn.ReLU()  # <b>```\n````" in report.to_markdown()
    assert "````diff" in report.to_markdown()
    assert "+   nn.ReLU()  # &lt;b&gt;```</pre>" in report.to_html()


def test_without_one_nothing_is_said_of_it():
    report = Report(events=(UNDO,))
    for text in (str(report), report.to_markdown(), report.to_html()):
        assert "own source" not in text


def test_it_survives_a_file():
    report = Report(events=(TREAT,))
    assert Report.from_dict(report.to_dict()) == report
