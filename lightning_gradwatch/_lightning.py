"""Everything that depends on how Lightning is built: both namespaces, and the trainer's private corners.

Nothing else in this package imports Lightning or touches an underscore of a trainer, so that a new Lightning version is
one file to look at.  Every function takes a trainer of either namespace and asks it, never ``isinstance``.
"""

from __future__ import annotations

import copy
import functools
import importlib
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any, TypeVar

from lightning_gradwatch import voice
from lightning_gradwatch._imports import when_imported
from lightning_gradwatch.errors import MissingExtra, WrongArgument

NAMESPACES = ("lightning.pytorch", "pytorch_lightning")


def namespace(name: str | None = None) -> ModuleType:
    """The Lightning to build on: the one named, else the first that is installed.

    Raises:
        WrongArgument: the name is not one of Lightning's two.
        MissingExtra: it, or either, is not installed.
    """
    if name is not None and name not in NAMESPACES:
        raise WrongArgument("namespace", "the name of a Lightning package", name, NAMESPACES)
    for candidate in NAMESPACES if name is None else (name,):
        module = _import(candidate)
        if module is not None:
            return module
    raise _no_lightning()


def callback_bases() -> tuple[type, ...]:
    """The ``Callback`` class of every Lightning that is imported; of the first that is installed, if none is.

    Raises:
        MissingExtra: neither is installed.
    """
    imported = [module for name in NAMESPACES if (module := sys.modules.get(name)) and hasattr(module, "Callback")]
    return tuple(dict.fromkeys(module.Callback for module in imported or [namespace()]))


C = TypeVar("C", bound=type)


def callback_in_both(kind: C) -> C:
    """Make a class of callbacks one in the other Lightning too, its instances included, as soon as that is imported."""

    def join() -> None:
        missing = [base for base in callback_bases() if not issubclass(kind, base)]
        with suppress(TypeError):  # a subclass of the user's whose own bases forbid it: it stays in its one Lightning
            kind.__bases__ = (*kind.__bases__, *missing)

    for name in NAMESPACES:
        when_imported(name, join)
    return kind


def callback_when_imported(kind: C) -> C:
    """The same for a class that is to be had without Lightning: it is a callback of each as soon as that is imported.

    Args:
        kind: must have a base of its own besides ``object``, which Lightning's is put beside.
    """
    if any(name in sys.modules for name in NAMESPACES):
        kind.__bases__ = (*kind.__bases__, *callback_bases())
    return callback_in_both(kind)


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, name.partition(".")[0]):  # a broken install is not an absent one
            raise
        return None


def _no_lightning() -> ImportError:
    return MissingExtra("pytorch-lightning", "GradWatch", "lightning")


# --- scale: what stands between the user's loss and the numbers that torch holds -------------------------------------


def loss_scale(trainer: Any) -> float:
    """What AMP's gradient scaler multiplies the loss by; 1 without one."""
    scaler = _scaler(trainer)
    return float(scaler.get_scale()) if scaler is not None else 1.0


def gradient_scale(trainer: Any, optimizer: Any) -> float:
    """What to divide this optimizer's gradients by to get the true ones, inside ``on_before_optimizer_step``.

    Fused optimizers unscale inside their own kernel, so that their gradients are still scaled here.
    """
    return scale_left(_scaler(trainer), optimizer)


def scale_left(scaler: Any, optimizer: Any) -> float:
    """What this gradient scaler still has to divide the optimizer's gradients by; 1 for no scaler."""
    if scaler is None:
        return 1.0
    stage = scaler._per_optimizer_states[id(unwrapped(optimizer))]["stage"]
    return 1.0 if stage.name == "UNSCALED" else float(scaler.get_scale())


def has_scaler(trainer: Any) -> bool:
    """Whether a gradient scaler may skip steps in this fit."""
    return _scaler(trainer) is not None


def _scaler(trainer: Any) -> Any:
    return _enabled(getattr(getattr(trainer, "strategy", None), "precision_plugin", None))


def scaler_of(fabric: Any) -> Any:
    """The gradient scaler of a Fabric; None: there is none."""
    return _enabled(getattr(getattr(fabric, "strategy", None), "precision", None))


def _enabled(precision: Any) -> Any:
    scaler = getattr(precision, "scaler", None)
    is_enabled = getattr(scaler, "is_enabled", None)  # a foreign plugin's "scaler" may be anything
    return scaler if is_enabled is not None and is_enabled() else None


def loss_node(trainer: Any, module: Any, loss: Any) -> Any | None:
    """The autograd node of the user's own loss, below Lightning's multiplication and division; None: it has none.

    Lightning hands over ``loss / accumulate_grad_batches`` (always, also by 1, except in manual optimisation) and AMP
    multiplies that by the loss scale.
    """
    node, output = loss.grad_fn, loss.output_nr
    if node is not None and _scaler(trainer) is not None and node.name().startswith("MulBackward"):
        node, output = node.next_functions[0]
    if node is not None and module.automatic_optimization and node.name().startswith("DivBackward"):
        node, output = node.next_functions[0]
    if node is not None and "DDPSink" in node.name():  # DDP ties everything that training_step returns together
        node = node.next_functions[output][0]
    return node


