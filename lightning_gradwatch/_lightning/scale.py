"""Scale: what stands between the user's loss and the numbers that torch holds."""

from __future__ import annotations

from typing import Any

from lightning_gradwatch._lightning.optimizers import unwrapped


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
