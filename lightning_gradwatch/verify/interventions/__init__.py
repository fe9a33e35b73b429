"""Interventions: each replaces one suspected factor of a copy, and nothing else.

A new one is a function from a ``Scene`` to a ``Change`` (None: it cannot be made here), and a line in the table.
"""

from __future__ import annotations

from lightning_gradwatch.records import Cause, Finding, Kind
from lightning_gradwatch.verify.interventions import normalisations, rescaled_weights
from lightning_gradwatch.verify.interventions.base import Change, Intervention, Scene
from lightning_gradwatch.verify.interventions.centred_units import centred_units
from lightning_gradwatch.verify.interventions.double_precision import double_precision
from lightning_gradwatch.verify.interventions.scaled_sums import scaled_sums
from lightning_gradwatch.verify.interventions.standard_input import standard_input
from lightning_gradwatch.verify.interventions.steady_recurrence import steady_recurrence
from lightning_gradwatch.verify.interventions.straight_lines import straight_lines
from lightning_gradwatch.verify.interventions.ways_around import ways_around

__all__ = ["Change", "Intervention", "Scene", "intervention"]

_BY_CODE: dict[str, Intervention] = {
    "GW101": straight_lines,
    "GW102": straight_lines,
    "GW201": ways_around,
    "GW202": ways_around,
    "GW203": scaled_sums,
    "GW301": rescaled_weights.to_initialisation,
    "GW302": rescaled_weights.to_initialisation,
    "GW303": centred_units,
    "GW304": rescaled_weights.drawn,
    "GW311": standard_input,
    "GW401": normalisations.added,
    "GW402": normalisations.off_the_trunk,
    "GW403": normalisations.by_sample,
    "GW501": steady_recurrence,
    "GW502": steady_recurrence,
    "GW503": steady_recurrence,
    "GW601": rescaled_weights.to_beginning,
    "GW604": rescaled_weights.to_beginning,
    "GW701": double_precision,
}
# A straight line has no flat end and no unit that can die: that it cures these is known without trying.
_BY_CONSTRUCTION = (Kind.SATURATION, Kind.DEAD_UNITS)


def intervention(cause: Cause, finding: Finding) -> Intervention | None:
    """What takes this cause away and nothing else; None: nothing that one batch could show."""
    found = _BY_CODE.get(cause.code)
    return None if found is straight_lines and finding.kind in _BY_CONSTRUCTION else found
