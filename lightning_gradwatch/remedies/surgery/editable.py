"""Whether a network can be edited at all."""

from __future__ import annotations

import torch
from torch import nn

from lightning_gradwatch.anatomy.names import every_module
from lightning_gradwatch.anatomy.sharding import is_sliced

_SHARDING = ("FullyShardedDataParallel", "DeepSpeedEngine")


def obstacle(model: nn.Module) -> str:
    """Why a network cannot be edited, one sentence; "" where it can.

    Example:
        >>> obstacle(nn.Linear(2, 1))
        ''
        >>> obstacle(torch.compile(nn.Linear(2, 1), backend="eager"))
        'It is compiled (torch.compile): edit the network before it is compiled.'
    """
    for module in every_module(model):
        if isinstance(module, torch.jit.ScriptModule):
            return "It is TorchScript, whose code is fixed: edit the network that it was made from."
        if type(module).__name__ == "OptimizedModule" or any(
            getattr(module, mark, None) is not None for mark in ("_compiled_call_impl", "_compiler_ctx")
        ):  # the last is Lightning's, whose training_step is compiled
            return "It is compiled (torch.compile): edit the network before it is compiled."
        if type(module).__name__ in ("FullyShardedDataParallel", "DeepSpeedEngine") or hasattr(
            module, "_get_fsdp_state"
        ):
            return "It is sharded over several ranks: edit the network before it is wrapped."
    if any(is_sliced(parameter) for parameter in model.parameters()):
        return "Its parameters are sharded over several ranks: edit the network before it is wrapped."
    return ""
