import re

import pytest

from lightning_gradwatch.records import Severity
from lightning_gradwatch.report import Report
from lightning_gradwatch.report.markdown import escape, finding_markdown, markdown
from lightning_gradwatch.report.verdict import NOTHING
from tests.report.samples import DECAY, HOSTILE, chain, frame, ledger, sick, vanishing

commonmark = pytest.importorskip("markdown", reason="python-markdown comes with tensorboard, which renders with it")


def shown(text):
    """The words that a reader sees, as the Markdown that TensorBoard uses renders them."""
    html = commonmark.markdown(text, extensions=["tables", "fenced_code"])
    assert not re.findall(r"<(?!/?(?:p|h1|h2|strong|ul|ol|li|table|thead|tbody|tr|th|td)\b)[^>]*>", html), html
    return html


TRAPS = {
    "emphasis": "*a* _b_ __c__",
    "code": "`x` ``y``",
    "table": "a|b|c",
    "html": "<script>alert(1)</script><b>&amp;</b>",
    "link": "[a](http://b) ![c](d) <http://e>",
    "heading": "# a",
    "strike and maths": "~~a~~ $b$",
    "backslash": "a\\b \\*c\\*",
    "braces": "{0} %s {{x}}",
    "hostile": HOSTILE,
}


@pytest.mark.parametrize("name", TRAPS.values(), ids=TRAPS)
def test_escaped_names_are_read_as_they_are(name):
    import html

    from lightning_gradwatch.report.words import plain

    rendered = shown(f"name {escape(name)}")
    assert html.unescape(rendered.removeprefix("<p>name ").removesuffix("</p>")) == plain(name)


def test_empty_report():
    assert markdown(Report()) == f"# GradWatch report\n\n**{NOTHING}**\n\nno step measured.\n"


def test_everything_is_told():
    report = sick(events=(DECAY,), notes=("the graph is compiled",))
    text = markdown(report)
    for part in (
        "# GradWatch report of Net",
        "## VANISHING gradient (critical), since step 0",
        "**71 % activation \\[GW101\\]**",
        "1. **ReLU with He initialisation**",
        "does not repair a dead gradient path",
        "## Gradient flow by layer",
        "- the graph is compiled",
        "- stalled: weights change by 1.0e-09",
        "- every\\_n\\_steps: 50",
    ):
        assert part in text
    assert "<td" in shown(text)


def test_table_has_as_many_cells_in_every_row():
    rows = [line for line in markdown(sick(24)).split("\n") if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert 20 < len(rows) <= 2 + 24


@pytest.mark.parametrize("note", ["1. a", "2) b", "- c", "+ d", "# e", "> f", "* g", "| h", "    i"])
def test_a_note_is_one_item_of_one_list(note):
    html = shown(markdown(Report(notes=(note, "next"), frames=(frame(0),))))
    assert html.count("<li>") == 2
    assert "<h1>" not in html.replace("<h1>GradWatch report</h1>", "")


def test_hostile_fit_brings_no_markup():
    names = [HOSTILE, "b", "c"]
    report = Report(
        name=HOSTILE,
        frames=(frame(0, ledger(names)),),
        findings=(vanishing(names, summary=HOSTILE),),
        notes=(HOSTILE,),
        config={HOSTILE: HOSTILE},
    )
    html = shown(markdown(report))
    assert "line two" in html
    assert "<td" in html


def test_finding_alone():
    text = finding_markdown(vanishing(chain(17)), [DECAY])
    assert text.startswith("## VANISHING gradient")
    assert "learning rate 0.001" in text
    assert "decades lost: 17.1 decades" in text


def test_the_reason_for_silencing_is_repeated():
    report = Report(findings=(vanishing(chain(3), severity=Severity.INFO, ignored="a gate_ | <b>"),))
    assert f"Ignored: {escape('a gate_ | <b>')}" in report.to_markdown().splitlines()
    assert Report.from_dict(report.to_dict()).findings[0].ignored == "a gate_ | <b>"
