from lightning_gradwatch.detect.folding import ROOTS, folded, merged
from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Kind, Severity


def symptom(kind, present=True, severity=Severity.WARNING, name="", lingers=None):
    lingers = present if lingers is None else lingers
    return Symptom(id=name or str(kind), kind=kind, present=present, lingers=lingers, severity=severity)


DEAD, VANISHING, STALLED = map(symptom, (Kind.DEAD_UNITS, Kind.VANISHING, Kind.STALLED))


def test_what_follows_is_folded_into_its_root():
    kept, consequences = folded([VANISHING, STALLED, DEAD], {})
    assert kept == [DEAD]
    assert consequences == {"dead_units": [VANISHING, STALLED]}


def test_absent_symptoms_stay_and_root_nothing():
    absent = symptom(Kind.DEAD_UNITS, present=False)
    assert folded([VANISHING, absent], {}) == ([VANISHING, absent], {})


def test_an_open_finding_roots_as_long_as_it_lingers():
    fading = symptom(Kind.DEAD_UNITS, present=False, lingers=True)
    assert folded([VANISHING, fading], {"dead_units": True})[0] == [fading]
    assert folded([VANISHING, fading], {"dead_units": False})[0] == [VANISHING, fading]


def test_an_information_does_not_hide_an_alarm():
    mild = symptom(Kind.DEAD_UNITS, severity=Severity.INFO)
    assert folded([VANISHING, mild], {})[0] == [VANISHING, mild]
    milder = symptom(Kind.VANISHING, severity=Severity.INFO)
    assert folded([milder, mild], {})[0] == [mild]


def test_of_one_id_the_gravest_that_is_present():
    worse = symptom(Kind.VANISHING, severity=Severity.CRITICAL)
    absent = symptom(Kind.VANISHING, present=False, severity=Severity.CRITICAL)
    assert merged([VANISHING, worse, absent]) == [worse]


def test_no_kind_is_its_own_root_nor_in_a_circle():
    assert set(ROOTS) == set(Kind)
    for kind in Kind:
        above, reached = list(ROOTS[kind]), set()
        while above:
            one = above.pop()
            if one not in reached and one is not kind:
                reached.add(one)
                above.extend(root for root in ROOTS[one] if root is not one)
        assert all(kind not in ROOTS[one] or one is kind for one in reached)