def loss_divisor(trainer: Any, module: Any) -> int:
    """What Lightning divides the user's loss by: the accumulation, in automatic optimisation."""
    return int(trainer.accumulate_grad_batches) if module.automatic_optimization else 1


def loss_value(trainer: Any, module: Any, loss: Any) -> Any:
    """The user's own loss as a 0-d tensor, from the scaled and divided one that ``on_before_backward`` is handed."""
    return loss.detach().float().sum() / loss_scale(trainer) * loss_divisor(trainer, module)


# --- time: which step this is, and whether it is a real one -----------------------------------------------------------


def step_of(trainer: Any) -> int:
    """The x axis of a loss that the user logs; the same in all hooks of one batch."""
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)


def completes_window(trainer: Any, module: Any) -> bool:
    """Whether this micro-batch is the last of its accumulation window, after which the optimizer steps."""
    return not module.automatic_optimization or not trainer.fit_loop._should_accumulate()


def is_last_step(trainer: Any) -> bool:
    """Whether the fit is known to end with this batch."""
    after = int(trainer.global_step) + _steps_a_batch(trainer)
    if 0 <= trainer.max_steps <= after:
        return True
    epochs = int(trainer.current_epoch) + bool(trainer.is_last_batch)  # that are over once the batch is
    if trainer.is_last_batch and trainer.max_epochs not in (None, -1) and epochs >= trainer.max_epochs:
        return True
    may_stop = epochs >= (trainer.min_epochs or 0) and after >= (trainer.min_steps or 0)
    return bool(trainer.should_stop and may_stop)


def _steps_a_batch(trainer: Any) -> int:
    """How far ``global_step`` moves with every batch: once for each optimizer of a manual optimisation."""
    return max(1, round(int(trainer.global_step) / max(1, step_of(trainer))))


def is_checked_after(trainer: Any) -> bool:
    """Whether this batch is followed by the end of an epoch or by a validation: where early stopping looks."""
    every = trainer.val_check_batch
    if trainer.is_last_batch or not trainer.enable_validation or every in (None, float("inf")):
        return bool(trainer.is_last_batch)
    loop = trainer.fit_loop.epoch_loop
    batch = loop.total_batch_idx if trainer.check_val_every_n_epoch is None else loop.batch_idx
    return (batch + 1) % every == 0  # an epoch without a validation costs a measurement, no more


def is_out_of_patience(trainer: Any) -> bool:
    """Whether an early stopping may end the fit at its next look; False on several ranks, who may not agree on it."""
    stoppers = [one for one in trainer.callbacks if hasattr(one, "wait_count") and hasattr(one, "patience")]
    return trainer.world_size == 1 and any(one.wait_count + 1 >= one.patience for one in stoppers)


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


def publish(trainer: Any, values: Mapping[str, float]) -> None:
    """Let callbacks monitor these values, without any logger or progress bar hearing of them.

    Into ``trainer.callback_metrics``, as LearningRateMonitor does, but without asking for that property: it computes
    what the user logs.
    """
    import torch

    tensors = {key: torch.tensor(value, device="cpu") for key, value in values.items()}
    trainer._logger_connector._callback_metrics.update(tensors)


# --- things -----------------------------------------------------------------------------------------------------------


def unwrapped(optimizer: Any) -> Any:
    """The torch optimizer inside a LightningOptimizer."""
    return getattr(optimizer, "optimizer", optimizer)


def unwrapped_module(model: Any) -> Any:
    """The network inside the wrappers of Fabric and of data parallelism, which would lengthen its names."""
    while type(model).__name__ in ("_FabricModule", "DistributedDataParallel", "DataParallel"):
        model = model.module
    return model


def builds_late(module: Any) -> bool:
    """Whether this LightningModule makes its parts, or some of them, in ``configure_model``."""
    late = getattr(module, "configure_model", None)
    return late is not None and not getattr(late, "__module__", "").startswith(NAMESPACES)


def training_batches(trainer: Any) -> Iterator[Any]:
    """The batches that the fit trains on, on its device, as the network gets them.

    The fit's own pass over its loaders is not disturbed: neither workers that stay alive nor generators of random
    numbers are shared with it.  A stream that can be read only once gives nothing.
    """
    if reads_once(trainer):
        return
    combined = trainer.fit_loop._combined_loader
    fresh = copy.copy(combined)
    fresh._iterator = None
    fresh.flattened = [_own_workers(loader) for loader in combined.flattened]
    generators = _generators(combined.flattened)
    states = [generator.get_state() for generator in generators]
    try:
        for batch, _, _ in fresh:
            converted = trainer.precision_plugin.convert_input(batch)
            converted = trainer.lightning_module._on_before_batch_transfer(converted, dataloader_idx=0)
            yield trainer.strategy.batch_to_device(converted, dataloader_idx=0)
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def reads_once(trainer: Any) -> bool:
    """Whether a loader of the fit is a stream, which gives its batches once."""
    combined = trainer.fit_loop._combined_loader
    if combined is None:
        return True
    return any(iter(loader) is loader for loader in combined.flattened if hasattr(loader, "__next__"))


