import math
from dataclasses import replace

import pytest

from lightning_gradwatch.diagnose import rules
from lightning_gradwatch.diagnose.ignoring import Ignoring
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Cause, CauseKind, Kind, Severity
from tests.reference.records import FINDING as KNOWN

BARE = replace(KNOWN, causes=(), remedies=())


def cause(code, share):
    return Cause(kind=CauseKind.DEPTH, code=code, title=code, share=share, sentence="so it is")


TWO = (cause("GW101", 0.6), cause("GW301", 0.4))
THREE = (cause("GW101", 0.5), cause("GW301", 0.3), cause("GW201", 0.2))


def codes(finding):
    return [(one.code, round(one.share, 3)) for one in finding.causes]


def test_nothing_is_silenced_unasked():
    assert Ignoring().explained(BARE, TWO) == replace(BARE, causes=TWO)
    assert not Ignoring().wanted
    assert Ignoring().excused(KNOWN) is KNOWN


def test_another_cause_is_left_out_and_the_shares_of_the_rest_add_up_to_one():
    found = Ignoring({"GW301": "as it came"}).explained(BARE, THREE)
    assert codes(found) == [("GW101", 0.714), ("GW201", 0.286)]
    assert math.fsum(one.share for one in found.causes) == pytest.approx(1)
    assert (found.severity, found.ignored) == (Severity.CRITICAL, None)


def test_the_first_cause_silences_the_finding():
    found = Ignoring({"GW101": " a gate "}).explained(BARE, TWO)
    assert (found.severity, found.ignored, found.is_alarm) == (Severity.INFO, "a gate", False)
    assert codes(found) == [("GW301", 1.0)]


def test_so_does_the_only_one():
    found = Ignoring({"gw101": "a gate"}).explained(BARE, TWO[:1])
    assert (found.causes, found.ignored) == ((), "a gate")


def test_so_does_the_kind_which_leaves_the_causes():
    found = Ignoring({"Vanishing": "by design"}).explained(BARE, TWO)
    assert (found.causes, found.ignored) == (TWO, "by design")


def test_a_finding_without_causes_is_not_silenced_by_a_rule():
    assert Ignoring({"GW101": "a gate"}).explained(BARE, ()) == BARE


PATTERNS = {"net.*": True, "net.[01]": True, "*": True, "net.0": False, "NET.*": False, "head": False}


@pytest.mark.parametrize("what", ["GW101", "vanishing"])
@pytest.mark.parametrize(("pattern", "all_match"), PATTERNS.items())
def test_a_pattern_has_to_match_all_layers(what, pattern, all_match):
    found = Ignoring({f"{what}:{pattern}": "by design"}).explained(BARE, TWO)
    assert (found.ignored == "by design") == all_match
    assert (len(found.causes) == 2) == (not all_match or what == "vanishing")


def test_a_pattern_does_not_match_a_finding_that_names_no_layer():
    everywhere = replace(BARE, layers=())
    assert Ignoring({"vanishing:*": "why"}).explained(everywhere, ()).ignored is None
    assert Ignoring({"vanishing": "why"}).explained(everywhere, ()).ignored == "why"


def test_the_names_of_detectors_where_they_are_known():
    found = replace(BARE, id="sagemaker:WeightUpdateRatio.small", kind=Kind.STALLED)
    asked = Ignoring({"weightupdateratio": "tiny on purpose"}, names=["WeightUpdateRatio"])
    assert asked.explained(found, ()).ignored == "tiny on purpose"
    assert asked.explained(replace(found, id="stalled"), ()).ignored is None


def test_what_is_left_out_is_told_with_its_reason():
    told = Ignoring({"GW301": "as it came"})
    assert [(one.code, reason) for one, reason in told.silenced(BARE, THREE)] == [("GW301", "as it came")]


# --- further steps ----------------------------------------------------------------------------------------------------


def test_it_stays_silenced_however_bad_it_gets():
    asked = Ignoring({"GW101:net.*": "a gate"})
    now = replace(asked.explained(BARE, TWO), severity=Severity.CRITICAL)
    assert asked.excused(now).severity == Severity.INFO


def test_it_is_an_alarm_again_where_it_shows_in_other_layers():
    asked = Ignoring({"GW101:net.*": "a gate"})
    now = replace(asked.explained(BARE, TWO), severity=Severity.CRITICAL, layers=("net.0", "head"))
    assert (asked.excused(now).severity, asked.excused(now).ignored) == (Severity.CRITICAL, None)


def test_a_resumed_fit_goes_by_what_is_asked_for_now():
    before = Ignoring({"GW101": "a gate"}).explained(BARE, TWO)
    now = replace(before, severity=Severity.CRITICAL)
    assert Ignoring().excused(now).is_alarm
    assert Ignoring({"GW101": "a gate, truly"}).excused(replace(BARE, causes=TWO)).ignored == "a gate, truly"


# --- wrong ones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["GW999", "GW999:net.*", "activation", "", ":net.*", 3])
def test_what_does_not_exist_raises_with_the_list(key):
    with pytest.raises(WrongArgument) as it:
        Ignoring({key: "why"})
    assert str(it.value).startswith("`ignore` must be codes of rules or kinds of finding, each with its reason, got ")
    assert all(repr(word) in str(it.value) for word in (rules()[0].code, "dead_units"))


@pytest.mark.parametrize("reason", ["", "  ", None, True])
def test_an_empty_reason_raises(reason):
    with pytest.raises(WrongArgument, match="`ignore` must be given with the reason, which the report repeats"):
        Ignoring({"GW101": reason})


def test_an_empty_pattern_raises():
    with pytest.raises(WrongArgument, match="`ignore` must be without a colon, or with a pattern of layers behind it"):
        Ignoring({"GW101:": "why"})


@pytest.mark.parametrize("ignore", [["GW101"], "GW101"])
def test_what_is_no_dictionary_raises(ignore):
    with pytest.raises(WrongArgument, match="`ignore` must be codes of rules"):
        Ignoring(ignore)
