"""GW211 and GW212: parameters that the gradient does not reach, or that nobody steps."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Frame, Kind, Quantity
from lightning_gradwatch.records.threshold import Threshold

_WEIGHT = 1.0


class CutOff(Rule):
    """No path of the autograd graph leads from the loss to these parameters."""

    code = "GW211"
    title = "Cut off from the loss"
    kind = CauseKind.DISCONNECTED
    findings = (Kind.DISCONNECTED,)
    looks_for = """
        Parameters that require a gradient and have got none, or only exact zeros, on several measured steps, and
        never before. All layers in front of the deepest one that is reached: the graph was cut there (`detach`,
        `no_grad`, `.data`, a round trip through NumPy). Single ones: nothing uses them, or what uses them is
        multiplied by zero."""
    harm = """
        These layers keep their first, random weights for ever, and nothing says so."""
    false_alarms = """
        Frozen parameters do not require a gradient and are not counted. Heads of another task, experts that nobody
        chose, momentum encoders: freeze them (`requires_grad_(False)`), and it is said no more."""
    example = """
        hidden = encoder(x).detach()  # nothing behind this line is trained
        loss = criterion(head(hidden), y)"""
    remedy = """
        Take the cut out, or use the layers. If it is meant so, say it: `requires_grad_(False)`."""
    is_remedy_safe = """
        The layers begin to learn from where they are: warm their rate up if the others are trained already."""
    sources = (
        "Paszke et al. (2019), PyTorch: an imperative style, high-performance deep learning library, section 4",
        "PyTorch documentation (2024), Autograd mechanics, section Locally disabling gradient computation",
    )
    thresholds = (Threshold(name="weight", value=_WEIGHT, unit="decades", why="there are none to be charged"),)

    def check(self, finding: Finding, frame: Frame, anatomy: Anatomy) -> Answer | None:
        """Always, of parameters without a gradient; they are named by what they have in common."""
        if finding.id not in ("disconnected", "zero"):
            return None
        silent = [r for r in frame.parameters if (r.norm == 0 if finding.id == "zero" else r.norm is None)]
        if not silent:
            return NO
        return Answer(
            holds=True,
            weight=_WEIGHT,
            sentence=_sentence(finding, frame, anatomy),
            evidence=(
                Quantity(name="parameters without a gradient", value=float(len(silent)), unit="tensors"),
                Quantity(name="elements without a gradient", value=float(sum(r.size for r in silent))),
            ),
        )


class NotInOptimizer(Rule):
    """The gradient arrives, but no optimizer has the parameter."""

    code = "GW212"
    title = "In no optimizer"
    kind = CauseKind.DISCONNECTED
    findings = (Kind.DISCONNECTED, Kind.STALLED)
    looks_for = """
        Parameters that got a gradient on the measured step and belong to no optimizer of the fit."""
    harm = """
        The gradient is computed, paid for, and thrown away: the layer keeps its first weights."""
    false_alarms = """
        A part that is trained by hand, or by an optimizer that is made later (the next stage of a curriculum)."""
    example = """
        optimizer = torch.optim.Adam(model.head.parameters())  # and the backbone?
        model.new_head = nn.Linear(64, 3)  # made after the optimizer"""
    remedy = """
        Give the optimizer `model.parameters()`, or `optimizer.add_param_group(...)` for layers that came later; freeze
        what is not to be trained, which saves its backward pass."""
    is_remedy_safe = """
        Adding a group changes nothing for the parameters that are there already."""
    sources = (
        "PyTorch documentation (2024), torch.optim, section Constructing it",
        "Howard & Ruder (2018), Universal language model fine-tuning for text classification, section 3.3",
    )
    thresholds = (Threshold(name="weight", value=_WEIGHT, unit="decades", why="there are none to be charged"),)

    def check(self, finding: Finding, frame: Frame) -> Answer | None:
        """Whether parameters with a gradient are in no optimizer."""
        if not frame.unowned:
            return None if finding.id != "unowned" else NO
        names = [*frame.unowned]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        owned = len(frame.parameters)
        return Answer(
            holds=True,
            weight=_WEIGHT,
            sentence=f"{names[0]}{more} get a gradient, and no optimizer has them",
            evidence=(
                Quantity(name="parameters in no optimizer", value=float(len(names)), unit="tensors"),
                Quantity(name="parameters in an optimizer", value=float(owned), unit="tensors"),
            ),
        )


def _sentence(finding: Finding, frame: Frame, anatomy: Anatomy) -> str:
    if finding.id == "zero":
        return f"something on the way to {finding.layers[0]} multiplies by exactly zero, on every measured step"
    target = next((ledger.target_layer for ledger in frame.ledgers), None)
    before = _in_front_of(target, anatomy)
    if before and {*before} <= {*finding.layers}:
        return f"the graph ends at {target}: what it is given was detached, or computed without gradients"
    frozen = sum(not layer.trainable for layer in anatomy.layers)
    beside = f" ({frozen} layers beside them are frozen on purpose)" if frozen else ""
    where = _few(finding.layers)
    return f"no path leads from the loss to {where}: unused, detached, or computed without gradients{beside}"


def _in_front_of(target: str | None, anatomy: Anatomy) -> list[str]:
    """The trainable layers that stand in front of one, in the order of registration."""
    names = [layer.name for layer in anatomy.layers if layer.trainable]
    return names[: names.index(target)] if target in names else []


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
