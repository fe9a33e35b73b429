import dataclasses
import math

import pytest

from lightning_gradwatch.records import Kind, Quantity, Severity
from lightning_gradwatch.report import Report
from lightning_gradwatch.report.text import closing_line, console, finding_block, resolved_line
from lightning_gradwatch.report.verdict import NOTHING
from tests.report.samples import CAUSES, DECAY, HOSTILE, REMEDIES, chain, healthy, sick, vanishing

LONG = "a sentence that goes on and on with 12.3 decades of numbers " * 12
CROWD = {
    "plain": vanishing(chain(17)),
    "a thousand layers": vanishing(chain(1000), total=1000),
    "one layer": vanishing(["net.0"], total=1),
    "hostile names": vanishing([HOSTILE, "x" * 500], summary=HOSTILE * 3),
    "long-winded": vanishing(
        chain(17),
        summary=LONG,
        causes=tuple(dataclasses.replace(cause, sentence=LONG) for cause in CAUSES * 3),
        remedies=tuple(dataclasses.replace(remedy, advice=LONG, reason=LONG) for remedy in REMEDIES),
    ),
    "nothing known": vanishing(chain(17), causes=(), remedies=(), evidence=()),
    "no layers": dataclasses.replace(vanishing(["x"]), layers=()),
    "numbers that are none": vanishing(
        chain(3),
        evidence=(Quantity(name="layers on the way", value=math.nan),),
        causes=(dataclasses.replace(CAUSES[0], share=math.nan),),
    ),
    **{kind.value: vanishing(chain(5), kind=kind, id=kind.value) for kind in Kind},
}
BLOCKS = [pytest.param(finding, id=name) for name, finding in CROWD.items()]


@pytest.mark.parametrize("finding", BLOCKS)
@pytest.mark.parametrize("events", [(), (DECAY,) * 5], ids=["untreated", "treated"])
def test_block_is_short_and_narrow(finding, events):
    lines = finding_block(finding, events).split("\n")
    assert len(lines) <= 14
    assert max(map(len, lines)) <= 100
    assert all(line.isprintable() and line == line.rstrip() for line in lines)


@pytest.mark.parametrize("finding", BLOCKS)
def test_full_block_is_narrow_and_tells_everything(finding):
    told = finding_block(finding, full=True)
    assert max(map(len, told.split("\n"))) <= 100
    assert all(cause.code in told for cause in finding.causes)
    assert f"{len(finding.remedies)}. " in told or not finding.remedies


def test_what_follows_from_it_is_told_in_full_and_left_out_of_the_short_block():
    assert "  then    stalled: weights change by 1.0e-09" in finding_block(CROWD["plain"], full=True)
    assert "stalled" not in finding_block(CROWD["plain"])


def test_block_says_what_where_since_when_why_and_what_to_try():
    block = finding_block(CROWD["plain"])
    lines = block.split("\n")
    assert lines[0] == "GradWatch  VANISHING gradient (critical) since step 0"
    assert [line[2:8].strip() for line in lines[1:] if line[2:8].strip()] == ["what", "where", "why", "try", "more"]
    told = " ".join(block.split())
    for words in (
        "net.0 gets 10^-17.1 of the gradient",
        "... (17 of 20 layers)",
        "71 % activation [GW101] 19 Sigmoid lose 12.3 decades",
        "29 % initialization [GW301]",
        "1. Replace the 19 Sigmoid by ReLU",
        "ReLU alone would leave the 4.8 of the weights",
        "3. Wrap every two layers",
        "gradwatch explain GW101",
    ):
        assert words in told
    assert "4. " not in told


@pytest.mark.parametrize("severity", Severity)
def test_severity_is_seen_without_colour(severity):
    assert f"({severity.value})" in finding_block(vanishing(["a"], severity=severity)).split("\n")[0]


def test_a_third_cause_is_not_hidden():
    third = dataclasses.replace(CAUSES[0], code="GW201", share=0.05)
    assert "5 %  activation [GW201]" in finding_block(vanishing(chain(17), causes=(*CAUSES, third)))


