import json

import pytest

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records.lines import Changes, Start, line, lines, parse
from tests.sinks.samples import CONFIG, HOSTILE, anatomy, bare, event, finding, frame


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(Start(), id="empty start"),
        pytest.param(Start(anatomy=anatomy(), config=CONFIG, version="0.1.0"), id="start"),
        pytest.param(frame(7), id="frame"),
        pytest.param(bare(loss=float("inf")), id="frame with nothing measured"),
        pytest.param(Changes(step=3, findings=(finding(),), events=(event(),), notes=("a note",)), id="changes"),
        pytest.param(Changes(step=3, findings=(finding(summary=HOSTILE, layers=(HOSTILE,)),)), id="hostile names"),
    ],
)
def test_a_line_is_one_line_and_parses_to_the_record(record):
    text = line(record)
    assert text.isascii()
    assert "\n" not in text
    assert parse(text) == record


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "not JSON", id="empty"),
        pytest.param('{"format":1,"kind":"fra', "not JSON", id="half a line"),
        pytest.param("[1, 2]", r"not a record of lightning-gradwatch\.$", id="a list"),
        pytest.param('{"a": 1}', "no format number", id="foreign JSON"),
        pytest.param('{"format": true, "kind": "frame"}', "no format number", id="format is a flag"),
        pytest.param('{"format": 1}', r"not a record of lightning-gradwatch \(it has no kind\)", id="no kind"),
        pytest.param('{"format": 2, "kind": "frame"}', "upgrade lightning-gradwatch", id="newer format"),
        pytest.param('{"format": 1, "kind": "frame"}', "expected an object", id="no content"),
        pytest.param('{"format":1,"kind":"changes","changes":{}}', "'step' is missing", id="field missing"),
        pytest.param('{"format":1,"kind":"changes","changes":{"step":"x"}}', "expected int", id="wrong type"),
        pytest.param("[" * 100_000, "not JSON", id="nested without end"),
        pytest.param('{"format":1,"kind":"frame","frame":' + "9" * 5000 + "}", "not JSON", id="endless number"),
    ],
)
def test_what_is_not_a_record_is_one_sentence_that_names_the_place(text, says):
    with pytest.raises(UnreadableRecord, match=says) as caught:
        parse(text, "run.jsonl, line 3")
    assert str(caught.value).startswith("run.jsonl, line 3: ")


def test_kinds_and_fields_of_later_writers_are_skipped():
    assert parse('{"format":1,"kind":"dream","dream":{}}') is None
    assert parse('{"format":1,"kind":"changes","changes":{"step":3,"mood":"fine"}}') == Changes(step=3)


def test_changes_join_in_order_with_the_later_state_and_nothing_twice():
    early = Changes(step=3, findings=(finding(), finding(id="other")), events=(event(),), notes=("a", "b"))
    late = Changes(step=4, findings=(finding(4, resolved=True),), events=(event(), event(4)), notes=("b", "c"))
    both = early | late
    assert [(f.id, f.resolved) for f in both.findings] == [("vanishing:loss", True), ("other", False)]
    assert both.events == (event(), event(4))
    assert both.notes == ("a", "b", "c")
    assert both.step == 4


def test_a_whole_recording_is_start_frames_and_changes_at_the_last_step():
    made = list(lines(anatomy(), [frame(0), frame(5)], [finding(5)], [event(3)], ["note"], config=CONFIG))
    assert [json.loads(text)["kind"] for text in made] == ["start", "frame", "frame", "changes"]
    assert parse(made[-1]) == Changes(step=5, findings=(finding(5),), events=(event(3),), notes=("note",))


def test_a_recording_without_changes_has_no_line_of_them():
    assert [parse(text) for text in lines(None, [bare()], [], [], [], config={})] == [Start(), bare()]