def _own_workers(loader: Any) -> Any:
    """The same loader with workers of its own, where its workers stay alive from pass to pass."""
    if getattr(loader, "_iterator", None) is None:
        return loader
    own = copy.copy(loader)
    own._iterator = None
    return own


def _generators(loaders: Any) -> list[Any]:
    """The generators of random numbers that loaders and their samplers bring along."""
    holders = [part for one in loaders for part in (one, getattr(one, "sampler", None), _sampler_inside(one))]
    found = [getattr(holder, "generator", None) for holder in holders]
    return list({id(one): one for one in found if hasattr(one, "get_state") and hasattr(one, "set_state")}.values())


def _sampler_inside(loader: Any) -> Any:
    return getattr(getattr(loader, "batch_sampler", None), "sampler", None)


def planned_steps(trainer: Any) -> float:
    """How many optimizer steps the fit will make in all; infinite where nobody knows."""
    try:
        return float(trainer.estimated_stepping_batches)
    except Exception:  # loaders without a length, of any kind
        return float("inf")


def rehearsal(trainer: Any, module: Any) -> dict[str, Any]:
    """What a Trainer does around the training of a network, for copies of it: autocast, and clipping."""
    plugin, value = trainer.precision_plugin, trainer.gradient_clip_val
    clips = value is not None and module.automatic_optimization

    def clip(optimizer: Any) -> None:
        plugin.clip_gradients(optimizer, clip_val=value, gradient_clip_algorithm=_clipping(trainer))

    schedulers = len(trainer.lr_scheduler_configs)
    return {"context": plugin.train_step_context, "clip": clip if clips else None, "schedulers": schedulers}


def _clipping(trainer: Any) -> Any:
    kind = importlib.import_module(f"{namespace_of(trainer)}.utilities").GradClipAlgorithmType
    return kind(trainer.gradient_clip_algorithm or "norm")


def namespace_of(trainer: Any) -> str:
    """The Lightning that a trainer belongs to."""
    homes = [kind.__module__ for kind in type(trainer).__mro__]
    return next(name for name in NAMESPACES if any(home.startswith(f"{name}.") for home in homes))


def from_rank_zero(trainer: Any, value: Any) -> Any:
    """What rank 0 has; a collective, so that every rank must ask on the same steps."""
    return value if trainer.world_size == 1 else trainer.strategy.broadcast(value, src=0)


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


def say(text: str, *, warns: bool = False) -> None:
    """Tell the user, on one rank, as the watch does."""
    if is_rank_zero():
        voice.prepare()
        voice.logger.log(logging.WARNING if warns else logging.INFO, "GradWatch %s", text)


def was_fitted(module: Any) -> bool:
    """Whether a trainer has had this LightningModule, so that its parts are made."""
    return getattr(module, "_trainer", None) is not None or getattr(module, "_fabric", None) is not None


def optimizers_of(trainer: Any) -> list[Any]:
    """The torch optimizers of the fit."""
    return [unwrapped(optimizer) for optimizer in trainer.optimizers]


def rename_wrappers(trainer: Any) -> None:
    """Have the wrappers of the optimizers, which imitate the class of theirs, imitate the class that it is now."""
    for wrapper in getattr(trainer.strategy, "_lightning_optimizers", ()):
        kind, imitated = type(unwrapped(wrapper)), type(wrapper)
        if imitated.__name__ != f"Lightning{kind.__name__}":
            wrapper.__class__ = type(f"Lightning{kind.__name__}", (imitated.__bases__[0], kind), {})


def mean_over_ranks(trainer: Any, value: Any) -> float:
    """The mean of a 0-d tensor over all ranks; a collective, so that every rank must ask on the same steps."""
    return float(value if trainer.world_size == 1 else trainer.strategy.reduce(value, reduce_op="mean"))


@functools.cache  # reading package metadata takes milliseconds, and every watch asks
def versions() -> dict[str, str]:
    """The versions of what was running, for the report."""
    from importlib import metadata

    found = {}
    for package in ("lightning-gradwatch", "torch", "lightning", "pytorch-lightning"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


# --- ranks: who trains together ---------------------------------------------------------------------------------------


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


def engine(trainer: Any, module: Any) -> Any:
    """What the strategy made of the module: a wrapper of FSDP or DDP, DeepSpeed's engine, or the module itself."""
    made = getattr(trainer.strategy, "model", None)
    return module if made is None else made


def engine_norm(engine: Any) -> float | None:
    """The norm of the whole gradient of the last step, of an engine that keeps the gradients to itself (DeepSpeed)."""
    ask: Any = getattr(engine, "get_global_grad_norm", None)
    norm = None if ask is None else ask()
    return None if norm is None else float(norm)
