"""GW611 and GW612: a loss of the wrong size, or behind an output that saturates."""

from __future__ import annotations

import math

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.course import Course
from lightning_gradwatch.diagnose.gains import Gains
from lightning_gradwatch.diagnose.stall import Stall
from lightning_gradwatch.records import CauseKind, Fault, Finding, Kind, Ledger, OperationReading, Quantity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# log10 of what a loss hands to an output; ordinary ones (averaged cross entropy, squared errors of standardised
# targets) hand out about 1.
TINY = -2.0
# A loss that begins above this: a cross entropy begins at the logarithm of the number of classes, a squared error of
# standardised targets at about 1.
HUGE_LOSS = 1e3
# An output with so little of its largest slope left answers wrongly and surely.
FLAT = 0.1
_FUSED = ("BinaryCrossEntropyWithLogits", "LogSoftmax", "CrossEntropy", "NllLoss")
_OUTPUTS = ("Sigmoid", "Softmax", "Tanh")
_LOGARITHMS = ("Log", "Log2", "Log10")
_WRONG_LOSS = 1.5


class LossScale(Rule):
    """The loss itself is far too small or too large."""

    code = "GW611"
    title = "The loss is out of scale"
    kind = CauseKind.LOSS
    findings = (Kind.STALLED, Kind.EXPLODING, Kind.NONFINITE)
    looks_for = f"""
        Of a fit that stalls: a gradient at the head's output below {10**TINY:g} an element, the averaging over the
        batch undone. Of one that explodes or breaks over time: a loss that began above {HUGE_LOSS:g}. Under an adaptive
        optimizer a tiny loss counts only as far as it drives gradients to eps."""
    harm = """
        Plain descent steps in proportion to the loss: a factor of 1e-6 on it is a factor of 1e-6 on the rate. A sum
        over all elements, or targets in the thousands, are a rate that is a thousand times too high."""
    false_alarms = """
        A loss that is small since there is little left to learn: then the gradient has fallen since the start, and no
        finding opens."""
    example = """
        loss = 1e-6 * nn.functional.mse_loss(out, y)
        loss = nn.functional.mse_loss(out, y, reduction="sum")  # or y in the thousands"""
    remedy = """
        Average the loss over what it sums; standardise the targets; take the factor out, or give each term of several a
        weight near 1; adjust the rate to what remains."""
    is_remedy_safe = """
        It changes the length of every step of plain descent by its factor; Adam does not notice."""
    sources = (
        "LeCun, Bottou, Orr & Müller (1998), Efficient backprop, sections 4.3 and 4.5",
        "Chen, Badrinarayanan, Lee & Rabinovich (2018), GradNorm: gradient normalization for adaptive loss balancing",
    )
    thresholds = (
        Threshold(
            name="tiny", value=10**TINY, unit="gradient of an output element", why="ordinary losses hand out about 1"
        ),
        Threshold(
            name="huge",
            value=HUGE_LOSS,
            unit="loss",
            why="a cross entropy begins at the logarithm of its classes, a squared error at about 1",
        ),
    )

    def check(
        self,
        finding: Finding,
        history: History,
        course: Course,
        stall: Stall | None = None,
        gains: Gains | None = None,
    ) -> Answer | None:
        """Whether the loss hands out too little or too much."""
        if gains is not None:
            return NO  # outputs that a network blew up make any loss large
        if finding.kind is Kind.STALLED:
            return None if stall is None or stall.head is None else _tiny(stall, stall.head)
        if finding.kind is Kind.EXPLODING and ":" in finding.id:
            return None
        first = next((m.loss for m in history.moments if math.isfinite(m.loss)), None)
        if first is None:
            return None
        return _huge(first) if first >= HUGE_LOSS and course.steps else NO


def _tiny(stall: Stall, head: float) -> Answer:
    weight = 2 * (stall.eps or 0.0) if stall.adaptive else -head - 1
    if head > TINY or weight <= 0:
        return NO
    return Answer(
        holds=True,
        weight=weight,
        sentence=f"the loss hands 10^{head:.1f} to an element of the output, where about 1 is ordinary",
        evidence=(Quantity(name="gradient that the loss hands out, an element", value=10**head),),
    )


