"""GW401, GW402 and GW403: normalisation that is missing, in the wrong place, or of too few numbers."""

from __future__ import annotations

import math

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.gains import Gains
from lightning_gradwatch.diagnose.losses import Losses
from lightning_gradwatch.records import Anatomy, CauseKind, Finding, Frame, Kind, Ledger, OperationReading, Quantity
from lightning_gradwatch.records.threshold import Threshold

# Networks of so many layers were not trained before there was normalisation, but for careful initial weights.
DEEP = 10
# Part of what weights and depth gain that a normalisation behind every layer would have given back.  Below a half: the
# weights come first.
_PART = 0.3
# Values behind one mean and variance.  Two of them become -1 and 1 whatever they are, so that their gradient is 0; Wu &
# He (2018), figure 1, see the error rise from 8 on.
FEW = 4
# Decades that a normalisation is charged at most where it lets nothing through.
_NOTHING = 8.0
# Weight beside other causes where no decades are measured.
_WEIGHT = 2.0


class Missing(Rule):
    """A deep network without any normalisation."""

    code = "GW401"
    title = "A deep network without normalisation"
    kind = CauseKind.NORMALIZATION
    findings = (Kind.EXPLODING, Kind.NONFINITE)
    looks_for = f"""
        Growth along the depth of a network of {DEEP} layers or more that holds no normalisation at all. It is
        charged {_PART:.0%} of what weights and depth gain: a normalisation would have given it back, but was not
        what gained."""
    harm = """
        Nothing brings activations back to size 1: every layer's factor multiplies those of all others, forward and
        backward."""
    false_alarms = """
        Networks that do without by design (Fixup, SELU, NFNets): they do not explode, and no finding opens."""
    example = """
        nn.Sequential(*[m for _ in range(30) for m in (nn.Linear(64, 64), nn.ReLU())])"""
    remedy = """
        BatchNorm behind every linear or convolutional layer; LayerNorm or GroupNorm where batches are small or lengths
        vary."""
    is_remedy_safe = """
        Before training. It makes the scale of the weights in front of it meaningless."""
    sources = (
        "Ioffe & Szegedy (2015), Batch normalization, section 3",
        "Ba, Kiros & Hinton (2016), Layer normalization",
    )
    thresholds = (
        Threshold(
            name="deep", value=DEEP, unit="layers", why="deeper ones were not trained without but for careful weights"
        ),
        Threshold(
            name="part", value=_PART, unit="of what weights and depth gain", why="below a half: the weights come first"
        ),
    )

    def check(self, gains: Gains, anatomy: Anatomy) -> Answer:
        """Whether a deep network lacks what would have kept its sizes."""
        weight = _PART * (gains.weights + gains.depth)
        layers = sum(layer.family in ("linear", "recurrent", "attention") for layer in anatomy.layers)
        if anatomy.has("norm") or max(layers, gains.layers) < DEEP or weight <= 0:
            return NO
        return Answer(
            holds=True,
            weight=weight,
            sentence=f"nothing normalises what {max(layers, gains.layers)} layers hand on to each other",
            evidence=(Quantity(name="layers without normalisation", value=float(gains.layers), unit="layers"),),
        )


class AfterTheSum(Rule):
    """Normalisations on the trunk lose the gradient, as in a post-LN Transformer."""

    code = "GW402"
    title = "Normalisation after the residual sum"
    kind = CauseKind.NORMALIZATION
    findings = (Kind.VANISHING,)
    looks_for = """
        Decades that the backward pass loses in normalisations that stand on the trunk itself, beyond what weights and
        residual sums in front of them had gained: the gradient cannot go around them."""
    harm = """
        A layer normalisation behind x + f(x) divides the gradient of the skip connection by the size of the sum, about
        1.4, in every block: the lower half of a deep Transformer starves, while the upper one gets too much and needs a
        warm-up."""
    false_alarms = """
        A normalisation that gives back what large weights gained loses as much as they gave, which is no loss."""
    example = """
        x = norm(x + attention(x))  # nn.TransformerEncoderLayer(norm_first=False), the default"""
    remedy = """
        Put the normalisation inside the branch, x + attention(norm(x)) (`norm_first=True`), with one more at the end;
        or keep post-LN with a learning-rate warm-up and scaled branches (DeepNorm)."""
    is_remedy_safe = """
        Moving it changes the network: before training. A warm-up changes nothing else."""
    sources = (
        "Xiong et al. (2020), On layer normalization in the Transformer architecture, theorem 1",
        "Wang et al. (2022), DeepNet: scaling Transformers to 1,000 layers, section 4",
    )

    def check(self, losses: Losses, frame: Frame) -> Answer:
        """Whether normalisations on the trunk lost decades of their own."""
        if losses.norm <= 0 or _few(frame.operations):
            return NO
        return Answer(
            holds=True,
            weight=losses.norm,
            sentence=f"normalisations on the trunk lose {losses.norm:.1f} decades: no skip leads around them",
            evidence=(Quantity(name="lost in normalisations", value=losses.norm, unit="decades"),),
        )


