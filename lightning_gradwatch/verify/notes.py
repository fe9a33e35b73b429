"""Every sentence that a checkup may say of how it was made, each with what to do about it.

They stand in ``report.notes``.  ``docs/reference/errors.md`` is made from this file: a name, a sentence, and below it
what a user can do.
"""

from __future__ import annotations

EVAL = "the network was in eval mode: its copy was trained in train mode, as in a fit"
"""Nothing is wrong.  A part that is meant to stay in eval mode stays so if the network itself is in train mode."""

UNCOMPILED = "the network is compiled: what was compiled from was checked, as the graph shows more of it"
"""Nothing is wrong."""

BLIND = "no loss of these steps came by manual_backward, so that there is no ledger and no forecast"
"""Call ``self.manual_backward(loss)`` in place of ``loss.backward()``."""

SAME = "the forecast has no spread: the function gives the same weights whatever the seed"
"""Leave ``seed_everything`` and checkpoints out of the function, or take the forecast for what it is."""


def silenced(code: str, title: str, reason: str) -> str:
    """Nothing: you asked for it.  Take the code out of ``ignore`` to hear of it again."""
    return f"{code} ({title}) is silenced: {reason}"


def on_a_copy(steps: int, optimizer: str) -> str:
    """Nothing: this is what a checkup does."""
    return f"a checkup: {steps} steps of {optimizer} on a copy; the network itself is as it was"


def assumed(loss: str, why: str) -> str:
    """Give ``loss=``, a function of the output and the batch, for the loss that you train with."""
    return f"no loss was given, so that {loss} was taken: {why}"


def no_optimizer(reason: str) -> str:
    """Nothing, if the flow is what you are after.  ``configure_optimizers`` must work without a Trainer to be used."""
    return f"configure_optimizers gave no optimizer to use without a Trainer ({reason}): Adam took its place"


def again(batches: int, steps: int) -> str:
    """Give more data: what repeats itself is learnt by heart, which may hide that a fit does not learn."""
    return f"there was data for {batches} of {steps} steps: it was gone through again"


def without_loss(steps: int, whole: int) -> str:
    """Nothing, if ``training_step`` is meant to leave batches out."""
    return f"training_step gave no loss on {steps} of {whole} batches, which were left out"


def no_spread(layers: int) -> str:
    """Give a function that makes the network instead: it is asked for further ones."""
    return (
        f"the forecast has no spread: none of the {layers} layers has the weights that its reset_parameters gives, "
        "so that how they were initialised is not known"
    )


def kept(names: tuple[str, ...], whole: int) -> str:
    """Give a function that makes the network instead: it is asked for further ones."""
    few = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return (
        f"{len(names)} of {whole} layers were not re-initialised for the forecast's spread, as their weights are not "
        f"what their reset_parameters gives: {few}"
    )


def not_shown(finding: str) -> str:
    """Give a batch like those of the fit, and the network as it was when the finding opened."""
    return f"no cause of {finding} could be tried: a copy of the network does not show it on this batch"


def trial_broke(code: str, why: str) -> str:
    """Nothing: the cause stands as it was judged, without a proof."""
    return f"{code} has no proof, as the network cannot do without that factor: {why}"
