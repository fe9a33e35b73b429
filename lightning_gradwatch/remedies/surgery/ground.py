"""A ground of one's own for a trial: random numbers, gradient modes, and nothing of it left behind."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import distributed

_secluded: ContextVar[bool] = ContextVar("secluded", default=False)


@contextmanager
def own_ground(seed: int) -> Iterator[None]:
    """Within, random numbers begin at ``seed`` and gradients are recorded; afterwards both are as they were before.

    Python's, numpy's and torch's generators, those of CUDA where it is in use.

    Example:
        >>> before = torch.get_rng_state()
        >>> with torch.no_grad(), own_ground(0):
        ...     first = torch.rand(1, requires_grad=True).requires_grad
        >>> first, torch.equal(before, torch.get_rng_state())
        (True, True)
    """
    numpy = _numpy()
    python, own = random.getstate(), numpy.random.get_state() if numpy else None
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=_cuda_devices()))
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            reseed(seed)
            yield
    finally:
        random.setstate(python)
        if own is not None:
            numpy.random.set_state(own)


@contextmanager
def secluded() -> Iterator[None]:
    """Within, treatments do not talk to other ranks: what is tried on one rank alone would wait for them for ever.

    Example:
        >>> with secluded():
        ...     has_company()
        False
    """
    token = _secluded.set(True)
    try:
        yield
    finally:
        _secluded.reset(token)


def has_company() -> bool:
    """Whether there are other ranks to talk to."""
    if _secluded.get() or not (distributed.is_available() and distributed.is_initialized()):
        return False
    return distributed.get_world_size() > 1


def reseed(seed: int) -> None:
    """Begin again at that seed; only inside ``own_ground``."""
    random.seed(seed)
    if numpy := _numpy():
        numpy.random.seed(seed % 2**32)
    # Not ``torch.manual_seed``: it also leaves an order for a CUDA that is yet to be initialised.
    torch.default_generator.manual_seed(seed)
    for device in _cuda_devices():
        torch.cuda.default_generators[device].manual_seed(seed)


def _numpy() -> Any:
    return sys.modules.get("numpy")  # whoever has not loaded it draws nothing from it


def _cuda_devices() -> list[int]:
    in_use = torch.cuda.is_available() and torch.cuda.is_initialized()
    return list(range(torch.cuda.device_count())) if in_use else []
