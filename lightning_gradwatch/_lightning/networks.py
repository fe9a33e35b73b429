"""Networks: what a strategy wraps around them, and whether they are built yet."""

from __future__ import annotations

from typing import Any

from lightning_gradwatch._lightning.namespaces import NAMESPACES


def unwrapped_module(model: Any) -> Any:
    """The network inside the wrappers of Fabric and of data parallelism, which would lengthen its names."""
    while type(model).__name__ in ("_FabricModule", "DistributedDataParallel", "DataParallel"):
        model = model.module
    return model


def builds_late(module: Any) -> bool:
    """Whether this LightningModule makes its parts, or some of them, in ``configure_model``."""
    late = getattr(module, "configure_model", None)
    return late is not None and not getattr(late, "__module__", "").startswith(NAMESPACES)


def was_fitted(module: Any) -> bool:
    """Whether a trainer has had this LightningModule, so that its parts are made."""
    return getattr(module, "_trainer", None) is not None or getattr(module, "_fabric", None) is not None


def engine(trainer: Any, module: Any) -> Any:
    """What the strategy made of the module: a wrapper of FSDP or DDP, DeepSpeed's engine, or the module itself."""
    made = getattr(trainer.strategy, "model", None)
    return module if made is None else made


def engine_norm(engine: Any) -> float | None:
    """The norm of the whole gradient of the last step, of an engine that keeps the gradients to itself (DeepSpeed)."""
    ask: Any = getattr(engine, "get_global_grad_norm", None)
    norm = None if ask is None else ask()
    return None if norm is None else float(norm)


def wrap_again(trainer: Any, module: Any) -> None:
    """Let data parallelism know the parameters that a network has now; only without ``hindrance``."""
    strategy = trainer.strategy
    if strategy.model is not module and _is_wrapped(strategy):
        strategy.model = strategy._setup_model(module)


def hindrance(trainer: Any, module: Any) -> str:
    """Why a network cannot get other parts in this fit, or be tried in copies; "" where it can."""
    strategy = trainer.strategy
    if strategy.model is not None and strategy.model is not module and not _is_wrapped(strategy):
        return f"{type(strategy).__name__} has wrapped the network, which cannot be edited any more."
    talkers = [name for name, part in module.named_modules() if type(part).__name__ == "SyncBatchNorm"]
    if trainer.world_size > 1 and talkers:
        return f"{talkers[0]} is a SyncBatchNorm, which talks to other ranks: copies would wait for theirs for ever."
    return ""


def _is_wrapped(strategy: Any) -> bool:
    return type(strategy.model).__name__ == "DistributedDataParallel"


def holds_copy(trainer: Any) -> str:
    """The callback that averages weights in a copy of the network of its own; "": there is none."""
    averages = ("StochasticWeightAveraging", "WeightAveraging")
    kinds = {type(one): [base.__name__ for base in type(one).__mro__] for one in trainer.callbacks}
    return next((kind.__name__ for kind, bases in kinds.items() if any(name in bases for name in averages)), "")
