"""Every sentence that the watch may say of a situation it cannot do full justice to, each with what to do about it.

They stand in ``report.notes`` and are said once on the console.  ``docs/reference/errors.md`` is made from this file: a
name, a sentence, and below it what a user can do.
"""

from __future__ import annotations

BLIND = "no backward of this step went through Lightning (loss.backward() called directly?): there is no ledger for it"
"""Call ``self.manual_backward(loss)`` in place of ``loss.backward()``."""

CROWDED = "more than 8 backwards in one step: the ledgers of the first 8 are kept"
"""Nothing is wrong.  Which losses these are is told by their names: ``loss``, ``loss[1]``, ... in order."""

ABSENT = "the watch of another rank has switched itself off: numbers are those of the ranks that are left"
"""Look for what rank failed and why among the notes of its own console; the fit itself is not touched."""

INCOMPLETE = "the watch of another rank has switched itself off, and its slices of the parameters are not measured"
"""Look for what rank failed and why among the notes of its own console; the fit itself is not touched."""

DIFFERENT = "the ranks ran different graphs (conditional computation?): there is no ledger for such a step"
"""Nothing is wrong.  The parameters' gradients, which all ranks share, are measured as ever."""

TOO_LONG = "a graph this long is more than the ranks exchange in one go: there is no ledger for it"
"""Nothing is wrong.  Fit once in one process to see the ledger."""


MUTE = "this strategy has no torch.distributed group to share numbers in: they are those of this process alone"
"""Fit on one process for true numbers.  XLA is such a strategy: not supported here."""

FLAT = "the graph names no parameters, as FullyShardedDataParallel (FSDP1) flattens them: there is no ledger"
"""The parameters' gradients are measured.  ``fully_shard`` (FSDP2, ModelParallelStrategy) shows the ledger too."""

NO_CASEBOOK = "the watch had failed when the checkpoint was written, which holds no findings: it begins anew"
"""Nothing: learning rates that the watch had scaled stay so, and the fit is not touched."""


def opaque(kinds: tuple[str, ...]) -> str:
    """Nothing is wrong.  For the inside, fit once without torch.compile, or with ``use_reentrant=False``."""
    return (
        f"the graph holds {' and '.join(kinds)}, whose inside autograd does not show: each is one step of the ledger, "
        "and the layers in it are judged by their parameters' gradients"
    )


def clips_scaled(scale: float) -> str:
    """Divide the gradients by ``trainer.scaler.get_scale()`` before clipping, or multiply the clip value by it."""
    return (
        f"gradients are clipped while they are still multiplied by the loss scale ({scale:g}): what is left of them is "
        "the clip value divided by that scale, which looks like vanishing; unscale them first"
    )


def kept_elsewhere(is_norm_known: bool) -> str:
    """Nothing is wrong.  The ledger is read from the graph all the same; single parameters are missing."""
    whole = "only the norm of the whole gradient is known" if is_norm_known else "gradient sizes are not supported here"
    return f"no parameter has a gradient when the optimizer steps, as the strategy's engine keeps them: {whole}"


def partial(name: str, count: int) -> str:
    """Nothing is wrong.  Their updates are right; torch forms those sums inside the optimizer's step."""
    others = f" and of {count - 1} more" if count > 1 else ""
    return (
        f"the gradient of {name}{others} is a sum that the tensor-parallel ranks have not formed when the optimizer "
        "steps (SequenceParallel): it is not measured"
    )


def not_recorded(path: str, error: Exception) -> str:
    """Give ``record_to`` a path that can be written, or a recording to go on with."""
    return f"nothing is recorded to {path}: {error}"


def no_step_hooks(optimizer: str) -> str:
    """Let the optimizer inherit ``torch.optim.Optimizer``, or lower its learning rate yourself."""
    return f"the learning rate of {optimizer} cannot be decayed: it is no torch optimizer, which has step hooks"


def sink_lost(name: str, error: Exception) -> str:
    """Mend what the error names (a full disk, a logger that is offline).  The fit and the watch go on without it."""
    return f"nothing more is written to {name}: {type(error).__name__}: {error}"


def no_pictures(error: Exception) -> str:
    """Report it with the traceback from the console; ``picture_every_n_steps=0`` draws none.  All else goes on."""
    return f"no more pictures are drawn: {type(error).__name__}: {error}"


def state_ignored(error: Exception) -> str:
    """Nothing, if the checkpoint is of another version: the watch begins anew and the fit is not touched."""
    return f"what the checkpoint says of an earlier watch is ignored: {error}"


def switched_off(stage: str, error: Exception) -> str:
    """Report it with the traceback from the console; ``strict=True`` raises it.  The fit itself is not touched."""
    return f"the watch failed in {stage} and switched itself off: {type(error).__name__}: {error}"
