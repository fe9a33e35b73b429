"""What a fit leaves behind: everything that training made, and everything that could have been hung on something."""

import csv
import random
from pathlib import Path

import numpy as np
import torch

# torch and Lightning's own containers of hooks, on modules and optimizers.
MODULE_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")
OPTIMIZER_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks", "_optimizer_state_dict_pre_hooks")


def seed(number):
    """All random states that a fit can draw from."""
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def traces(trainer, module, beside, folder):
    """By name, for ``same`` to compare."""
    return {
        "weights": dict(module.state_dict()),
        "gradients": [p.grad for p in module.parameters()],
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "schedulers": [_plain(config.scheduler) for config in trainer.lr_scheduler_configs],
        "scaler": _scaler(trainer),
        "losses": getattr(module, "losses", None),
        "random state of torch": torch.get_rng_state(),
        "random state of Python": random.getstate(),
        "random state of numpy": np.random.get_state()[1].tolist(),
        "logged": {k: v for k, v in trainer.logged_metrics.items() if not k.startswith("gradwatch/")},
        "callback_metrics": {k: v for k, v in trainer.callback_metrics.items() if not k.startswith("gradwatch/")},
        "steps": (trainer.global_step, trainer.current_epoch, trainer.should_stop),
        "rows of the CSV": sorted(_csv_values(folder)),
        "checkpoints": {path.name: _checkpoint(path, folder) for path in sorted(Path(folder).rglob("*.ckpt"))},
        "hooks": _hooks(trainer, module),
        "attributes": [sorted(vars(one)) for one in (trainer, *module.modules(), *trainer.optimizers, *beside)],
        "callbacks": [type(callback).__name__ for callback in beside],
    }


def same(ours, theirs):
    """Equal through nested containers, tensors bit for bit (nan equals itself)."""
    if isinstance(ours, torch.Tensor):
        ours, theirs = (t.detach().to_dense() for t in (ours, theirs))
        return ours.dtype == theirs.dtype and torch.equal(ours.nan_to_num(9e9), theirs.nan_to_num(9e9))
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs or (ours != ours and theirs != theirs)  # noqa: PLR0124 (nan is what differs from itself)


def _plain(scheduler):
    """A scheduler's numbers; lambdas and the parts of a composed one are no values."""
    return {k: v for k, v in scheduler.state_dict().items() if isinstance(v, (int, float, list, torch.Tensor))} | {
        "_schedulers": None
    }


def _scaler(trainer):
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return None if scaler is None else scaler.state_dict()


def _csv_values(folder):
    """All that the user logged: the rows of the watch are rows of their own, with a step."""
    for path in Path(folder).rglob("metrics.csv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                yield from (
                    (row["step"], k, v) for k, v in row.items() if v and k != "step" and not k.startswith("gradwatch/")
                )


def _checkpoint(path, folder):
    kept = torch.load(path, weights_only=True)
    callbacks = {key: state for key, state in kept.pop("callbacks").items() if not key.startswith("GradWatch")}
    return kept | {"callbacks": repr(callbacks).replace(str(folder), "")}


def _hooks(trainer, module):
    found = [len(getattr(one, name)) for one in module.modules() for name in MODULE_HOOKS]
    for parameter in module.parameters():
        found += [len(parameter._backward_hooks or ()), len(parameter._post_accumulate_grad_hooks or ())]
    return found + [len(getattr(one, name)) for one in trainer.optimizers for name in OPTIMIZER_HOOKS]
