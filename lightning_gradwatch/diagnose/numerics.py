"""GW702: an operation that was asked for what it has no answer to."""

from __future__ import annotations

import math

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.course import Course
from lightning_gradwatch.records import CauseKind, Fault, Kind, Ledger, Quantity
from lightning_gradwatch.records.threshold import Threshold

# Operations whose result or derivative is not finite at the ends of their domain; sums and products break only on
# numbers that are too large already.
EDGES = frozenset(
    [
        "Log",
        "Log2",
        "Log10",
        "Log1P",
        "Sqrt",
        "Rsqrt",
        "Div",
        "Reciprocal",
        "Pow",
        "Exp",
        "Exp2",
        "Expm1",
        "Norm",
        "LinalgVectorNorm",
        "Std",
        "StdMean",
        "Var",
        "VarMean",
        "Acos",
        "Asin",
        "Acosh",
        "Atanh",
        "Atan2",
        "Cosh",
        "Sinh",
        "Tan",
        "Erfinv",
        "Lgamma",
        "Digamma",
        "Logit",
        "Cdist",
        "EuclideanDist",
        "LinalgSvd",
        "LinalgEigh",
        "LinalgCholeskyEx",
        "LinalgInvEx",
        "LinalgSolveEx",
        "Softmax",
        "SafeSoftmax",
        "Prod",
        "Cumprod",
        "Mean",
        "KlDiv",
    ]
)
# Of these, what stands in many a stretch beside the one that breaks.
_USUAL = ("Mean", "Div", "Softmax", "SafeSoftmax", "Exp", "Pow")
# The value is known, or nothing else announced it.
_CERTAIN = 4.0
# The fit was exploding before: the operation was only the first to break.
_FIRST_TO_BREAK = 1.0
_ZERO = "a value of exactly 0"
_CURES = {
    "Log": "log(x + eps), or log_softmax and the like",
    "Sqrt": "sqrt(x + eps)",
    "Rsqrt": "rsqrt(x + eps)",
    "Div": "x / (y + eps)",
    "Reciprocal": "1 / (x + eps)",
    "Exp": "logsumexp, or exp of a clamped value",
    "Pow": "(x + eps) ** p",
    "Norm": "norm of x + eps",
}


class BrokenOperation(Rule):
    """An operation got a value at which it, or its derivative, is not finite."""

    code = "GW702"
    title = "An operation without an answer"
    kind = CauseKind.NUMERICS
    findings = (Kind.NONFINITE,)
    looks_for = """
        The first operation of the step whose result or derivative is inf or nan (where single operations were not
        looked at: one in the first stretch of the backward pass that is not finite), if it is one that has an edge: the
        logarithm of 0, the derivative of a square root or of a norm at 0, 0/0, an exponential above 88, a softmax over
        nothing but -inf. It weighs less where the fit was exploding before."""
    harm = """
        One nan spreads to every weight in one step, and no later step takes it back."""
    false_alarms = """
        Values behind a `torch.where` that are not used: their gradient is 0 times inf, which is nan all the same."""
    example = """
        loss = -torch.log(probability).mean()  # one probability is 0
        distance = (a - b).pow(2).sum().sqrt()  # a equals b: its derivative is 1/0"""
    remedy = """
        Keep the value off the edge: `log(x + eps)`, `sqrt(x + eps)`, `clamp(min=eps)`; better the fused function
        (`log_softmax`, `binary_cross_entropy_with_logits`, `logsumexp`), which never gets there."""
    is_remedy_safe = """
        An eps of 1e-8 changes nothing on ordinary values; put it inside the operation, not behind it."""
    sources = (
        "Goodfellow, Bengio & Courville (2016), Deep learning, section 4.1 (overflow and underflow)",
        "IEEE Standard for Floating-Point Arithmetic 754 (2019), section 7",
    )
    thresholds = (
        Threshold(
            name="weight", value=_CERTAIN, unit="decades", why="the value is known, or nothing else announced it"
        ),
        Threshold(
            name="weight of the first to break",
            value=_FIRST_TO_BREAK,
            unit="decades",
            why="the fit was exploding before",
        ),
    )

    def check(self, fault: Fault, course: Course) -> Answer:
        """Whether the first operation that broke stood at an edge of its own."""
        if fault.operation not in EDGES:
            return NO
        operand = () if fault.operand is None else (Quantity(name="value that it got", value=fault.operand),)
        return Answer(
            holds=True,
            weight=_CERTAIN if _at_edge(fault) or course.is_sudden else _FIRST_TO_BREAK,
            sentence=_sentence(fault),
            evidence=(Quantity(name=f"{fault.operation} that broke", value=1.0, unit="operations"), *operand),
        )


def suspected(ledger: Ledger) -> Fault | None:
    """The operation at an edge in the first stretch of the backward pass that makes a gradient inf or nan, if one is.

    Args:
        ledger: the ledger of the step that broke, where nobody has looked at single operations.
    """
    broke = next((s for s in ledger.segments if math.isnan(s.decades) or s.decades == math.inf), None)
    names = [item.name for item in broke.operations if item.name in EDGES] if broke else []
    if broke is None or not names:
        return None
    operation = min(names, key=lambda name: name in _USUAL)
    return Fault(layer=broke.layer, operation=operation, forward=False)


def _at_edge(fault: Fault) -> bool:
    """Whether the value is one that no finite network need ever hand it: 0, or below."""
    return fault.operand is not None and math.isfinite(fault.operand) and fault.operand <= 0


def _sentence(fault: Fault) -> str:
    what = "result" if fault.forward else "derivative"
    where = f" in {fault.layer}" if fault.layer else ""
    got = "" if fault.operand is None else f" of {_ZERO if fault.operand == 0 else f'{fault.operand:.3g}'}"
    cure = next((text for name, text in _CURES.items() if fault.operation.startswith(name)), "")
    return f"the {what} of {fault.operation}{got}{where} is not finite" + (f": use {cure}" if cure else "")