def test_reasons_are_told_where_there_is_room_for_them():
    brief = vanishing(chain(3), causes=CAUSES[:1])
    assert all(remedy.reason in " ".join(finding_block(brief).split()) for remedy in REMEDIES[:3])


def test_what_was_done_is_told_with_what_it_cannot_do():
    told = " ".join(finding_block(CROWD["plain"], (DECAY,)).split())
    assert "done step 12: learning rate 0.001 -> 0.0005" in told
    assert "does not repair a dead gradient path" in told
    other = dataclasses.replace(DECAY, finding="nonfinite")
    assert "done" not in finding_block(CROWD["plain"], (other,))


def test_proof_of_a_trial_is_in_the_full_block():
    proven = vanishing(["a"], causes=(dataclasses.replace(CAUSES[0], proof="with ReLU it lost 0.3 decades"),))
    assert "Proof: with ReLU it lost 0.3 decades" in " ".join(finding_block(proven, full=True).split())


GONE = vanishing(chain(17), resolved=True, resolved_step=120, last_step=100)


def test_resolved_line_says_what_and_when():
    line = resolved_line(GONE)
    assert line.startswith("GradWatch  resolved at step 120: VANISHING gradient (critical), it stood from step 0")
    assert line.endswith("(17 of 20 layers)")


@pytest.mark.parametrize("finding", BLOCKS)
def test_resolved_line_is_one_line(finding):
    assert resolved_line(finding).isprintable()
    assert len(resolved_line(finding)) <= 180


CLOSINGS = {
    "nothing": (Report(), f"GradWatch  {NOTHING}"),
    "healthy": (
        healthy(2, 3),
        "GradWatch  3 steps measured (steps 0 to 2). Healthy: nothing is wrong now. "
        "All of the head's gradient reaches net.0 (step 2).",
    ),
    "sick": (
        sick(20, 1),
        "GradWatch  1 step measured (step 0). VANISHING gradient (critical) since step 0. "
        "7.9e-18 of the head's gradient reaches net.0 (step 0). Everything: print(watch.report)",
    ),
}


@pytest.mark.parametrize(("report", "line"), CLOSINGS.values(), ids=CLOSINGS)
def test_closing_line(report, line):
    assert closing_line(report) == line


def test_closing_line_is_one_line_for_hostile_names():
    report = Report(findings=tuple(vanishing([HOSTILE * 9], id=str(i)) for i in range(50)), name=HOSTILE * 9)
    assert closing_line(report).isprintable()


def test_console_of_an_empty_report_is_one_plain_sentence():
    assert console(Report()) == f"GradWatch report: no step measured\n{NOTHING}"


def test_console_gives_the_verdict_first_then_everything():
    text = console(sick(events=(DECAY,), notes=("the graph is compiled",), findings=(GONE, *sick().findings)))
    order = [
        "GradWatch report of Net: 3 steps measured (steps 0 to 2)",
        "VANISHING gradient (critical) since step 0. 7.1e-17 of the head's gradient",
        "finding came and went.",
        "VANISHING gradient (critical) since step 0\n  what",
        "VANISHING gradient (critical), resolved: began at step 0, gone since step 120",
        "Share of the gradient",
        "! net.0",
        "What was done\n  - step 12",
        "Notes\n  - the graph is compiled",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


@pytest.mark.parametrize("finding", BLOCKS)
def test_console_is_narrow(finding):
    text = console(sick(name=HOSTILE * 4, findings=(finding,), events=(DECAY,), notes=(LONG, HOSTILE)))
    assert max(map(len, text.split("\n"))) <= 100
    assert text.replace("\n", "").isprintable()


def test_the_reason_for_silencing_is_repeated():
    hushed = vanishing(chain(3), severity=Severity.INFO, ignored="the output gate is meant to saturate")
    for full in (True, False):
        assert "  ignored the output gate is meant to saturate" in finding_block(hushed, full=full).splitlines()
    assert "ignored" not in finding_block(vanishing(chain(3)), full=True)
