import html
import warnings

import pytest

from lightning_gradwatch.records import Cause, CauseKind, Event, Remedy
from lightning_gradwatch.records.lines import Changes
from lightning_gradwatch.sinks.words import literal, markdown
from tests.sinks.samples import HOSTILE, event, finding


def rendered(text):
    """What TensorBoard's text tab makes of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.plugin_util import markdown_to_safe_html
    return markdown_to_safe_html(text)


@pytest.mark.parametrize(
    "name",
    [
        "net.3",
        "<b>bold</b>",
        "a*b*c _d_ `e` ~~f~~",
        "[x](http://evil.example)",
        "http://evil.example www.evil.example",
        "| a | b |",
        "&lt;script&gt;",
        "1. one",
        "# title",
        "{0} %s $x$",
        "\\*",
    ],
)
def test_a_name_reads_in_the_text_tab_as_it_is(name):
    shown = rendered(f"Note: {literal(name)}")
    assert html.unescape(shown) == f"<p>Note: {name}</p>"


def test_what_cannot_be_seen_does_not_reach_the_reader():
    assert literal("a\nb\x1b[31m\u202e\udc80\x00") == "a b &#91;31m   "


def test_a_finding_says_what_where_since_when_why_and_what_to_do():
    cause = Cause(
        kind=CauseKind.ACTIVATION, code="GW101", title="Saturating", share=0.71, sentence="The slopes are small."
    )
    remedy = Remedy(name="R", title="ReLU", advice="Use ReLU.", reason="r", cures=(CauseKind.ACTIVATION,), source="s")
    text = markdown(Changes(step=3, findings=(finding(causes=(cause,), remedies=(remedy,)),)))
    assert text.split("\n\n") == [
        "**warning: vanishing** it vanishes",
        "Where: net.0, since step 0",
        "Why (71%): Saturating (GW101). The slopes are small.",
        "Try: ReLU. Use ReLU.",
    ]


def test_many_layers_are_counted_and_resolved_ones_are_one_line():
    text = markdown(Changes(step=3, findings=(finding(layers=tuple(f"net.{i}" for i in range(500))),)))
    assert "net.7 and 492 more" in text
    assert markdown(Changes(step=3, findings=(finding(9, resolved=True),))) == (
        "**resolved at step 9: vanishing** it vanishes"
    )


def test_an_event_says_old_and_new_value():
    text = html.unescape(markdown(Changes(step=3, events=(event(),))))
    assert text == "**did decay_lr** 0.001 -> 0.0005: it went on"


def treated(action, **options):
    text = markdown(Changes(step=3, events=(Event(step=3, action=action, finding="", reason="so", **options),)))
    return html.unescape(text).split("\n\n")


def test_a_treatment_says_what_it_did_and_later_its_effect():
    made = {"treatment": "Cure(*)", "old": (2.25,), "new": (0.5,), "did": ("a_b: drawn anew.",)}
    assert treated("treat", **made) == ["**treated with Cure(*)** loss on copies 2.25 -> 0.5: so", "a_b: drawn anew."]
    later = treated("treat", **made, effect="better", effect_sentence="better after 50 steps.")
    assert later[0].endswith(": so Effect: better after 50 steps.")
    many = treated("treat", treatment="Cure()", did=tuple(map(str, range(10))))
    assert many[1:] == [*map(str, range(8)), "and 2 more changes"]


def test_no_cure_and_one_that_is_taken_back():
    assert treated("no_cure") == ["**found no cure**: so"]
    assert treated("undo_treat", treatment="Cure()") == ["**took back Cure()**: so"]


def test_nothing_hostile_survives():
    shown = rendered(
        markdown(Changes(step=3, findings=(finding(summary=HOSTILE, layers=(HOSTILE,)),), notes=(HOSTILE,)))
    )
    assert "<script" not in shown
    assert "<a " not in shown
    assert "<table" not in shown
