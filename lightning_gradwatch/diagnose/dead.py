"""GW103 and GW303: units that let nothing through, by themselves or from the start."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.blame import BEGAN_DEAD, Blame
from lightning_gradwatch.records import CauseKind, Finding, Kind, Quantity
from lightning_gradwatch.records.threshold import Threshold

# A unit needs an activation with a slope of 0 to die: its part in every death, beside whoever killed it.
_PART = 0.25


class UnitsCanDie(Rule):
    """The activation has a slope of exactly 0 on one side, so that a unit can die of anything."""

    code = "GW103"
    title = "Units of this activation can die"
    kind = CauseKind.ACTIVATION
    findings = (Kind.DEAD_UNITS,)
    looks_for = f"""
        Dead units of a rectifier. Somebody pushed them there: weights or biases at the start (GW303), the input
        (GW311), a step (GW601). The activation bears {_PART:.0%} beside each of them, and all of it where nobody is
        known."""
    harm = """
        A ReLU whose input is negative for every sample has a gradient of exactly 0: its weights never move again, and
        the layer has one unit less."""
    false_alarms = """
        Sparse codes, of which few units answer to any one batch; a finding opens only for units that were silent on
        several batches in a row."""
    example = """
        nn.ReLU()  # behind a bias of -5, or after one step at a rate of 1"""
    remedy = """
        LeakyReLU, PReLU, ELU, GELU or SiLU in place of ReLU: their units can come back. And mend what killed them."""
    is_remedy_safe = """
        A slope of 0.01 hardly changes what the network computes: it can be changed while it runs."""
    sources = (
        "Maas, Hannun & Ng (2013), Rectifier nonlinearities improve neural network acoustic models, section 2.1",
        "Lu, Shin, Su & Karniadakis (2020), Dying ReLU and initialization: theory and numerical examples, theorem 3.1",
    )
    thresholds = (
        Threshold(name="part", value=_PART, unit="decades", why="a unit needs a slope of 0 to die, whoever killed it"),
    )

    def check(self, blame: Blame, finding: Finding) -> Answer:
        """Whether units have died; always a part of it."""
        return Answer(
            holds=True,
            weight=max(blame.activation, _PART),
            sentence="a unit whose input is negative for every sample has a slope of 0 and cannot come back",
            evidence=(Quantity(name="layers with dead units", value=float(len(finding.layers)), unit="layers"),),
        )


class BeginsDead(Rule):
    """Most units of a layer were dead on the first batch: weights or biases started them so."""

    code = "GW303"
    title = "Units start dead"
    kind = CauseKind.INITIALIZATION
    findings = (Kind.DEAD_UNITS,)
    looks_for = f"""
        Layers of which {BEGAN_DEAD:.0%} of the units or more let nothing through on the first measured step already,
        whose input is ordinary (else GW311 answers for its part); or whose weights were made small while the fit ran,
        by something other than its steps."""
    harm = """
        Units that start dead are never trained. Where a whole layer does, everything below it gets no gradient."""
    false_alarms = """
        A first step that was measured late: what died before it looks as if it had begun so."""
    example = """
        nn.init.constant_(layer.bias, -5.0)  # in front of a ReLU"""
    remedy = """
        Biases of 0 and He's weights; for a network that is deep and narrow a leaky activation too."""
    is_remedy_safe = """
        Safe before the first step. Later draw only the layers anew that are dead: they have learned nothing."""
    sources = (
        "He, Zhang, Ren & Sun (2015), Delving deep into rectifiers, section 2.2",
        "Lu, Shin, Su & Karniadakis (2020), Dying ReLU and initialization: theory and numerical examples, theorem 3.1",
    )

    def check(self, blame: Blame) -> Answer | None:
        """Whether the dead began dead, by their weights or biases."""
        if blame.began is None:
            return None
        if blame.weights <= 0:
            return NO
        scale = "" if blame.factor is None else f"; weights at {blame.factor:.2g} times Xavier's"
        text = f"{blame.began:.0%} of the units were dead on the first step already{scale}"
        if blame.began < BEGAN_DEAD and blame.grown is not None:
            text = f"weights are down to {blame.grown:.0%} of their size at the start, and no step of the fit did that"
        return Answer(
            holds=True,
            weight=blame.weights,
            sentence=text,
            evidence=(Quantity(name="dead units at the start", value=blame.began, unit="of the layer"),),
        )
