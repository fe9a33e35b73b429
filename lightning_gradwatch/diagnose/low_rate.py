"""GW602 and GW603: steps that are too small, for their rate or for the optimizer's eps."""

from __future__ import annotations

from lightning_gradwatch.diagnose.base import NO, Answer, Rule
from lightning_gradwatch.diagnose.stall import NEAR_EPS, ORDINARY_RATE, ORDINARY_UPDATE, Stall
from lightning_gradwatch.records import CauseKind, Kind, Quantity
from lightning_gradwatch.records.threshold import Threshold

# What it weighs where the rate is ordinary and yet too low for gradients of this size: whoever made these small counts
# for more.
_LEAST = 0.1
# Decades that eps has to take of the steps to be worth a line.
_EPS_TAKES = 0.3


class RateTooLow(Rule):
    """The rate is too low for anything to happen."""

    code = "GW602"
    title = "Learning rate too low"
    kind = CauseKind.LEARNING_RATE
    findings = (Kind.STALLED,)
    looks_for = f"""
        A rate below those that people begin with, {ORDINARY_RATE[True]:g} for adaptive optimizers and
        {ORDINARY_RATE[False]:g} for plain descent, where updates are far below {ORDINARY_UPDATE:g} of the weights and
        the loss stands; it weighs the decades between the two rates."""
    harm = """
        After a thousand steps of a millionth the weights have changed by a thousandth. The fit costs what a fit costs,
        and does nothing."""
    false_alarms = """
        The end of a schedule, where the rate is meant to be nothing: by then the loss has fallen, and no finding
        opens."""
    example = """
        torch.optim.SGD(model.parameters(), lr=1e-8)"""
    remedy = """
        A rate ten or a hundred times as high (a learning-rate finder tells how high); look at the schedule: a warm-up
        that never ends, a decay per step in place of per epoch."""
    is_remedy_safe = """
        Raise it by steps of ten and watch the gradient: above some rate it explodes."""
    sources = (
        "Bengio (2012), Practical recommendations for gradient-based training of deep architectures, section 3.1.1",
        "Smith (2017), Cyclical learning rates for training neural networks, section 3.3",
    )
    thresholds = (
        Threshold(
            name="least weight",
            value=_LEAST,
            unit="decades",
            why="where the rate is ordinary, whoever made the gradients small counts for more",
        ),
    )

    def check(self, stall: Stall) -> Answer | None:
        """Whether the rate is what is missing."""
        if stall.rate_now <= 0:
            return None
        beside = ": too low for gradients this small"
        if stall.rate > 0:
            beside = f", where {stall.ordinary:g} is ordinary for {stall.kind or 'this optimizer'}"
        return Answer(
            holds=True,
            weight=max(_LEAST, stall.rate),
            sentence=f"the rate is {stall.rate_now:g}{beside}",
            evidence=(
                Quantity(name="learning rate", value=stall.rate_now),
                Quantity(name="rate below an ordinary one", value=stall.rate, unit="decades"),
            ),
        )


class NearEps(Rule):
    """An adaptive optimizer divides by its eps instead of by the gradient's size."""

    code = "GW603"
    title = "Gradients are near the optimizer's eps"
    kind = CauseKind.LEARNING_RATE
    findings = (Kind.STALLED,)
    looks_for = f"""
        An adaptive optimizer whose gradients have a root mean square of at most {NEAR_EPS:g} times its eps in the
        middle parameter: a step is rate x g / (|g| + eps), so that eps decides."""
    harm = """
        What makes Adam independent of the gradient's size ends at eps (1e-8): below it, steps shrink with the gradient
        as those of plain descent do."""
    false_alarms = """
        A fit that has converged to nothing left to learn: by then its gradient has fallen, and no finding opens."""
    example = """
        torch.optim.Adam(model.parameters(), eps=1e-3)  # for gradients of 1e-6"""
    remedy = """
        A smaller eps (1e-12 in float32), or a larger loss; look whether the gradient vanished on its way."""
    is_remedy_safe = """
        A smaller eps makes steps larger where gradients are noise: lower the rate for a few hundred steps."""
    sources = (
        "Kingma & Ba (2015), Adam: a method for stochastic optimization, algorithm 1",
        "Wortsman et al. (2024), Small-scale proxies for large-scale Transformer training instabilities, section 3.4",
    )
    thresholds = (
        Threshold(name="eps takes", value=_EPS_TAKES, unit="decades of a step", why="less is not worth a line"),
    )

    def check(self, stall: Stall) -> Answer | None:
        """Whether eps takes a part of the steps."""
        if stall.eps is None or stall.gradient is None:
            return None
        if stall.eps < _EPS_TAKES:
            return NO
        return Answer(
            holds=True,
            weight=stall.eps,
            sentence=f"gradients of {stall.gradient:.1e} are lost in the eps of {stall.kind}: its steps are "
            f"{10**stall.eps:.2g} times shorter than its rate says",
            evidence=(
                Quantity(name="taken by eps", value=stall.eps, unit="decades"),
                Quantity(name="gradient in the middle parameter", value=stall.gradient),
            ),
        )
