"""GW604: weight decay that takes more than the gradient gives."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.losses import Losses
from lightning_gradwatch.diagnose.weights import usual_growth
from lightning_gradwatch.records import CauseKind, Frame, Kind, Quantity
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# Weights that are down to this share of what they were on the first measured step have been decayed, not trained: a
# regularised fit settles where decay and gradient balance, and keeps most of their size.
SHRUNK = 0.3
# What this weighs for a fit that stalls, where there are no decades to be charged.
_STALLED = 2.0


class DecayWins(Rule):
    """Weight decay outweighs the gradient and shrinks the weights towards zero."""

    code = "GW604"
    title = "Weight decay outweighs the gradient"
    kind = CauseKind.LEARNING_RATE
    findings = (Kind.VANISHING, Kind.STALLED)
    looks_for = f"""
        An optimizer with weight decay, and weights whose size is down to {SHRUNK:.0%} or less of what it was on the
        first measured step. What they fall short of good initialisation is charged to this rule in place of GW301, in
        proportion to how much of them is gone."""
    harm = """
        Decay multiplies the weights by 1 - rate x decay on every step, whatever the gradient says. Small weights hand
        on a small gradient, which resists the decay even less: the network fades away as a whole."""
    false_alarms = """
        Layers in front of a normalisation, whose scale does not matter: there nothing is lost, and no finding opens."""
    example = """
        torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=0.5)  # 1e-4 is usual"""
    remedy = """
        A smaller weight decay (1e-4 for SGD, 1e-2 for AdamW are usual), none for biases and normalisations; then new
        weights, since those that are there have lost their scale."""
    is_remedy_safe = """
        A smaller decay is safe at any time. It does not bring back weights that have faded."""
    sources = (
        "Krogh & Hertz (1991), A simple weight decay can improve generalization, equation 2",
        "Loshchilov & Hutter (2019), Decoupled weight decay regularization, algorithm 2",
    )
    thresholds = (
        Threshold(
            name="shrunk to",
            value=SHRUNK,
            unit="of the first step's weights",
            why="a regularised fit keeps most of their size",
        ),
        Threshold(
            name="weight where it stalls", value=_STALLED, unit="decades", why="there are no decades to be charged"
        ),
    )

    def check(self, frame: Frame, history: History, losses: Losses | None = None) -> Answer | None:
        """Whether the weights have faded under a decay."""
        growth = usual_growth(frame, history)
        if growth is None or not frame.optimizers:
            return None
        if not share_of_decay(frame, history):
            return NO
        decay = max(reading.decay for reading in frame.optimizers)
        return Answer(
            holds=True,
            weight=losses.weights * share_of_decay(frame, history) if losses else _STALLED,
            sentence=f"weights are down to {growth:.0%} of their size at the start, under a weight decay of {decay:g} "
            f"at a rate of {max(frame.rates, default=0.0):g}",
            evidence=(
                Quantity(name="size of the weights now", value=growth, unit="of that at the start"),
                Quantity(name="weight decay", value=decay),
                Quantity(name="learning rate", value=max(frame.rates, default=0.0)),
            ),
        )


def share_of_decay(frame: Frame, history: History) -> float:
    """Share of small weights that is owed to their decay since the first measured step; 0 where they have not faded.

    Args:
        frame: the measured step.
        history: what the frames so far told.
    """
    growth = usual_growth(frame, history)
    decays = [reading.decay for reading in frame.optimizers]
    if growth is None or growth > SHRUNK or max(decays, default=0.0) <= 0:
        return 0.0
    return 1.0 - growth