def _huge(first: float) -> Answer:
    return Answer(
        holds=True,
        weight=(math.log10(first) - 2)
        / 1.5,  # an ordinary rate for it is lower by as much; a high one is its own fault
        sentence=f"the loss began at {first:.3g}: it sums what should be averaged, or its targets are not scaled",
        evidence=(Quantity(name="loss on the first measured step", value=first),),
    )


class WrongLoss(Rule):
    """An output that saturates, with a loss that does not undo it."""

    code = "GW612"
    title = "A saturating output without its loss"
    kind = CauseKind.LOSS
    findings = (Kind.STALLED, Kind.SATURATION, Kind.NONFINITE)
    looks_for = f"""
        A sigmoid, softmax or tanh between the head and the loss: with less than {FLAT:.0%} of its largest slope left
        and no loss that is fused with it; in front of a loss that applies its own once more; or under the logarithm
        that became infinite."""
    harm = """
        Where the network is surely wrong, the slope of its output is nearly 0, and so is the gradient: the worse the
        answer, the less is learned. A cross entropy that is computed from logits undoes that slope exactly."""
    false_alarms = """
        Outputs that must be bounded and are trained by squared errors (images, control) and far from their ends."""
    example = """
        loss = nn.functional.mse_loss(torch.sigmoid(out), target)
        loss = nn.functional.cross_entropy(out.softmax(1), target)  # softmax twice"""
    remedy = """
        `binary_cross_entropy_with_logits(out, target)` or `cross_entropy(out, target)` on the bare output, without the
        sigmoid or softmax; apply it only where probabilities are needed."""
    is_remedy_safe = """
        Safe at any time: the network's function stays, only its loss changes."""
    sources = (
        "Bishop (1995), Neural networks for pattern recognition, section 6.9 (canonical links)",
        "Goodfellow, Bengio & Courville (2016), Deep learning, sections 6.2.2.2 and 6.2.2.3",
    )
    thresholds = (
        Threshold(
            name="flat", value=FLAT, unit="of the largest slope", why="such an output answers wrongly and surely"
        ),
        Threshold(name="weight", value=_WRONG_LOSS, unit="decades", why="beside what the flat output takes"),
    )

    def check(
        self,
        finding: Finding,
        ledger: Ledger,
        operations: tuple[OperationReading, ...] | None = None,
        fault: Fault | None = None,
    ) -> Answer | None:
        """Whether the output's slope stands between loss and network."""
        names = [item.name for segment in ledger.segments[: ledger.head] for item in segment.operations]
        outputs = [name for name in names if name in _OUTPUTS]
        fused = [name for name in names if name.startswith(_FUSED)]
        flat = [one for one in operations or () if one.family == "output" and one.slope is not None]
        if finding.kind is Kind.NONFINITE:
            logged = fault is not None and fault.operation in _LOGARITHMS and bool(outputs)
            return _answer(f"the logarithm of a {outputs[0].lower()} is taken by hand", None) if logged else NO
        if finding.kind is Kind.SATURATION and not any(one.layer in finding.layers for one in flat):
            return NO
        if outputs and any(name.startswith(("LogSoftmax", "BinaryCrossEntropyWithLogits")) for name in fused):
            return _answer(f"a {outputs[0].lower()} stands in front of a loss that applies its own", None)
        if not flat:
            return None
        worst = min(flat, key=lambda one: one.slope or 0.0)
        if fused or (worst.slope or 0.0) >= FLAT:
            return NO
        return _answer(
            f"the {worst.operation.lower()} at the output has {worst.slope:.0%} of its largest slope left, "
            "and the loss does not undo it",
            worst.slope,
        )


def _answer(text: str, slope: float | None) -> Answer:
    known = (
        () if slope is None else (Quantity(name="slope of the output", value=slope, unit="of the largest possible"),)
    )
    return Answer(
        holds=True,
        weight=_WRONG_LOSS - (0 if slope is None else math.log10(max(slope, 1e-6))),
        sentence=text,
        evidence=(*known, Quantity(name="outputs in front of the loss", value=1.0, unit="operations")),
    )