class TooFewSamples(Rule):
    """A mean and a variance of next to no values."""

    code = "GW403"
    title = "Normalised over too few values"
    kind = CauseKind.NORMALIZATION
    findings = (Kind.VANISHING, Kind.STALLED, Kind.EXPLODING)
    looks_for = f"""
        A batch, instance or group normalisation whose mean and variance are taken over {FEW} values or fewer, beside
        decades lost or gained in normalisations, or a fit that does not get anywhere."""
    harm = """
        Of two values a normalisation makes -1 and 1, whatever they were: what is behind it knows nothing of the input
        but which one was larger, and the gradient of the input is all but 0. With three or four it is mostly noise."""
    false_alarms = """
        Layers in evaluation mode use running statistics and are not counted."""
    example = """
        DataLoader(data, batch_size=2)  # in front of nn.BatchNorm1d"""
    remedy = """
        Larger batches; GroupNorm or LayerNorm, which do not look across samples; SyncBatchNorm across devices."""
    is_remedy_safe = """
        Another normalisation has other statistics: train it from the start."""
    sources = (
        "Wu & He (2018), Group normalization, figure 1 and section 1",
        "Ioffe (2017), Batch renormalization: towards reducing minibatch dependence, section 3",
    )
    thresholds = (
        Threshold(
            name="few",
            value=FEW,
            unit="values behind a mean",
            why="two become -1 and 1 whatever they are; Wu & He (2018), figure 1, see the error rise from 8 on",
        ),
        Threshold(name="nothing passes", value=_NOTHING, unit="decades", why="most that it is charged"),
        Threshold(name="weight", value=_WEIGHT, unit="decades", why="where no decades are measured"),
    )

    def check(
        self,
        finding: Finding,
        operations: tuple[OperationReading, ...],
        losses: Losses | None = None,
        gains: Gains | None = None,
        ledger: Ledger | None = None,
    ) -> Answer | None:
        """Whether a normalisation of few values explains it."""
        few = _few(operations)
        known = any(one.family == "norm" and one.rows for one in operations)
        if not known or (finding.kind is not Kind.STALLED and losses is None and gains is None):
            return None
        weight = _WEIGHT if finding.kind is Kind.STALLED else gains.norm if gains else _charged(losses, ledger)
        if not few or weight <= 0:
            return NO
        worst = min(few, key=lambda one: one.rows)
        return Answer(
            holds=True,
            weight=weight,
            sentence=f"{len(few)} normalisations take mean and variance over {worst.rows} values (at {worst.layer})",
            evidence=(
                Quantity(name="values behind one mean", value=float(worst.rows), unit="values"),
                Quantity(name="normalisations of few values", value=float(len(few)), unit="layers"),
            ),
        )


def _few(operations: tuple[OperationReading, ...]) -> list[OperationReading]:
    """Normalisations across samples or positions; a layer normalisation's values are the features."""
    return [o for o in operations if o.family == "norm" and 0 < o.rows <= FEW and "LayerNorm" not in o.operation]


def _charged(losses: Losses | None, ledger: Ledger | None) -> float:
    """Decades lost in normalisations; where one lets nothing through at all, as many as count."""
    ends = ledger is not None and any(s.family == "norm" and s.decades == -math.inf for s in ledger.body)
    return max(losses.norm if losses else 0.0, _NOTHING if ends else 0.0)
