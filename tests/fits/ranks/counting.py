"""Counts what this process says to other ranks, and who says it."""

import sys
from collections import Counter

from torch.utils._python_dispatch import TorchDispatchMode

_TALK = ("c10d", "_c10d_functional", "c10d_functional", "_dtensor")
_SILENT = ("wait_tensor", "_wrap_tensor_autograd")


class Talk(TorchDispatchMode):
    """Every collective of torch passes the dispatcher; those with our code on the stack are ours."""

    def __init__(self):
        super().__init__()
        self.ours, self.others = Counter(), Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        space, _, name = func.name().partition("::")
        if space in _TALK and name not in _SILENT:
            (self.ours if _is_ours() else self.others)[name] += 1
        return func(*args, **(kwargs or {}))


def _is_ours():
    """Whether our code asked for it, and not the user's step, which runs inside hooks of optimizers that are ours."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if "/lightning/pytorch/loops/" in path:
            return False
        if "/lightning_gradwatch/" in path:
            return True
        frame = frame.f_back
    return False
