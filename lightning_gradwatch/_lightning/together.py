"""Together: which processes train, and what they agree on."""

from __future__ import annotations

from typing import Any


def ranks(trainer: Any) -> dict[str, Any]:
    """How many processes train together, on how many different losses, and on which device their messages lie.

    Tensor-parallel ranks work on one loss together; all others have one each.  Processes that have no process group of
    torch's to talk in (XLA) are told as if each were alone.
    """
    strategy = trainer.strategy
    if trainer.world_size == 1:
        return {"size": 1}
    sampler = getattr(strategy, "distributed_sampler_kwargs", None) or {}
    known = processes(strategy.root_device, sampler.get("num_replicas"))
    return {**known, "mute": known["size"] == 1}


def processes(device: Any, losses: int | None = None) -> dict[str, Any]:
    """``ranks`` of the processes that torch.distributed knows, with a loss each unless told otherwise."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return {"size": 1}
    return {"size": distributed.get_world_size(), "losses": losses, "device": device}


def any_rank(trainer: Any, decision: bool) -> bool:
    """Whether any rank decided so; a collective, so that every rank must ask on the same steps."""
    if trainer.world_size == 1:
        return decision
    return bool(trainer.strategy.reduce_boolean_decision(decision, all=False))


def any_process(decision: bool, device: Any) -> bool:
    """Whether any process of torch.distributed decided so; a collective, unless there is only one."""
    from torch import distributed, tensor

    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return decision
    votes = tensor(float(decision), device=device)
    distributed.all_reduce(votes)
    return bool(votes.item())


def is_rank_zero() -> bool:
    """Whether this process is the one that writes, in a loop of the user's own."""
    from torch import distributed

    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


def from_rank_zero(trainer: Any, value: Any) -> Any:
    """What rank 0 has; a collective, so that every rank must ask on the same steps."""
    return value if trainer.world_size == 1 else trainer.strategy.broadcast(value, src=0)


def mean_over_ranks(trainer: Any, value: Any) -> float:
    """The mean of a 0-d tensor over all ranks; a collective, so that every rank must ask on the same steps."""
    return float(value if trainer.world_size == 1 else trainer.strategy.reduce(value, reduce_op="mean"))
