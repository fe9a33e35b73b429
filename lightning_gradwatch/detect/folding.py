"""One finding for each sickness: what follows from another symptom is folded into it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from lightning_gradwatch.detect.symptom import Symptom
from lightning_gradwatch.records import Kind, Severity

# kind -> the kinds that it follows from, where both show on one step.
ROOTS: dict[Kind, tuple[Kind, ...]] = {
    Kind.NONFINITE: (),
    Kind.DISCONNECTED: (Kind.NONFINITE,),
    Kind.EXPLODING: (Kind.NONFINITE,),
    Kind.DEAD_UNITS: (Kind.NONFINITE, Kind.VANISHING),
    Kind.VANISHING: (Kind.NONFINITE, Kind.DEAD_UNITS),
    Kind.SATURATION: (Kind.NONFINITE, Kind.DEAD_UNITS, Kind.EXPLODING, Kind.VANISHING),
    Kind.STALLED: (*Kind,),
}


def merged(symptoms: Iterable[Symptom]) -> list[Symptom]:
    """Of several symptoms of one id, as two detectors may see the same sickness, the gravest that is present."""
    found: dict[str, Symptom] = {}
    for symptom in symptoms:
        other = found.get(symptom.id)
        if other is None or _weight(symptom) > _weight(other):
            found[symptom.id] = symptom
    return list(found.values())


def folded(
    symptoms: Sequence[Symptom], is_open: Mapping[str, bool], excused: Collection[str] = ()
) -> tuple[list[Symptom], dict[str, list[Symptom]]]:
    """(symptoms that stand for themselves, or are absent; root's id -> those that follow from it).

    Args:
        symptoms: all of one frame.
        is_open: symptom's id -> whether its finding is open, and stays open while it lingers.
        excused: ids of symptoms whose finding a user has silenced: what shows elsewhere too is not silenced by it.
    """
    ill = [s for s in symptoms if (s.lingers if is_open.get(s.id) else s.present)]
    root_of = {s.id: next((r for r in ill if _is_root(r, s) and _may_hide(r, s, excused)), None) for s in ill}
    consequences: dict[str, list[Symptom]] = {}
    for symptom in ill:
        root = root_of[symptom.id]
        while root is not None and (above := root_of[root.id]) is not None:
            root = above
        if root is not None:
            consequences.setdefault(root.id, []).append(symptom)
    return [s for s in symptoms if root_of.get(s.id) is None], consequences


def _may_hide(root: Symptom, other: Symptom, excused: Collection[str]) -> bool:
    return root.id not in excused or set(other.layers) <= set(root.layers)


def _is_root(root: Symptom, other: Symptom) -> bool:
    if root is other or root.alone or other.alone or root.kind is other.kind or root.kind not in ROOTS[other.kind]:
        return False
    pair = {root.kind: root, other.kind: other}
    if set(pair) == {Kind.DEAD_UNITS, Kind.VANISHING}:
        # A layer that is all but dead starves what lies behind it.  One half of whose units stand still is what becomes
        # of rectifiers whose inputs have faded to their biases: then both come from what makes them fade.
        return (pair[Kind.DEAD_UNITS].severity is Severity.CRITICAL) == (root.kind is Kind.DEAD_UNITS)
    return root.severity > Severity.INFO or root.severity >= other.severity


def _weight(symptom: Symptom) -> tuple[bool, bool, int]:
    return symptom.present, symptom.lingers, symptom.severity.rank
