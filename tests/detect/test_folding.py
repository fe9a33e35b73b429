from dataclasses import replace

from lightning_gradwatch.detect.folding import ROOTS, folded, merged
from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Kind, Severity


def symptom(kind, present=True, severity=Severity.WARNING, name="", lingers=None):
    lingers = present if lingers is None else lingers
    return Symptom(id=name or str(kind), kind=kind, present=present, lingers=lingers, severity=severity)


DEAD = symptom(Kind.DEAD_UNITS, severity=Severity.CRITICAL)
VANISHING, STALLED = map(symptom, (Kind.VANISHING, Kind.STALLED))


def test_what_follows_is_folded_into_its_root():
    kept, consequences = folded([VANISHING, STALLED, DEAD], {})
    assert kept == [DEAD]
    assert consequences == {"dead_units": [VANISHING, STALLED]}


def test_absent_symptoms_stay_and_root_nothing():
    absent = symptom(Kind.DEAD_UNITS, present=False)
    assert folded([VANISHING, absent], {}) == ([VANISHING, absent], {})


def test_an_open_finding_roots_as_long_as_it_lingers():
    fading = symptom(Kind.DEAD_UNITS, present=False, lingers=True, severity=Severity.CRITICAL)
    assert folded([VANISHING, fading], {"dead_units": True})[0] == [fading]
    assert folded([VANISHING, fading], {"dead_units": False})[0] == [VANISHING, fading]


def test_an_information_does_not_hide_an_alarm():
    mild = symptom(Kind.EXPLODING, severity=Severity.INFO)
    flat = symptom(Kind.SATURATION)
    assert folded([flat, mild], {})[0] == [flat, mild]
    flatter = symptom(Kind.SATURATION, severity=Severity.INFO)
    assert folded([flatter, mild], {})[0] == [mild]


def test_a_dead_layer_starves_what_is_behind_it_and_half_dead_ones_have_faded_inputs():
    assert folded([VANISHING, DEAD], {})[0] == [DEAD]
    half = symptom(Kind.DEAD_UNITS)
    assert folded([VANISHING, half], {})[0] == [VANISHING]


def test_of_one_id_the_gravest_that_is_present():
    worse = symptom(Kind.VANISHING, severity=Severity.CRITICAL)
    absent = symptom(Kind.VANISHING, present=False, severity=Severity.CRITICAL)
    assert merged([VANISHING, worse, absent]) == [worse]


def test_no_two_symptoms_fold_into_each_other():
    assert set(ROOTS) == set(Kind)
    for severity in Severity:
        every = [symptom(kind, severity=severity) for kind in Kind]
        kept, consequences = folded(every, {})
        assert [one.kind for one in kept] == [Kind.NONFINITE]
        assert sum(map(len, consequences.values())) == len(every) - 1


def test_what_a_user_silenced_hides_only_what_shows_in_the_same_layers():
    root, inside, beyond = (
        replace(one, layers=layers)
        for one, layers in (
            (DEAD, ("experts.0", "experts.1")),
            (VANISHING, ("experts.1",)),
            (VANISHING, ("experts.1", "head")),
        )
    )
    assert folded([inside, root], {}, {"dead_units"})[0] == [root]
    assert folded([beyond, root], {}, {"dead_units"})[0] == [beyond, root]
    assert folded([beyond, root], {})[0] == [root]


def test_one_that_stands_for_itself_neither_hides_nor_is_hidden():
    for pair in ((replace(VANISHING, alone=True), DEAD), (VANISHING, replace(DEAD, alone=True))):
        assert folded(pair, {})[0] == [*pair]
